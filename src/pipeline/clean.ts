/** Text as a reader may get it: without what they cannot see or what reorders what they see. Pure, linear. */

// Controls but tab and newline; bidirectional marks, overrides and isolates; zero width characters and
// fillers; annotation anchors; tag characters and supplementary variation selectors, which can carry text
// past a reader (Unicode TR 36). Joiners stay: scripts and emoji need them.
const hidden =
  // oxlint-disable-next-line no-control-regex, no-misleading-character-class -- exactly these are removed
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu
// One selector gives an emoji its colour; a run of them is a message.
const selectorRuns = /[\ufe00-\ufe0f]{2,}/gu

/** Keeps lines and tabs. */
export function clean(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(hidden, '').replaceAll(selectorRuns, '')
}

/** One line: for labels, which must not break out of their heading. */
export function cleanLine(text: string): string {
  return clean(text.replaceAll(/[\r\u0085\u2028\u2029]/gu, ' '))
    .replaceAll(/\s+/gu, ' ')
    .trim()
}
