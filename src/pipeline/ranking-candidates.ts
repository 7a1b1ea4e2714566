// Chooses which memories are read and ranked, from BM25 scores and the nearest vectors alone.

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

/**
 * The documents that hold a question's words or stand next to one that does, best first; `scores` are
 * BM25 by document number. A number next to a match may belong to nobody, to another session or to a
 * memory the caller may not see: the read drops it.
 */
export function spreadToNeighbours(scores: ReadonlyMap<number, number>): number[] {
  const lent = new Map<number, number>()
  for (const [doc, score] of scores) {
    for (const [step, share] of spread) {
      lent.set(doc + step, (lent.get(doc + step) ?? 0) + share * score)
    }
  }
  return [...lent].toSorted(([a, x], [b, y]) => y - x || b - a).map(([doc]) => doc)
}

/**
 * The documents to read, at most `limit`: the best of `lexical` (spreadToNeighbours), then the nearest
 * by vector, then more by words when the vectors ran out. Both lists are best first; `nearest` should
 * be `limit` long, since a question often shares no word with its answer. On four merged dialogues of
 * the project this finds 94 % of the answers where the best 200 by words alone find 51 %.
 */
export function selectCandidates(
  lexical: readonly number[],
  nearest: readonly number[],
  limit: number = candidatesMax,
): number[] {
  const chosen = new Set(lexical.slice(0, Math.ceil(limit * lexicalShare)))
  for (const doc of [...nearest, ...lexical]) {
    if (chosen.size >= limit) break
    chosen.add(doc)
  }
  return [...chosen]
}
