/**
 * Phrases as sequences of word classes with bounded gaps, so that matching is linear: no pattern of
 * characters backtracks over a text. The lists are in english.ts, latin.ts and scripts.ts.
 */
import type { Words } from './text.ts'

/** What a phrase tells; of each, the heaviest phrase near others counts. */
export type Group =
  | 'override'
  | 'prompt'
  | 'role'
  | 'limits'
  | 'authority'
  | 'address'
  | 'trigger'
  | 'standing'
  | 'conceal'
  | 'manner'
  | 'say'
  | 'tool'
  | 'exfiltrate'
  | 'destination'
  | 'memory'
  | 'self'

/**
 * `[group, weight, steps]`. Steps are written apart: words between `|`, a final `*` for any ending, a
 * number for how many other words may stand between two steps of one sentence (0 when there is none).
 */
export type Phrase = readonly [group: Group, weight: number, steps: string]

interface Step {
  readonly wordClass: number
  /** Other words that may stand before it. */
  readonly gap: number
}

interface Rule {
  readonly group: Group
  readonly weight: number
  readonly steps: readonly Step[]
}

export interface Phrasebook {
  readonly rules: readonly Rule[]
  /** Word → classes it is in. */
  readonly exact: ReadonlyMap<string, readonly number[]>
  /** Beginning of a word → classes. */
  readonly stems: ReadonlyMap<string, readonly number[]>
  readonly stemLengths: readonly number[]
}

/** Compiles phrases once. Throws TypeError for a phrase that is written wrong. */
export function phrasebook(phrases: readonly Phrase[]): Phrasebook {
  const classes = new Map<string, number>()
  const exact = new Map<string, number[]>()
  const stems = new Map<string, number[]>()
  const classOf = (alternatives: string): number => {
    const known = classes.get(alternatives)
    if (known !== undefined) return known
    const wordClass = classes.size
    classes.set(alternatives, wordClass)
    for (const written of alternatives.split('|')) {
      const word = written.normalize('NFKC')
      if (!/^(?:[\p{L}\p{M}\p{N}]+\*?|@)$/u.test(word)) throw new TypeError(`no word: ${word}`)
      const isStem = word.endsWith('*')
      const [table, key] = isStem ? [stems, word.slice(0, -1)] : [exact, word]
      table.set(key, [...(table.get(key) ?? []), wordClass])
    }
    return wordClass
  }
  const rules = phrases.map(([group, weight, text]): Rule => {
    const steps: Step[] = []
    let gap = 0
    for (const part of text.split(' ')) {
      if (/^\d$/u.test(part)) gap = Number(part)
      else {
        steps.push({ wordClass: classOf(part), gap })
        gap = 0
      }
    }
    return { group, weight, steps }
  })
  const stemLengths = [...new Set([...stems.keys()].map((stem) => stem.length))].toSorted(
    (a, b) => a - b,
  )
  return { rules, exact, stems, stemLengths }
}

/** One phrase where it ends. */
export interface Hit {
  readonly at: number
  readonly group: Group
  readonly weight: number
}

/** Every phrase of the book in a text, by place. */
export function findPhrases(book: Phrasebook, words: Words): Hit[] {
  const places = placesOf(book, words)
  const sentences = sentencesOf(words)
  const hits: Hit[] = []
  for (const { group, weight, steps } of book.rules) {
    let ends: readonly number[] | undefined
    for (const { wordClass, gap } of steps) {
      const next = places.get(wordClass)
      if (next === undefined) {
        ends = []
        break
      }
      ends = ends === undefined ? next : follow(ends, next, gap, sentences)
      if (ends.length === 0) break
    }
    for (const at of ends ?? []) hits.push({ at, group, weight })
  }
  return hits.toSorted((a, b) => a.at - b.at)
}

/** Places of `next` that come after one of `ends`, with at most `gap` words between, in its sentence. */
function follow(
  ends: readonly number[],
  next: readonly number[],
  gap: number,
  sentences: Int32Array,
): number[] {
  const reached: number[] = []
  let first = 0
  for (const place of next) {
    // Both lists ascend: each end is passed once.
    while (first < ends.length && (ends[first] ?? 0) < place - gap - 1) first += 1
    const end = ends[first]
    if (end !== undefined && end < place && isNear(ends, first, place, sentences))
      reached.push(place)
  }
  return reached
}

/** Of the ends within the gap, which are at most ten, one stands in the same sentence. */
function isNear(ends: readonly number[], first: number, place: number, sentences: Int32Array) {
  for (let index = first; index < ends.length; index += 1) {
    const end = ends[index] ?? place
    if (end >= place) return false
    if (sentences[end] === sentences[place]) return true
  }
  return false
}

function placesOf(book: Phrasebook, { tokens, otherwise }: Words): Map<number, number[]> {
  const places = new Map<number, number[]>()
  const add = (classes: readonly number[] | undefined, at: number): void => {
    for (const wordClass of classes ?? []) {
      const list = places.get(wordClass)
      if (list === undefined) places.set(wordClass, [at])
      else if (list.at(-1) !== at) list.push(at)
    }
  }
  const read = (word: string, at: number): void => {
    add(book.exact.get(word), at)
    for (const length of book.stemLengths) {
      if (length > word.length) break
      add(book.stems.get(word.slice(0, length)), at)
    }
  }
  for (const [at, token] of tokens.entries()) {
    if (token === '.') continue
    read(token, at)
    const other = otherwise.get(at)
    if (other !== undefined) read(other, at)
  }
  return places
}

function sentencesOf({ tokens }: Words): Int32Array {
  const sentences = new Int32Array(tokens.length)
  let number = 0
  for (const [at, token] of tokens.entries()) {
    if (token === '.') number += 1
    sentences[at] = number
  }
  return sentences
}

/** Words within which phrases count together: about three sentences. */
const windowWords = 60
/** Phrases that are weighed; a text with more reached the threshold long before. */
const hitsMax = 4_000

/**
 * The groups of the first stretch that weighs `threshold`: of each group its heaviest phrase, summed over
 * the groups that meet within the window. Empty when no stretch does.
 */
export function heavyGroups(hits: readonly Hit[], threshold: number): ReadonlySet<Group> {
  const weighed = hits.slice(0, hitsMax)
  let first = 0
  for (const [index, hit] of weighed.entries()) {
    while ((weighed[first]?.at ?? 0) <= hit.at - windowWords) first += 1
    const heaviest = new Map<Group, number>()
    for (const { group, weight } of weighed.slice(first, index + 1)) {
      heaviest.set(group, Math.max(heaviest.get(group) ?? 0, weight))
    }
    let sum = 0
    for (const weight of heaviest.values()) sum += weight
    if (sum >= threshold) {
      const near = weighed.filter(({ at }) => Math.abs(at - hit.at) < windowWords)
      return new Set(near.map(({ group }) => group))
    }
  }
  return new Set()
}
