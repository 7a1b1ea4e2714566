/** Text to words: normalisation, scripts, apostrophes and numbers. Knows no stems and no stop words. */

/** How a word's script is indexed: by stems and prefixes, by character pairs, or by dictionary words. */
export type WordKind = 'latin' | 'alphabetic' | 'number' | 'ideographic' | 'unspaced' | 'symbol'

export interface Word {
  /** Lower case, folded (`foldLatin`); for `ideographic` and `unspaced` a run without its edges cut. */
  readonly text: string
  readonly kind: WordKind
  /** Lower case with its marks; differs from `text` where folding took something away. */
  readonly marked: string
  /** As written, for case tests (`IT`, `getUserById`). */
  readonly written: string
}

/** A longer token is a hash, a URL or noise; the head is enough to find it again. Code units. */
const wordLengthMax = 64
/** A memory holds at most 64 KiB: 11,000 English words. What follows is not indexed. */
const textLengthMax = 65_536
export const wordsMax = 16_000

const unspacedScripts = String.raw`\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}`
const pairScripts = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}ー々〆`
const runPattern = new RegExp(
  String.raw`[${pairScripts}]+|[${unspacedScripts}]+|[\p{L}\p{N}](?:(?![${pairScripts}${unspacedScripts}])[\p{L}\p{M}\p{N}])*(?:['’ʼ＇](?![${pairScripts}])\p{L}[\p{L}\p{M}]*)*|\p{Extended_Pictographic}`,
  'gu',
)
const asciiRunPattern = /[A-Za-z0-9]+(?:'[A-Za-z]+)*/g
const pairStart = new RegExp(`^[${pairScripts}]`, 'u')
const unspacedStart = new RegExp(`^[${unspacedScripts}]`, 'u')
const latinStart = /^[\p{Script=Latin}\p{N}]/u
const pictograph = /^(?!\p{N})\p{Extended_Pictographic}/u
const foldable =
  /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Arabic}\p{Script=Hebrew}]/u

/** Letters whose base NFD does not give: they have no canonical decomposition (Unicode 16, UnicodeData). */
const unfoldedLetters: Readonly<Record<string, string>> = {
  ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ð: 'd', þ: 'th', ł: 'l', ı: 'i', ħ: 'h',
  ς: 'σ', ى: 'ي', ة: 'ه', ی: 'ي', ک: 'ك', ـ: '',
} // prettier-ignore
const unfoldedPattern = new RegExp(`[${Object.keys(unfoldedLetters).join('')}]`, 'gu')

/** Lower case letters without their marks: `Türkiye` → `turkiye`, `Ελλάδα` → `ελλαδα`, `أحمد` → `احمد`. */
export function fold(lower: string): string {
  if (!/[^\0-\x7f]/.test(lower)) return lower
  let folded = foldedWords.get(lower)
  if (folded === undefined) {
    folded = foldable.test(lower) ? withoutMarks(lower) : lower
    if (foldedWords.size >= foldedWordsMax) foldedWords.clear()
    foldedWords.set(lower, folded)
  }
  return folded
}

/** Folding is pure and takes 3 µs; texts repeat words. Bounded: emptied when full. */
const foldedWords = new Map<string, string>()
const foldedWordsMax = 20_000

function withoutMarks(lower: string): string {
  return lower
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .normalize('NFC')
    .replace(unfoldedPattern, (letter) => unfoldedLetters[letter] ?? letter)
}

