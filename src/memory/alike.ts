/** Memories that say nearly the same, by the terms they share: also where those are keyed hashes. Pure. */
import type { Outline } from './outlines.sql.ts'

/** Two memories, by the time they speak at. */
export interface Pair {
  readonly later: Outline
  readonly earlier: Outline
  /** Weight of the shared terms in that of the shorter one, 0 to 1: both may be about one thing. */
  readonly common: number
  /** The same in that of both together: 1 says that they have the same terms. */
  readonly same: number
}

/** Terms that more memories have tell no two of them apart; this also bounds the pairs of a term. */
const holdersMax = 30
/** Pairs that are compared: some tenths of a second. */
const comparedMax = 200_000
/** With fewer in common it is chance. */
const sharedMin = 3
/** Below, two memories are no pair. */
const commonMin = 0.18

/** Jaccard's coefficient. */
export function overlap(a: ReadonlySet<bigint>, b: ReadonlySet<bigint>): number {
  if (a.size === 0 || b.size === 0) return 0
  const [small, large] = a.size < b.size ? [a, b] : [b, a]
  let shared = 0
  for (const term of small) if (large.has(term)) shared += 1
  return shared / (a.size + b.size - shared)
}

/** Pairs that have much in common, a term weighing by its rarity (inverse document frequency); most alike first. */
export function alikePairs(outlines: readonly Outline[]): Pair[] {
  const holders = holdersOf(outlines)
  const weight = (term: bigint): number =>
    Math.log((outlines.length + 1) / (holders.get(term)?.length ?? 1))
  const total = outlines.map(({ terms }) => sum([...terms].map(weight)))
  const seen = new Set<number>()
  const pairs: Pair[] = []
  // Rare terms first: what they pair is most likely alike.
  const lists = [...holders.values()]
    .filter((list) => list.length > 1 && list.length <= holdersMax)
    .toSorted((a, b) => a.length - b.length)
  for (const list of lists) {
    if (seen.size > comparedMax) break
    for (const [place, first] of list.entries()) {
      for (const second of list.slice(place + 1)) {
        const key = first * outlines.length + second
        if (seen.has(key)) continue
        seen.add(key)
        const [a, b] = [outlines[first], outlines[second]]
        if (a === undefined || b === undefined) continue
        const shared = [...a.terms].filter((term) => b.terms.has(term))
        if (shared.length < Math.min(sharedMin, a.terms.size, b.terms.size)) continue
        const held = sum(shared.map(weight))
        const [ofA, ofB] = [total[first] ?? 0, total[second] ?? 0]
        const common = held / Math.min(ofA, ofB)
        if (common < commonMin) continue
        const isLater = a.occurredAt.getTime() >= b.occurredAt.getTime()
        const [later, earlier] = isLater ? [a, b] : [b, a]
        pairs.push({ later, earlier, common, same: held / (ofA + ofB - held) })
      }
    }
  }
  return pairs.toSorted((a, b) => b.common - a.common)
}

/** Each memory in one pair, its best. */
export function eachOnce(pairs: readonly Pair[]): Pair[] {
  const used = new Set<number>()
  return pairs.filter(({ later, earlier }) => {
    if (used.has(later.document) || used.has(earlier.document)) return false
    used.add(later.document).add(earlier.document)
    return true
  })
}

/** Places of the memories that have a term. */
function holdersOf(outlines: readonly Outline[]): ReadonlyMap<bigint, number[]> {
  const holders = new Map<bigint, number[]>()
  for (const [place, { terms }] of outlines.entries()) {
    for (const term of terms) {
      const list = holders.get(term)
      if (list === undefined) holders.set(term, [place])
      else list.push(place)
    }
  }
  return holders
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
