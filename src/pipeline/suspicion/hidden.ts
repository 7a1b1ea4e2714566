/** Characters that hide text from a reader or show it in another order than a model reads it. Linear. */

/** Legitimate uses stay out: joiners of Indic scripts and emoji, marks of direction in Arabic and Hebrew. */
export function hasHidden(text: string): boolean {
  // Most texts end here.
  // oxlint-disable-next-line no-control-regex -- the range of ASCII without controls
  if (/^[\t\n\r\u0020-\u007e]*$/u.test(text)) return false
  return (
    hasTags(text) ||
    reorders(text) ||
    hasSelectors(text) ||
    hasZeroWidth(text) ||
    hasTerminalControls(text)
  )
}

// Tag characters are legitimate in one place: after a black flag, as the code of a region (Unicode TR 51).
const flagOfRegion = /\u{1f3f4}[\u{e0061}-\u{e007a}\u{e0030}-\u{e0039}]{3,6}\u{e007f}/gu
const tag = /[\u{e0000}-\u{e007f}]/u

function hasTags(text: string): boolean {
  return tag.test(text) && tag.test(text.replaceAll(flagOfRegion, ''))
}

const override = /[\u202d\u202e]/u
const embedding = /[\u202a\u202b\u2066-\u2068]/u
const rightToLeft =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u

/** An override has no use in notes; an embedding or isolate has one where a script runs from right to left. */
function reorders(text: string): boolean {
  return override.test(text) || (embedding.test(text) && !rightToLeft.test(text))
}

// One selector follows one character; a run of them, or many supplementary ones, carries bytes.
const selectorRun = /[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]{2}/u

function hasSelectors(text: string): boolean {
  return selectorRun.test(text)
}

const zeroWidthRun = /[\u200b-\u200d\u2060-\u2064\u180e\ufeff\u115f\u1160\u3164\uffa0]{3}/u
const insideWord = /[a-z][\u200b-\u200d\u2060-\u2064\u180e\ufeff\u00ad][a-z]/giu
/** A web page puts a break or a soft hyphen into a long word now and then. */
const insideWordsMax = 3

function hasZeroWidth(text: string): boolean {
  if (zeroWidthRun.test(text)) return true
  return [...text.matchAll(insideWord)].length > insideWordsMax
}

// Escape starts a terminal's command (ECMA-48); backspace and its like overwrite what stands before.
// oxlint-disable-next-line no-control-regex -- exactly these
const terminal = /[\u0007\u0008\u001b\u009b\u007f]/u

function hasTerminalControls(text: string): boolean {
  return terminal.test(text)
}
