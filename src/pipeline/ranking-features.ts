// Turns a question and its candidates into the numbers the ranking weighs.
import type { RankCandidate, RankRequest } from './fuse.ts'
import { lateInteraction } from './late-interaction.ts'
import {
  asksSomething,
  bestPeriod,
  datesItself,
  findNamedSpeakers,
  holdsQuantity,
  isQuestion,
  namesPlace,
  nearPeriod,
  overlapsPeriod,
  readCues,
} from './ranking-cues.ts'
import {
  groupSessions,
  locateNeighbours,
  scale,
  scoreFields,
  type LexicalFields,
  type Neighbours,
} from './ranking-lexical.ts'
import { rankingWeights, type FeatureName } from './ranking-weights.ts'
import { analyzeQuestion } from './terms.ts'

/** Every feature, in the order of the matrix columns. */
export const featureNames = Object.keys(rankingWeights).filter(
  (name): name is FeatureName => name in rankingWeights,
)

/** Feature values, one row a candidate, `width` columns, row-major. */
export interface FeatureMatrix {
  readonly matrix: Float64Array
  readonly width: number
}

/** Computes the features of every candidate; linear in candidates × terms. */
export function buildFeatures(
  request: RankRequest,
  candidates: readonly RankCandidate[],
): FeatureMatrix {
  const width = featureNames.length
  const named = findNamedSpeakers(request.question, candidates)
  const nameTerms = new Set([...named.words].flatMap((word) => [...analyzeQuestion(word).keys()]))
  const isName = request.terms.map(({ term }) => nameTerms.has(term))
  const { session: neighbours, stored } = locateNeighbours(candidates)
  const sessions = groupSessions(candidates)
  const lexical = scoreFields(request, candidates, neighbours, sessions, isName)
  const semantic = scaleSemantic(request, candidates, named.words, lexical, isName)
  const base = blend(lexical, semantic)
  const columns: Record<FeatureName, (row: number, candidate: RankCandidate) => number> = {
    own: (row) => lexical.own[row] ?? 0,
    withPrevious: (row) => lexical.withPrevious[row] ?? 0,
    session: (row) => lexical.session[row] ?? 0,
    coverage: (row) => lexical.coverage[row] ?? 0,
    windowCoverage: (row) => lexical.windowCoverage[row] ?? 0,
    late: (row) => semantic.late[row] ?? 0,
    cosine: (row) => semantic.cosine[row] ?? 0,
    ...neighbourColumns(candidates, neighbours, sessions, base),
    ...storedColumns(stored, base),
    ...wordingColumns(request, candidates, named.speakers, base, neighbours),
  }
  const matrix = new Float64Array(candidates.length * width)
  featureNames.forEach((name, column) => {
    const value = columns[name]
    candidates.forEach((candidate, row) => {
      matrix[row * width + column] = value(row, candidate)
    })
  })
  return { matrix, width }
}

/** Memories compared word by word: 100 instead of 50 gain 0.3 points in chat and cost 1 ms. */
const lateMax = 64

interface SemanticFields {
  readonly late: Float64Array
  readonly cosine: Float64Array
  /** 0..1: how far the embedder can be trusted with this question. */
  readonly trust: number
}

/** Scales the embedder's scores and fades them out where it knows too few of the words. */
function scaleSemantic(
  request: RankRequest,
  candidates: readonly RankCandidate[],
  names: ReadonlySet<string>,
  lexical: LexicalFields,
  isName: readonly boolean[],
): SemanticFields {
  const trust = trustEmbedder(request, isName)
  const cosine = scale(
    Float64Array.from(candidates, (candidate) => candidate.cosine ?? 0),
    1,
  )
  const promise = cosine.map(
    (value, row) => value + (lexical.own[row] ?? 0) + 0.5 * (lexical.window[row] ?? 0),
  )
  const late = scale(scoreLate(request, candidates, names, promise), 1)
  return {
    trust,
    late: late.map((value) => value * trust),
    cosine: cosine.map((value) => value * trust),
  }
}

/**
 * How far (0..1) vectors may speak. Of English questions 95 % have at least two thirds of their words
 * known, of German, Turkish or Russian ones 5 %; names of speakers, mostly unknown, do not count.
 */
function trustEmbedder(request: RankRequest, isName: readonly boolean[]): number {
  const words = request.terms.filter(({ term }) => !/^\d:/.test(term)).length
  const names = request.terms.filter(({ term }, t) => isName[t] && !/^\d:/.test(term)).length
  const share = words > names ? (request.embedderCoverage * words) / (words - names) : 0
  return Math.min(1, Math.max(0, (Math.min(1, share) - 0.5) / 0.25))
}

/**
 * Late interaction with the question without its names: they say who speaks, not what about. Only for
 * the most promising memories, since splitting a text into words costs more than all other features.
 */
