// BM25 of a memory, of its surroundings and of its session, from term frequencies alone.
import type { RankCandidate, RankRequest } from './fuse.ts'

/**
 * Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009). k1 0.9 and b 0.4 beat
 * 1.2 and 0.75 by a point of recall@10 on conversations, whose turns differ little in length.
 */
const k1 = 0.9
const b = 0.4

/** Row numbers of a candidate's neighbours in the pool; -1 where there is none. */
export interface Neighbours {
  readonly previous: Int32Array
  readonly next: Int32Array
}

/** One value a candidate, each scaled to 0..1. */
export interface LexicalFields {
  readonly own: Float64Array
  readonly withPrevious: Float64Array
  readonly window: Float64Array
  readonly session: Float64Array
  readonly coverage: Float64Array
  readonly windowCoverage: Float64Array
}

/** Robertson-Sparck Jones weight, kept positive as Lucene does. */
export function inverseFrequency(corpusSize: number, documentFrequency: number): number {
  const size = Math.max(corpusSize, documentFrequency)
  return Math.log(1 + (size - documentFrequency + 0.5) / (documentFrequency + 0.5))
}

/** BM25's diminishing return of a term that occurs `frequency` times; `length` is relative to the mean. */
export function bm25Saturation(frequency: number, length: number): number {
  return (frequency * (k1 + 1)) / (frequency + k1 * (1 - b + b * length))
}

/** Finds the neighbours in the session, and of notes those stored beside them, inside the pool. */
export function locateNeighbours(candidates: readonly RankCandidate[]): {
  readonly session: Neighbours
  readonly stored: Neighbours
} {
  const rowOf = new Map(candidates.map((candidate, row) => [candidate.doc, row]))
  const find = (doc: number | null): number => (doc === null ? -1 : (rowOf.get(doc) ?? -1))
  const rows = (docOf: (candidate: RankCandidate) => number | null): Int32Array =>
    Int32Array.from(candidates, (candidate) => find(docOf(candidate)))
  return {
    session: { previous: rows(({ previous }) => previous), next: rows(({ next }) => next) },
    stored: {
      previous: rows(({ storedBefore }) => storedBefore),
      next: rows(({ storedAfter }) => storedAfter),
    },
  }
}

/** Groups rows by session; a memory outside sessions is a session of its own. */
export function groupSessions(candidates: readonly RankCandidate[]): number[][] {
  const groups = new Map<string, number[]>()
  const alone: number[][] = []
  candidates.forEach((candidate, row) => {
    if (candidate.sessionKey === null) {
      alone.push([row])
      return
    }
    const group = groups.get(candidate.sessionKey)
    if (group) group.push(row)
    else groups.set(candidate.sessionKey, [row])
  })
  return [...groups.values(), ...alone]
}

/**
 * Scores every field. `isName[t]` marks terms that are a speaker's name: they count only in memories
 * without a speaker, since elsewhere the speaker is a feature of its own and a name in the text is
 * mostly an address ("Hi Ann!").
 */
export function scoreFields(
  request: RankRequest,
  candidates: readonly RankCandidate[],
  neighbours: Neighbours,
  sessions: readonly (readonly number[])[],
  isName: readonly boolean[],
): LexicalFields {
  const rows = candidates.length
  const count = request.terms.length
  const weights = request.terms.map(
    (term) => term.weight * inverseFrequency(request.corpusSize, term.documentFrequency),
  )
  const words = request.terms.map((term) => term.word)
  const frequencies = new Float64Array(rows * count)
  candidates.forEach((candidate, row) => {
    for (let t = 0; t < count; t += 1) {
      if (isName[t] === true && candidate.speaker !== null) continue
      frequencies[row * count + t] = candidate.frequencies[t] ?? 0
    }
  })
  const ideal = sumByWord(
    weights.map((weight, t) => (isName[t] === true ? 0 : weight)),
    words,
  )
  const mean = request.meanLength
  const pool = { rows, count, weights, words, frequencies, candidates, mean, ideal }
  const own = scoreSpan(pool, [])
  const withPrevious = scoreSpan(pool, [neighbours.previous])
  const window = scoreSpan(pool, [neighbours.previous, neighbours.next])
  const ownScaled = scale(own.score, ideal)
  const session = scoreSessions(pool, sessions)
  return {
    own: ownScaled,
    withPrevious: scale(withPrevious.score, ideal),
    window: scale(window.score, ideal),
    // A note outside sessions is its own session; the pool's rarity would only blur its score.
    session: session.map((value, row) =>
      candidates[row]?.sessionKey === null ? (ownScaled[row] ?? 0) : value,
    ),
    coverage: own.coverage,
    windowCoverage: window.coverage,
  }
}

