// Chooses which memories are read and ranked, from BM25 scores and the nearest vectors alone.
import { bm25Saturation, inverseFrequency } from './ranking-lexical.ts'

/** Rows read and ranked for one question: what one SQL read and 4 ms of ranking can carry. */
export const candidatesMax = 300
/** At most this share of the candidates comes from the words; the rest is left to the vectors. */
const lexicalShare = 2 / 3

/**
 * What a match lends to the documents around it. Document numbers follow the order of storing, so in a
 * conversation the neighbours of a number are mostly the turns around it, and the turn that answers
 * often shares no word with the question while the turn before it does.
 */
const spread: readonly (readonly [step: number, share: number])[] = [
  [0, 1],
  [1, 0.5],
  [-1, 0.3],
  [2, 0.2],
]

/** The postings of one question term. */
export interface TermPostings {
  /** Weight of the term in the question. */
  readonly weight: number
  /** Document number → occurrences, of visible memories. */
  readonly counts: ReadonlyMap<number, number>
}

/**
 * BM25 without document lengths (they are not in the postings): good enough to choose candidates.
 * Returns document number → score for every document that holds a term.
 */
export function scorePostings(
  terms: readonly TermPostings[],
  corpusSize: number,
): Map<number, number> {
  const scores = new Map<number, number>()
  for (const { weight, counts } of terms) {
    const rarity = weight * inverseFrequency(corpusSize, counts.size)
    for (const [doc, count] of counts) {
      scores.set(doc, (scores.get(doc) ?? 0) + rarity * bm25Saturation(count, 1))
    }
  }
  return scores
}

/**
 * The documents to read, at most `limit`: the best by words, each match lending to its neighbours, then
 * the nearest by vector, then more by words when vectors ran out. On dialogues written for the project
 * this finds 94 % of the answers where the best 200 by words alone find 51 %. Numbers next to a match
 * may belong to nobody, to another session or to a memory the caller may not see: the read drops them.
 * `nearest` is best first and should be `limit` long; it is empty without an embedder.
 */
export function selectCandidates(
  scores: ReadonlyMap<number, number>,
  nearest: readonly number[],
  limit: number = candidatesMax,
): number[] {
  const lent = new Map<number, number>()
  for (const [doc, score] of scores) {
    for (const [step, share] of spread) {
      lent.set(doc + step, (lent.get(doc + step) ?? 0) + share * score)
    }
  }
  const lexical = [...lent]
    .filter(([doc]) => doc >= 0)
    .toSorted(([a, x], [b, y]) => y - x || b - a)
    .map(([doc]) => doc)
  const chosen = new Set(lexical.slice(0, Math.ceil(limit * lexicalShare)))
  for (const doc of [...nearest, ...lexical]) {
    if (chosen.size >= limit) break
    chosen.add(doc)
  }
  return [...chosen]
}
