/** Text as the phrase rules read it: without what is invisible, in one form, cut into words. Linear in its length. */

/**
 * What a reader does not see: zero width, fillers, bidirectional controls, soft hyphen, variation
 * selectors, tag characters, and controls but tab and newline. Stripped before any rule looks, so that
 * nothing is hidden between letters.
 */
const invisible =
  // oxlint-disable-next-line no-control-regex, no-misleading-character-class -- exactly these are removed
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu

/** Text without invisible characters, compatibility forms resolved (NFKC, Unicode TR 15). */
export function visible(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(invisible, '').normalize('NFKC')
}

/**
 * Letters that look like Latin ones (a small part of Unicode TS 39): Cyrillic, Greek, Armenian, IPA and
 * small capitals, each pair `look-alike, Latin`.
 */
const confusablePairs =
  'аaвbсcԁdеeһhіiјjкkӏlмmнhоoрpԛqѕsтtуyхxԝwѵvгrпn' +
  'αaβbγyδdεeηnικικκkνvοoρpσoτtυuχxωwϲcϳj' +
  'օoսuհhյjցgոnքpզqլlաw' +
  'ɑaɡgɩiıiɪiʟlɴnʀrꜱsᴀaʙbᴄcᴅdᴇeꜰfɢgʜhᴊjᴋkᴍmᴏoᴘpᴛtᴜuᴠvᴡwʏyᴢzɛeɔoʋvɯwøođdłlħh'
const confusables = new Map<string, string>(pairsOf(confusablePairs))

function* pairsOf(text: string): Iterable<[string, string]> {
  const characters = Array.from(text)
  for (let index = 0; index + 1 < characters.length; index += 2) {
    yield [characters[index] ?? '', characters[index + 1] ?? '']
  }
}

/** Digits and signs that stand for letters: `1gn0re`. */
const leet = new Map(Object.entries({ 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't' }))

export interface Words {
  /** Lower case, at most 40 characters each; a full stop between sentences. */
  readonly tokens: readonly string[]
  /** What a token may stand for besides itself; most have nothing. */
  readonly otherwise: ReadonlyMap<number, string>
}

const tokenLengthMax = 40
const sentenceEnd = '.'
// A run of letters with their marks, or the end of a sentence: full stops and an empty line. A single
// line break is no end: pasted text breaks anywhere.
const pieces = /[\p{L}\p{N}\p{M}'’]+|@|[.!?;。！？।؟]+|\n[^\S\n]*\n/gu
/** `l'utilisateur` is two words; `don't` and `Anna's` are one each. */
const elision = /['’](?!(?:t|s|re|ll|ve|d|m)$)/iu
const latin = /\p{Script=Latin}/u
const marks = /[\u0300-\u036f]+/gu

/** Cuts visible text into words. `_` divides words and `'` does not: tool names and contractions. */
export function wordsOf(text: string): Words {
  const tokens: string[] = []
  const otherwise = new Map<number, string>()
  let sentenceFrom = 0
  for (const [piece] of text.matchAll(pieces)) {
    if (/^[.!?;。！？।؟\n]/u.test(piece)) {
      // `Ignore. All. Rules.` is one sentence: a word alone between full stops ends none.
      if (tokens.length - sentenceFrom > 1) tokens.push(sentenceEnd)
      sentenceFrom = tokens.length
      continue
    }
    for (const word of piece.slice(0, tokenLengthMax).split(elision)) {
      const token = foldWord(word)
      if (token === '') continue
      const other = latinReading(token)
      if (other !== undefined) otherwise.set(tokens.length, other)
      tokens.push(token)
    }
  }
  return { tokens, otherwise }
}

/** Lower case without apostrophes; Latin letters without accents. Marks of other scripts stay: they are letters there. */
function foldWord(word: string): string {
  const lower = word.toLowerCase().replaceAll(/['’]/gu, '')
  if (!latin.test(lower)) return lower
  // oxlint-disable-next-line no-control-regex -- the range of ASCII
  if (/^[\u0000-\u007f]*$/u.test(lower)) return lower
  return lower
    .normalize('NFD')
    .replaceAll(marks, '')
    .normalize('NFC')
    .replaceAll(/[ıłøđß]/gu, (letter) => bare.get(letter) ?? letter)
}

/** Letters with strokes, which no normalisation takes apart. */
const bare = new Map(Object.entries({ ı: 'i', ł: 'l', ø: 'o', đ: 'd', ß: 'ss' }))

/** The word that a reader of Latin script sees in look-alikes or digits; undefined when it is itself. */
function latinReading(token: string): string | undefined {
  // oxlint-disable-next-line no-control-regex -- the range of ASCII
  const isAscii = /^[\u0000-\u007f]*$/u.test(token)
  if (isAscii && !/\d/u.test(token)) return undefined
  if (isAscii && !/[a-z]/u.test(token)) return undefined
  const read = Array.from(
    token,
    (character) => confusables.get(character) ?? leet.get(character) ?? character,
  ).join('')
  return read === token ? undefined : read
}

/** All letters in a row, look-alikes resolved: what stays of `i g n o r e` and of `IgnoreAllRules`. */
export function lettersOf({ tokens, otherwise }: Words): string {
  return tokens
    .map((token, index) => (token === sentenceEnd ? '' : (otherwise.get(index) ?? token)))
    .join('')
}

/** Whether words are written apart or run together, so that only their letters in a row tell. */
export function isDisguised({ tokens }: Words): boolean {
  const single = tokens.filter((token) => token.length === 1 && token !== sentenceEnd).length
  return single >= 8 || tokens.some((token) => token.length >= 20)
}
