/** Finds and ranks memories for a question: words and vectors give candidates, one fusion orders them. */
import { hashTerms } from '../crypto/term-hash.ts'
import type { QuestionContext, ReadContext } from '../operation.ts'
import { questionDates } from '../pipeline/dates.ts'
import { fitsNamespace, type Embedder } from '../pipeline/embed.ts'
import type { RankPeriod } from '../pipeline/fuse.ts'
import {
  candidatesMax,
  selectCandidates,
  spreadToNeighbours,
} from '../pipeline/ranking-candidates.ts'
import { analyzeQuestion, type QuestionTerm } from '../pipeline/terms.ts'
import { lexicalScores } from './bm25.ts'
import { CandidatePool, type Found, type Hit } from './candidate-pool.ts'
import {
  allowedDocuments,
  corpusSample,
  readCandidates,
  type CandidateRow,
} from './candidates.sql.ts'
import type { MemoryFilter } from './memories.sql.ts'
import type { RankingTexts } from './ranking-texts.ts'
import { historyTerm, quarantinedTerm, readPostings } from './postings.sql.ts'
import type { SealedVectors } from './sealed-vectors.ts'
import type { Unreadable } from './unreadable.ts'
import { searchVectors, type VectorSearch } from './vectors.ts'

/** Postings of one term that are read; a term beyond this is so common that it hardly tells. */
const postingsPerTermMax = 50_000
/**
 * Postings of all terms of all questions: each is read, scored and looked up once a question, about a
 * second in all. Questions of fewer than 30 terms together never meet it.
 */
const postingsMax = 1_500_000
/** Scored documents that a filter is applied to before candidates are cut. */
const filteredDocumentsMax = 20_000
/** Documents around the best matches that are read although a filter leaves them out. */
const contextDocumentsMax = 100
/** Below this many memories size and mean length are counted at once instead of estimated. */
const exactCorpusMax = 500
/**
 * Memories counted where there is no estimate: a namespace that grew within the last minute, or one
 * whose memories are private. A few milliseconds; a larger corpus hardly moves a weight.
 */
const countedMax = 4_000
/** Candidates whose text is opened: at least so many, and more where many results are asked for. */
const openedMin = 40
const openedPerResult = 2
/** Least candidates of each of several questions. */
const candidatesPerQuestionMin = 120

export interface PreparedQuestion {
  readonly text: string
  readonly terms: readonly (QuestionTerm & { term: string; hash: bigint })[]
  readonly vector: Float32Array | null
  readonly dates: readonly RankPeriod[]
  readonly embedderCoverage: number
}

/** The same question, asked of quarantined memories too: their words lie in lists of their own. */
export function withQuarantined(question: PreparedQuestion): PreparedQuestion {
  const apart = question.terms.map((term) => ({ ...term, hash: quarantinedTerm(term.hash) }))
  return { ...question, terms: [...question.terms, ...apart] }
}

/** The same question, asked of superseded and retired versions too. Before `withQuarantined`. */
export function withHistory(question: PreparedQuestion): PreparedQuestion {
  const apart = question.terms.map((term) => ({ ...term, hash: historyTerm(term.hash) }))
  return { ...question, terms: [...question.terms, ...apart] }
}

/** Analyzes one question; a failing embedder leaves the words (recall never depends on a service). */
export async function prepareQuestion(
  context: QuestionContext,
  embedder: Embedder | undefined,
  text: string,
): Promise<PreparedQuestion> {
  // A namespace with vectors of another model answers by its words until it is re-embedded.
  const model = embedder && fitsNamespace(embedder, context.settings) ? embedder : undefined
  const { indexKey, commonTerms } = context.settings
  const asked = [...analyzeQuestion(text)]
  const hashes = hashTerms(
    indexKey,
    asked.map(([term]) => term),
  )
  const terms = asked.map(([term, { weight, word }], index) => ({
    term,
    hash: hashes[index] ?? 0n,
    weight,
    word,
  }))
  return {
    text,
    // A term without postings would pass for the rarest of all.
    terms: terms.filter(({ hash }) => !commonTerms.has(hash)),
    vector: await embedQuestion(context, model, text),
    dates: questionDates(text, context.now),
    embedderCoverage: model?.coverage?.(text) ?? (model === undefined ? 0 : 1),
  }
}

async function embedQuestion(
  context: QuestionContext,
  embedder: Embedder | undefined,
  text: string,
): Promise<Float32Array | null> {
  if (embedder === undefined) return null
  try {
    return await context.stage('embed', () => embedder.embedQuestion(text, context.signal))
  } catch (error) {
    if (context.signal.aborted) throw error
    return null // words alone still answer; the failure is counted (watched-embedder.ts)
  }
}

/** What this process has decrypted and may use again. */
export interface OpenedBefore {
  readonly rankingTexts: RankingTexts
  readonly sealedVectors: SealedVectors
}

export interface Reading extends OpenedBefore {
  readonly unreadable: Unreadable
  /** How many hits will be shown. */
  readonly results: number
  /** No note is nearer for the notes stored beside it: what is found is to be deleted. */
  readonly isEachApart?: true | undefined
}