function scoreLate(
  request: RankRequest,
  candidates: readonly RankCandidate[],
  names: ReadonlySet<string>,
  promise: Float64Array,
): Float64Array {
  const scores = new Float64Array(candidates.length)
  const question = lateInteraction.prepare(request.question, names)
  if (!question) return scores
  const best = [...promise.keys()].toSorted((a, b) => (promise[b] ?? 0) - (promise[a] ?? 0))
  for (const row of best.slice(0, lateMax)) {
    const candidate = candidates[row]
    if (candidate) {
      scores[row] = lateInteraction.score(question, candidate.tokenIds ?? candidate.text)
    }
  }
  return scores
}

/** A memory's own match before any context: what neighbours and sessions lend each other. */
function blend(lexical: LexicalFields, semantic: SemanticFields): Float64Array {
  const share = 0.5 * semantic.trust
  return lexical.own.map(
    (own, row) =>
      (1 - share) * own + 0.3 * (semantic.late[row] ?? 0) + 0.2 * (semantic.cosine[row] ?? 0),
  )
}

type Column = (row: number, candidate: RankCandidate) => number

function neighbourColumns(
  candidates: readonly RankCandidate[],
  neighbours: Neighbours,
  sessions: readonly (readonly number[])[],
  base: Float64Array,
): Record<'secondPrevious' | 'answersPrevious' | 'sessionPool', Column> {
  const pool = new Float64Array(base.length)
  for (const members of sessions) {
    const best = members.map((row) => base[row] ?? 0).toSorted((a, b) => b - a)
    const mean = ((best[0] ?? 0) + (best[1] ?? 0) + (best[2] ?? 0)) / 3
    for (const row of members) pool[row] = mean
  }
  const before = (row: number): number => neighbours.previous[row] ?? -1
  return {
    secondPrevious: (row) => base[before(before(row))] ?? 0,
    answersPrevious: (row) => {
      const previous = candidates[before(row)]
      return previous && asksSomething(previous.text) ? (base[before(row)] ?? 0) : 0
    },
    sessionPool: (row) => pool[row] ?? 0,
  }
}

/** What is written down in one go is mostly about one thing, and its parts do not repeat each other's words. */
function storedColumns(stored: Neighbours, base: Float64Array): Record<'storedBeside', Column> {
  const match = (row: number | undefined): number => base[row ?? -1] ?? 0
  return {
    storedBeside: (row) => (match(stored.previous[row]) + match(stored.next[row])) / 2,
  }
}

/** Half the best match of the pool counts as relevant enough. */
const relevanceGain = 2

type WordingColumn =
  | 'speakerNamed'
  | 'temporalCue'
  | 'dateSession'
  | 'dateEvent'
  | 'isQuestion'
  | 'length'
  | 'place'
  | 'quantity'
  | 'latest'
  | 'recency'
  | 'importance'
  | 'feedback'
  | 'note'

function wordingColumns(
  request: RankRequest,
  candidates: readonly RankCandidate[],
  named: ReadonlySet<string>,
  base: Float64Array,
  neighbours: Neighbours,
): Record<WordingColumn, Column> {
  const cues = readCues(request.question)
  const times = candidates.map((candidate) => candidate.occurredAt.getTime())
  const oldest = times.reduce((least, at) => Math.min(least, at), Infinity)
  const span = times.reduce((most, at) => Math.max(most, at), -Infinity) - oldest
  const age = (candidate: RankCandidate): number =>
    span > 0 ? (candidate.occurredAt.getTime() - oldest) / span : 0
  // A date or a number answers only where the talk is about what was asked: here or one turn away.
  const relevance = base.map((own, row) => {
    const previous = base[neighbours.previous[row] ?? -1] ?? 0
    const next = base[neighbours.next[row] ?? -1] ?? 0
    return Math.min(1, relevanceGain * Math.max(own, previous, 0.7 * next))
  })
  const cue = (row: number, shown: boolean): number => (shown ? (relevance[row] ?? 0) : 0)
  const isNamed = (speaker: string | null): boolean => speaker !== null && named.has(speaker)
  return {
    speakerNamed: (_, { speaker }) => (isNamed(speaker) ? 1 : 0),
    temporalCue: (row, candidate) => cue(row, cues.when && datesItself(candidate)),
    dateSession: (_, candidate) =>
      bestPeriod(request, (period) => nearPeriod(candidate.occurredAt, period)),
    dateEvent: (_, { event }) =>
      event ? bestPeriod(request, (period) => overlapsPeriod(event, period)) : 0,
    isQuestion: (_, { text }) => (isQuestion(text) ? 1 : 0),
    // In talk the longer turn says more; a note is as long as it is.
    length: (_, { sessionKey, length }) =>
      sessionKey === null ? 0 : Math.min(1, Math.log(1 + length) / 4),
    place: (row, { text }) => cue(row, cues.where && namesPlace(text)),
    quantity: (row, { text }) => cue(row, cues.quantity && holdsQuantity(text)),
    latest: (row, candidate) =>
      cues.order === 0 ? 0 : cues.order * (2 * age(candidate) - 1) * (base[row] ?? 0),
    recency: (_, candidate) => age(candidate),
    importance: (_, { importance }) => importance - 0.5,
    feedback: (_, { feedback = 0 }) => feedback,
    note: (_, { sessionKey }) => (sessionKey === null ? 1 : 0),
  }
}
