/**
 * The one counter of tokens: an estimate by kinds of characters, without any model's vocabulary, that lies
 * above what the tokenizers in use count for ordinary text. Linear, no allocation, and never less for two
 * texts apart than for both in a row, so parts that fit make a whole that fits. docs/decisions/0025-token-budget.md.
 */

const lettersPerToken = 6
const digitsPerToken = 3
const punctuationPerToken = 2
/** Latin beyond ASCII, Greek, Cyrillic, Hebrew, Arabic: letters in words. */
const foreignLettersPerToken = 2
/** A character outside the basic plane, such as an emoji. */
const astralTokens = 3
const privateTokens = 2

type Run = 'none' | 'letters' | 'digits' | 'punctuation' | 'foreign'
const perToken: Readonly<Record<Run, number>> = {
  none: 1,
  letters: lettersPerToken,
  digits: digitsPerToken,
  punctuation: punctuationPerToken,
  foreign: foreignLettersPerToken,
}

/** Tokens of a text by the stated estimate. */
export function countTokens(text: string): number {
  let tokens = 0
  let run: Run = 'none'
  let length = 0
  let spaces = 0
  const end = (next: Run): void => {
    if (next === run && run !== 'none') return
    tokens += Math.ceil(length / perToken[run])
    run = next
    length = 0
  }
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === 0x20 || (code >= 0x09 && code <= 0x0d)) {
      end('none')
      // A single space belongs to the word behind it; a line break or a longer run is one of its own.
      spaces += 1
      if (code === 0x20 ? spaces === 2 : spaces === 1) tokens += 1
      continue
    }
    spaces = 0
    const kind = runOf(code)
    const isHump = kind === 'letters' && code <= 0x5a && isLower(text.charCodeAt(index - 1))
    end(isHump ? 'none' : kind)
    run = kind
    if (kind === 'none') tokens += single(code)
    else length += 1
  }
  end('none')
  return tokens
}

/** A capital behind a small letter begins a word (camelCase) or stands in a key or hash. */
function isLower(code: number): boolean {
  return code >= 0x61 && code <= 0x7a
}

function runOf(code: number): Run {
  if (code < 0x80) {
    const lower = code | 0x20
    if (lower >= 0x61 && lower <= 0x7a) return 'letters'
    return code >= 0x30 && code <= 0x39 ? 'digits' : 'punctuation'
  }
  return code < 0x0800 ? 'foreign' : 'none'
}

/** What stands alone: scripts without letters in words, symbols, and the first half of a pair. */
function single(code: number): number {
  if (code >= 0xd800 && code <= 0xdbff) return astralTokens
  if (code >= 0xdc00 && code <= 0xdfff) return 0
  return code >= 0xe000 && code <= 0xf8ff ? privateTokens : 1
}

/** The longest beginning of a text that counts at most `tokens`, whole characters, by halving. */
export function firstTokens(text: string, tokens: number): string {
  if (countTokens(text) <= tokens) return text
  let [low, high] = [0, text.length]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (countTokens(text.slice(0, middle)) <= tokens) low = middle
    else high = middle - 1
  }
  const last = text.charCodeAt(low - 1)
  const isSplit = last >= 0xd800 && last <= 0xdbff
  return text.slice(0, isSplit ? low - 1 : low)
}