/**
 * Ranks the namespace's visible memories for one to five questions, best first. What does not decrypt is
 * no candidate; a memory whose vector alone is damaged is ranked by its words.
 */
export async function search(
  context: ReadContext,
  questions: readonly PreparedQuestion[],
  filter: MemoryFilter,
  { rankingTexts, sealedVectors, unreadable, results, isEachApart }: Reading,
): Promise<Hit[]> {
  const isFiltered = Object.values(filter).some((value) => value !== undefined)
  const vectors = searchVectors(context, isFiltered ? filter : undefined, {
    sealedVectors,
    unreadable,
  })
  // Independent reads, sent together: on Postgres they share one round trip.
  const [corpus, postings, cosines] = await Promise.all([
    context.stage('corpus', () => corpusOf(context)),
    context.stage('postings', () => postingsOf(context, questions)),
    context.stage('vectors', () => nearest(vectors, questions)),
  ])
  const found: Found = {
    corpus,
    byTerm: new Map(postings.map((entry) => [entry.term, entry])),
    cosines,
  }
  const documents = new Set<number>()
  const limit = Math.max(candidatesPerQuestionMin, Math.ceil(candidatesMax / questions.length))
  for (const [index, question] of questions.entries()) {
    const near = [...(cosines[index]?.keys() ?? [])]
    for (const document of await choose(context, question, found, near, limit, {
      filter,
      isFiltered,
    })) {
      documents.add(document)
    }
  }
  const rows = await context.stage('candidates', () =>
    readCandidates(context.tx, [...documents], filter),
  )
  await context.stage('cosines', () => completeCosines(vectors, questions, rows, cosines))
  const { pool, texts } = await context.stage('open', async () => {
    const speakers = await rankingTexts.speakers(context, rows, unreadable)
    const opened = new CandidatePool(context, questions, rows, { found, speakers, isEachApart })
    const promising = opened.promising(Math.max(openedMin, openedPerResult * results))
    return { pool: opened, texts: await rankingTexts.read(context, promising, unreadable) }
  })
  return context.stage('rank', () => pool.rank(texts))
}

async function corpusOf({ tx, settings }: ReadContext): Promise<Found['corpus']> {
  if (settings.documentCount > exactCorpusMax) {
    return { size: settings.documentCount, meanLength: settings.meanLength }
  }
  return corpusSample(tx, countedMax)
}

function postingsOf({ tx }: ReadContext, questions: readonly PreparedQuestion[]) {
  const hashes = questions.flatMap((question) => question.terms.map((term) => term.hash))
  return readPostings(tx, [...new Set(hashes)], mostPerTerm(hashes.length))
}

/** Postings read of each of `terms`, a term of two questions counted twice. */
export function mostPerTerm(terms: number): number {
  return Math.min(postingsPerTermMax, Math.floor(postingsMax / Math.max(1, terms)))
}

/** The documents to read for one question. A filter narrows both lists before they are cut. */
async function choose(
  context: ReadContext,
  question: PreparedQuestion,
  { byTerm, corpus }: Found,
  near: readonly number[],
  limit: number,
  { filter, isFiltered }: { filter: MemoryFilter; isFiltered: boolean },
): Promise<readonly number[]> {
  const lexical = await context.stage('bm25', async () =>
    spreadToNeighbours(
      await lexicalScores(
        question.terms.flatMap(({ hash, weight }) => {
          const postings = byTerm.get(hash)
          return postings ? [{ postings, weight }] : []
        }),
        corpus,
      ),
    ),
  )
  if (!isFiltered) return selectCandidates(lexical, near, limit)
  const page = lexical.slice(0, filteredDocumentsMax)
  const allowed = await context.stage('filter', () => allowedDocuments(context.tx, page, filter))
  const passing = page.filter((document) => allowed.has(document))
  const chosen = selectCandidates(passing, near, limit)
  // What stands around a hit informs its score, whether or not the filter lets it into the answer.
  return [...chosen, ...lexical.slice(0, contextDocumentsMax)]
}

async function nearest(
  vectors: VectorSearch,
  questions: readonly PreparedQuestion[],
): Promise<Map<number, number>[]> {
  const lists: Map<number, number>[] = []
  for (const { vector } of questions) {
    const rows = vector && (await vectors.nearest(vector, candidatesMax))
    lists.push(new Map((rows ?? []).map((row) => [row.document, row.cosine])))
  }
  return lists
}

/** Cosines of candidates that words found, so that the fusion compares like with like. */
async function completeCosines(
  vectors: VectorSearch,
  questions: readonly PreparedQuestion[],
  rows: readonly CandidateRow[],
  cosines: readonly Map<number, number>[],
): Promise<void> {
  for (const [index, { vector }] of questions.entries()) {
    const held = cosines[index]
    if (!vector || !held) continue
    const missing = rows.map((row) => row.document).filter((document) => !held.has(document))
    if (missing.length === 0) continue
    for (const row of await vectors.cosines(vector, missing)) {
      held.set(row.document, row.cosine)
    }
  }
}
