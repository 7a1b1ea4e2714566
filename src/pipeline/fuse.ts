// Orders recall candidates: features in, one linear score out. Pure; reads no clock and no database.
// Which memories become candidates: ranking-candidates.ts.
import { buildFeatures, featureNames } from './ranking-features.ts'
import { calibration, rankingWeights, type FeatureName } from './ranking-weights.ts'

/** A term of the analyzed question. Position in the list is the index into a candidate's frequencies. */
export interface RankTerm {
  /** As analyzeQuestion (terms.ts) gives it, before it is hashed. */
  readonly term: string
  /** Its weight in the question, 1 for a plain word. */
  readonly weight: number
  /** Number of the word it is a form of; the forms of a word stand in a row. */
  readonly word: number
  /** Number of visible memories that hold the term. */
  readonly documentFrequency: number
}

/** A stretch of time, both ends included. */
export interface RankPeriod {
  readonly from: Date
  readonly to: Date
  readonly grain: 'minute' | 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'season' | 'year'
}

/** The question and what is known about the namespace it is asked in. */
export interface RankRequest {
  readonly question: string
  readonly now: Date
  readonly terms: readonly RankTerm[]
  /** Memories in the namespace (an estimate will do). */
  readonly corpusSize: number
  /** Mean memory length in terms (an estimate will do). */
  readonly meanLength: number
  /** Periods named in the question. */
  readonly dates: readonly RankPeriod[]
  /**
   * Share (0..1) of the question's content words the embedder knows. Below about a half the
   * semantic features are switched off: vectors of a foreign language rank worse than none.
   */
  readonly embedderCoverage: number
}

/** One memory that may answer. Features it has no data for stay neutral. */
export interface RankCandidate {
  /** The namespace's small document number. */
  readonly doc: number
  /** False for a neighbour fetched only for its words: it informs others and is not returned. */
  readonly rankable: boolean
  /** How often each of the request's terms occurs in the memory, in the request's order. */
  readonly frequencies: ArrayLike<number>
  /** Length in terms. */
  readonly length: number
  readonly text: string
  /** Cosine of question and memory, null when either has no vector. */
  readonly cosine: number | null
  /** lateInteraction.tokenIds of the text, if the caller holds them; else made from the text. */
  readonly tokenIds?: Uint32Array
  /** Any string that is equal for memories of one session; null outside sessions. */
  readonly sessionKey: string | null
  /** Document number of the memory before this one in its session, null when there is none. */
  readonly previous: number | null
  /** Document number of the memory after this one in its session, null when there is none. */
  readonly next: number | null
  /** Document number of the note stored right before this one about the same time; null for none or in a session. */
  readonly storedBefore: number | null
  /** Document number of the note stored right after this one, as above. */
  readonly storedAfter: number | null
  readonly speaker: string | null
  /** When it was said or written; the time of storing when that is all we know. */
  readonly occurredAt: Date
  /** The date the text speaks of. */
  readonly event: RankPeriod | null
  /** 0..1; 0.5 is the default of a memory nobody rated. */
  readonly importance: number
  /** -1..1: how it served before; 0 when nobody said. */
  readonly feedback?: number
}

export interface RankOptions {
  /** Replaces single weights: for the bench and for experiments. */
  readonly weights?: Partial<Record<FeatureName, number>>
}

export interface Ranked {
  readonly doc: number
  /** 0..1, comparable between questions and namespaces; see `calibrate`. */
  readonly score: number
  /** What each feature added to the score before calibration; features that added nothing are absent. */
  readonly parts: Readonly<Partial<Record<FeatureName, number>>>
}

/**
 * Ranks the candidates of one question, best first; ties go to the newer memory, then to the
 * larger document number. Not rankable candidates are left out.
 */
export function rank(
  request: RankRequest,
  candidates: readonly RankCandidate[],
  options: RankOptions = {},
): Ranked[] {
  const weights = featureNames.map((name) => options.weights?.[name] ?? rankingWeights[name])
  const { matrix, width } = buildFeatures(request, candidates)
  const ranked: { result: Ranked; raw: number; at: number }[] = []
  candidates.forEach((candidate, row) => {
    if (!candidate.rankable) return
    const parts: Partial<Record<FeatureName, number>> = {}
    let raw = 0
    featureNames.forEach((name, column) => {
      const part = (weights[column] ?? 0) * (matrix[row * width + column] ?? 0)
      if (part === 0) return
      parts[name] = part
      raw += part
    })
    const result = { doc: candidate.doc, score: calibrate(raw), parts }
    ranked.push({ result, raw, at: candidate.occurredAt.getTime() })
  })
  ranked.sort((a, b) => b.raw - a.raw || b.at - a.at || b.result.doc - a.result.doc)
  return ranked.map((entry) => entry.result)
}

/**
 * Logistic curve from the linear score to 0..1. 0.5 is where the best memory of a question is as likely
 * to belong to one that is answered here as to one about something else; on the project's dialogues 75 %
 * of the answered questions lie above and 82 % of the others below (bench/calibrate-ranking.ts).
 */
function calibrate(raw: number): number {
  return 1 / (1 + Math.exp(-(raw - calibration.midpoint) / calibration.width))
}

/**
 * Merges the rankings of several questions over one candidate pool: a memory keeps its best score
 * and gains a little from each further question that finds it too, never passing 1.
 */
export function fuseQueries(rankings: readonly (readonly Ranked[])[]): Ranked[] {
  const [only] = rankings
  if (rankings.length === 1 && only) return [...only]
  const best = new Map<number, Ranked>()
  const missed = new Map<number, number>()
  for (const ranking of rankings) {
    for (const entry of ranking) {
      const held = best.get(entry.doc)
      if (!held || entry.score > held.score) best.set(entry.doc, entry)
      missed.set(entry.doc, (missed.get(entry.doc) ?? 1) * (1 - secondary * entry.score))
    }
  }
  const fused = [...best.values()].map((entry) => {
    // The best score enters whole, the others by `secondary` of their value (a noisy or).
    const others = (missed.get(entry.doc) ?? 1) / (1 - secondary * entry.score)
    return { ...entry, score: 1 - (1 - entry.score) * others }
  })
  return fused.toSorted((a, b) => b.score - a.score || b.doc - a.doc)
}

const secondary = 0.3