interface Pool {
  readonly rows: number
  readonly count: number
  /** Term weight times inverse document frequency. */
  readonly weights: readonly number[]
  /** Which word of the question each term is a form of. */
  readonly words: readonly number[]
  /** rows × count, row-major. */
  readonly frequencies: Float64Array
  readonly candidates: readonly RankCandidate[]
  readonly mean: number
  /** What a memory of mean length would score that held every term once. */
  readonly ideal: number
}

/**
 * What a word's further forms add to its best one. A memory that holds the exact word holds its prefixes too, so
 * their plain sum counts a long word twice and more, and short words and numbers once.
 */
const furtherForms = 0.4

/** Sum over words, the forms of each standing in a row: its best form whole, of the others a share. */
function sumByWord(values: ArrayLike<number>, words: readonly number[]): number {
  let sum = 0
  let best = 0
  for (let t = 0; t < words.length; t += 1) {
    const value = values[t] ?? 0
    if (t > 0 && words[t] !== words[t - 1]) {
      sum += (1 - furtherForms) * best
      best = 0
    }
    sum += furtherForms * value
    if (value > best) best = value
  }
  return sum + (1 - furtherForms) * best
}

/** BM25 of each memory joined with its neighbours, against the mean length of as many memories. */
function scoreSpan(
  pool: Pool,
  others: readonly Int32Array[],
): { score: Float64Array; coverage: Float64Array } {
  const { rows, count, weights, words, frequencies, candidates } = pool
  const scores = new Float64Array(count)
  const found = new Float64Array(count)
  const score = new Float64Array(rows)
  const coverage = new Float64Array(rows)
  const mean = Math.max(pool.mean, 1)
  for (let row = 0; row < rows; row += 1) {
    let length = candidates[row]?.length ?? 0
    let joined = 1
    for (const other of others) {
      const neighbour = candidates[other[row] ?? -1]
      if (!neighbour) continue
      length += neighbour.length
      joined += 1
    }
    const relative = length / (mean * joined)
    for (let t = 0; t < count; t += 1) {
      let frequency = frequencies[row * count + t] ?? 0
      for (const other of others) {
        const at = other[row] ?? -1
        if (at >= 0) frequency += frequencies[at * count + t] ?? 0
      }
      const weight = frequency > 0 ? (weights[t] ?? 0) : 0
      found[t] = weight
      scores[t] = weight > 0 ? weight * bm25Saturation(frequency, relative) : 0
    }
    score[row] = sumByWord(scores, words)
    coverage[row] = pool.ideal > 0 ? Math.min(1, sumByWord(found, words) / pool.ideal) : 0
  }
  return { score, coverage }
}

/** BM25 over sessions, as far as the pool shows them: each member gets its session's score. */
function scoreSessions(pool: Pool, sessions: readonly (readonly number[])[]): Float64Array {
  const { count, weights, words, frequencies, candidates } = pool
  const sums = sessions.map((members) => {
    const sum = new Float64Array(count)
    let length = 0
    for (const row of members) {
      length += candidates[row]?.length ?? 0
      for (let t = 0; t < count; t += 1) {
        sum[t] = (sum[t] ?? 0) + (frequencies[row * count + t] ?? 0)
      }
    }
    return { sum, length }
  })
  const meanLength =
    sums.reduce((total, entry) => total + entry.length, 0) / Math.max(1, sums.length)
  const rarity = weights.map((weight, t) => {
    const holders = sums.filter((entry) => (entry.sum[t] ?? 0) > 0).length
    return weight === 0 ? 0 : inverseFrequency(sums.length, holders)
  })
  const result = new Float64Array(pool.rows)
  const ideal = sumByWord(rarity, words)
  const scores = new Float64Array(count)
  sums.forEach(({ sum, length }, at) => {
    const relative = length / Math.max(1, meanLength)
    for (let t = 0; t < count; t += 1) {
      const frequency = sum[t] ?? 0
      scores[t] = frequency > 0 ? (rarity[t] ?? 0) * bm25Saturation(frequency, relative) : 0
    }
    const score = sumByWord(scores, words)
    for (const row of sessions[at] ?? []) result[row] = score
  })
  return scale(result, ideal)
}

/**
 * Half of the ideal score: below it even the best memory of the pool is a poor match, and
 * dividing by the pool's maximum alone would make it look like a perfect one.
 */
const floorShare = 0.5

/** Divides by the best value of the pool, or by a share of the ideal when all are poor. */
export function scale(values: Float64Array, ideal: number): Float64Array {
  let best = ideal * floorShare
  for (const value of values) if (value > best) best = value
  return best > 0 ? values.map((value) => Math.max(0, value) / best) : values
}