/** Invisible letters, joiners, variation selectors and skin tones: they change no word. */
const invisible = /\p{Default_Ignorable_Code_Point}|\p{Emoji_Modifier}/gu
/** ½ would become `1⁄2` and glue itself to the number before it. */
const vulgarFractions = /[\u00bc-\u00be\u2150-\u215f]/g
const otherDigits = /[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef\u0e50-\u0e59]/g
const groupedNumber = /\b\d{1,3}(?:([.,'\u00a0\u202f])\d{3})(?:\1\d{3})*\b(?![.,]\d)/g

function normalise(text: string): string {
  const ascii = !/[^\0-\x7f]/.test(text)
  const clean = ascii
    ? text
    : text
        .replace(vulgarFractions, ' ')
        .normalize('NFKC')
        .replace(invisible, '')
        .replace(otherDigits, (digit) => String(digitValue(digit)))
  return clean.replace(groupedNumber, (number) => number.replace(/\D/g, ''))
}

const zeros = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50]

function digitValue(digit: string): number {
  const point = digit.codePointAt(0) ?? 0
  return point - (zeros.find((zero) => point >= zero && point < zero + 10) ?? point)
}

/** What follows the apostrophe in English: part of no word (`she's`, `don't`). */
const englishTail = /^(?:s|re|ve|ll|d|m|t)$/
/** What stands before it in French, Italian and Catalan: an article, not the word (`l'hôtel`). */
const elided =
  /^(?:[cdjlmnsto]|qu|un|all|dal|dell|nell|sull|quell|quest|jusqu|lorsqu|puisqu|presqu)$/
const apostrophe = /['’ʼ＇]/

/**
 * One word out of a token with apostrophes: the stem before a suffix (`Türkiye'nin` → `türkiye`,
 * `Bob's` → `bob`), the word after an elided article, the whole in Ukrainian (`п'ять`).
 */
function withoutApostrophes(token: string): string {
  const [head = '', ...tails] = token.split(apostrophe)
  if (tails.length === 0) return token
  if (/\p{Script=Cyrillic}/u.test(head)) return [head, ...tails].join('')
  const tail = tails[0] ?? ''
  if (englishTail.test(tail)) return head
  return elided.test(head) && tail.length > 1 ? tail : head
}

function toWord(token: string, ascii: boolean): Word {
  const written = token.length > wordLengthMax ? token.slice(0, wordLengthMax) : token
  if (ascii) {
    const text = withoutApostrophes(written.toLowerCase())
    return { text, kind: isNumber(text) ? 'number' : 'latin', marked: text, written }
  }
  if (pictograph.test(written)) return { text: written, kind: 'symbol', marked: written, written }
  const lower = written.replaceAll('İ', 'i').toLowerCase()
  const marked = withoutApostrophes(lower)
  const text = fold(marked)
  if (isNumber(text)) return { text, kind: 'number', marked, written }
  if (latinStart.test(text)) return { text, kind: 'latin', marked, written }
  return { text, kind: 'alphabetic', marked, written }
}

const isNumber = (text: string): boolean => /^\d+$/.test(text)

/**
 * The words of a text in order, at most `wordsMax`. A run of a script without spaces is one word of
 * kind `ideographic` (Chinese, Japanese, and Korean, which is indexed by pairs too) or `unspaced`
 * (Thai, Lao, Khmer, Burmese). Marks, case, width, Turkish I and apostrophes are already resolved.
 */
export function splitWords(input: string): Word[] {
  const text = normalise(input.slice(0, textLengthMax))
  const ascii = !/[^\0-\x7f]/.test(text)
  const words: Word[] = []
  for (const [token] of text.matchAll(ascii ? asciiRunPattern : runPattern)) {
    if (words.length === wordsMax) break
    if (!ascii && (pairStart.test(token) || unspacedStart.test(token))) {
      const kind = pairStart.test(token) ? 'ideographic' : 'unspaced'
      words.push({ text: token.toLowerCase(), kind, marked: token, written: token })
    } else {
      const word = toWord(token, ascii)
      if (word.text !== '') words.push(word)
    }
  }
  return words
}

/** Lower-cased, folded surface words of any script, for embeddings; numbers included, symbols not. */
export function tokenize(text: string): string[] {
  return splitWords(text)
    .filter((word) => word.kind !== 'symbol')
    .map((word) => word.text)
}
