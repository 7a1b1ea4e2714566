/** Text written so that a reader does not see it: finds runs of common encodings and reads them. Bounded. */

/** Pieces that are decoded of one text; beyond them a text is a data file, no note. */
const piecesMax = 64
/** Characters of one piece that are decoded. */
const pieceLengthMax = 32 * 1024
/** A run of base64 this long is a file: RSA keys of 4096 bits have 716 characters. */
const opaqueLengthMin = 1_024

const base64Run = /[A-Za-z0-9+/_-]{16,}={0,2}/gu
const hexRun = /(?:(?:0x|\\x)?[0-9a-f]{2}[ :,]?){12,}/giu
const binaryRun = /(?:[01]{8} ?){6,}/gu
const percent = /%[0-9a-f]{2}/giu
const unicodeEscape = /\\u\{?([0-9a-f]{4,6})\}?/giu
const entity = /&#(?:x([0-9a-f]{1,6})|([0-9]{1,7}));?/giu

export interface Encoded {
  /** What was read, to be looked at as text. */
  readonly decoded: readonly string[]
  /** True when sentences stood in an encoding that nobody reads, or a long run reads as no text at all. */
  readonly isHiding: boolean
}

/** Escapes of one kind that a text has before it is read without them. */
const escapesMin = 6
/** Words of a sentence that was encoded as a whole; an example is shorter. */
const hiddenWordsMin = 8

/** Reads every run of an encoding that yields text. */
export function readEncoded(text: string): Encoded {
  const found = [...base64Of(text), ...digitsOf(text)]
  const decoded = found.flatMap(({ read }) => (read === undefined ? [] : [read]))
  const isHiding = found.some(({ run, read }) =>
    read === undefined
      ? run.length >= opaqueLengthMin
      : read.trim().split(/\s+/u).length >= hiddenWordsMin,
  )
  for (const read of [unpercent(text), ...unescaped(text), shifted(text), mirrored(text)]) {
    if (read !== undefined) decoded.push(read)
  }
  return { decoded, isHiding }
}

interface Found {
  readonly run: string
  /** Undefined when it is no text. */
  readonly read: string | undefined
}

function* base64Of(text: string): Iterable<Found> {
  let count = 0
  for (const [run] of text.matchAll(base64Run)) {
    if ((count += 1) > piecesMax) return
    const piece = run.slice(0, pieceLengthMax)
    // What stands right before a run may look like its beginning: `/SWdub3Jl`.
    const reads = [0, 1, 2, 3].map((skipped) =>
      proseOf(Buffer.from(piece.slice(skipped), 'base64')),
    )
    yield { run, read: reads.find((read) => read !== undefined) }
  }
}

function* digitsOf(text: string): Iterable<Found> {
  for (const run of runs(text, hexRun)) {
    yield { run: '', read: proseOf(bytesOf(run, /[0-9a-f]{2}/giu, 16)) }
  }
  for (const run of runs(text, binaryRun)) {
    yield { run: '', read: proseOf(bytesOf(run, /[01]{8}/gu, 2)) }
  }
}

function runs(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)]
    .slice(0, piecesMax)
    .map(([run]) => run.slice(0, pieceLengthMax).replaceAll(/0x|\\x/giu, ' '))
}

function bytesOf(run: string, digits: RegExp, radix: number): Buffer {
  return Buffer.from([...run.matchAll(digits)].map(([pair]) => Number.parseInt(pair, radix)))
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined // no text; nothing is lost
  }
}

/** Words with blanks between them; names, numbers and JSON of an ordinary token are none. */
function proseOf(bytes: Uint8Array): string | undefined {
  const text = utf8(bytes)
  if (text === undefined) return undefined
  const letters = text.match(/[\p{L}\p{M}\s]/gu)?.length ?? 0
  return letters >= 12 && letters >= text.length * 0.7 ? text : undefined
}

function unpercent(text: string): string | undefined {
  if ((text.match(percent)?.length ?? 0) < escapesMin) return undefined
  return text
    .slice(0, pieceLengthMax)
    .replaceAll(/(?:%[0-9a-f]{2})+/giu, (run) => utf8(bytesOf(run, /[0-9a-f]{2}/giu, 16)) ?? ' ')
    .replaceAll(/[+_]/gu, ' ')
}

function* unescaped(text: string): Iterable<string> {
  for (const pattern of [unicodeEscape, entity]) {
    if ((text.match(pattern)?.length ?? 0) < escapesMin) continue
    yield text.slice(0, pieceLengthMax * 4).replaceAll(pattern, (_all, hex, decimal) => {
      const point = Number.parseInt(String(hex ?? decimal), hex === undefined ? 10 : 16)
      return point <= 0x10ffff ? String.fromCodePoint(point) : ' '
    })
  }
}

/** `ignore`, `instructions`, `system`, `previous` under ROT13: words that no language has. */
const shiftedWords = /vtaber|vafgehpgvba|cerivbhf|qvfertneq|cebzcg/iu
const mirroredWords = /erongi|noitcurtsni|suoiverp|drager?sid|tpmorp/iu

function shifted(text: string): string | undefined {
  if (!shiftedWords.test(text)) return undefined
  return text.slice(0, pieceLengthMax).replaceAll(/[a-z]/giu, (letter) => {
    const base = letter <= 'Z' ? 65 : 97
    return String.fromCharCode(((letter.charCodeAt(0) - base + 13) % 26) + base)
  })
}

function mirrored(text: string): string | undefined {
  if (!mirroredWords.test(text)) return undefined
  return Array.from(text.slice(0, pieceLengthMax)).toReversed().join('')
}
