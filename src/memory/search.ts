/** Finds and ranks memories for a question: words and vectors give candidates, one fusion orders them. */
import { hashTerms } from '../crypto/term-hash.ts'
import type { CommitContext, PrepareContext } from '../operation.ts'
import { questionDates } from '../pipeline/dates.ts'
import type { Embedder } from '../pipeline/embed.ts'
import {
  fuseQueries,
  rank,
  type RankCandidate,
  type Ranked,
  type RankPeriod,
} from '../pipeline/fuse.ts'
import { lateInteraction, type LateQuestion } from '../pipeline/late-interaction.ts'
import { analyzeQuestion } from '../pipeline/terms.ts'
import {
  allowedDocuments,
  corpusSample,
  readCandidates,
  type CandidateRow,
} from './candidates.sql.ts'
import { cosinesOf, nearestDocuments } from './embeddings.sql.ts'
import { decodeOptional, fieldCodec } from './fields.ts'
import type { MemoryFilter } from './memories.sql.ts'
import { readPostings, type TermPostings } from './postings.sql.ts'
import { bestDocuments, lexicalScores } from './bm25.ts'

/** Candidates by words and by vector: the fusion loses 0.2 points of recall against ranking everything (lab). */
const lexicalCandidates = 200
const semanticCandidates = 100
/** Best lexical hits whose session neighbours are read too: an answer often follows the words asked for. */
const neighbourSeeds = 60
/** Postings of one term that are read; a term beyond this is so common that it hardly tells. */
const postingsPerTermMax = 50_000
/** Scored documents that a filter is applied to before candidates are cut. */
const filteredDocumentsMax = 20_000
/** Below this many memories size and mean length are counted at once instead of estimated. */
const exactCorpusMax = 2_000
/** Characters of a memory the ranking looks at. */
const rankedCharactersMax = 4_096

export interface PreparedQuestion {
  readonly text: string
  readonly terms: readonly { term: string; hash: bigint; weight: number }[]
  readonly vector: Float32Array | null
  readonly late: LateQuestion | null
  readonly dates: readonly RankPeriod[]
  readonly embedderCoverage: number
}

export interface Hit {
  readonly row: CandidateRow
  readonly score: number
  readonly parts: Ranked['parts']
}

/** Analyzes one question; a failing embedder leaves the words (recall never depends on a service). */
export async function prepareQuestion(
  context: PrepareContext,
  embedder: Embedder | undefined,
  text: string,
): Promise<PreparedQuestion> {
  const weights = [...analyzeQuestion(text)]
  const hashes = hashTerms(
    context.settings.indexKey,
    weights.map(([term]) => term),
  )
  return {
    text,
    terms: weights.map(([term, weight], index) => ({ term, hash: hashes[index] ?? 0n, weight })),
    vector: await embedQuestion(context, embedder, text),
    late: lateInteraction.prepare(text),
    dates: questionDates(text, context.now),
    embedderCoverage: embedder?.coverage?.(text) ?? (embedder === undefined ? 0 : 1),
  }
}

async function embedQuestion(
  context: PrepareContext,
  embedder: Embedder | undefined,
  text: string,
): Promise<Float32Array | null> {
  if (embedder === undefined) return null
  try {
    return await context.stage('embed', () => embedder.embedQuestion(text, context.signal))
  } catch (error) {
    if (context.signal.aborted) throw error
    return null // words alone still answer; the failure is counted by the embedder
  }
}

/** Ranks the namespace's visible memories for one to five questions, best first. */
export async function search(
  context: CommitContext,
  questions: readonly PreparedQuestion[],
  filter: MemoryFilter,
): Promise<Hit[]> {
  const { tx, settings } = context
  const corpus =
    settings.documentCount > exactCorpusMax
      ? { size: settings.documentCount, meanLength: settings.meanLength }
      : await context.stage('corpus', () => corpusSample(tx, exactCorpusMax))
  const hashes = [...new Set(questions.flatMap((question) => question.terms.map((t) => t.hash)))]
  const postings = await context.stage('postings', () =>
    readPostings(tx, hashes, postingsPerTermMax),
  )
  const byTerm = new Map(postings.map((entry) => [entry.term, entry]))
  const documents = new Set<number>()
  for (const question of questions) {
    for (const document of await lexicalTop(context, question, byTerm, corpus, filter)) {
      documents.add(document)
    }
  }
  const cosines = await context.stage('vectors', () => nearest(context, questions, filter))
  for (const list of cosines) for (const document of list.keys()) documents.add(document)
  const rows = await context.stage('candidates', () =>
    candidatesWithNeighbours(context, [...documents], filter),
  )
  await context.stage('cosines', () => completeCosines(context, questions, rows, cosines))
  return context.stage('rank', () => rankRows(context, questions, rows, byTerm, corpus, cosines))
}

type Corpus = { readonly size: number; readonly meanLength: number }

/** Best documents by BM25 that pass the filter; hidden ones are skipped, not counted. */
async function lexicalTop(
  context: CommitContext,
  question: PreparedQuestion,
  byTerm: ReadonlyMap<bigint, TermPostings>,
  corpus: Corpus,
  filter: MemoryFilter,
): Promise<number[]> {
  const scores = await context.stage('bm25', () =>
    lexicalScores(
      question.terms.flatMap(({ hash, weight }) => {
        const postings = byTerm.get(hash)
        return postings ? [{ postings, weight }] : []
      }),
      corpus,
    ),
  )
  const ordered = bestDocuments(scores, filteredDocumentsMax)
  if (ordered.length <= lexicalCandidates) return ordered
  const unfiltered = Object.values(filter).every((value) => value === undefined)
  // Private memories of others may stand among the best: read some more than needed in one go.
  const page = ordered.slice(0, unfiltered ? lexicalCandidates * 2 : filteredDocumentsMax)
  const allowed = await context.stage('filter', () => allowedDocuments(context.tx, page, filter))
  return page.filter((document) => allowed.has(document)).slice(0, lexicalCandidates)
}

async function nearest(
  context: CommitContext,
  questions: readonly PreparedQuestion[],
  filter: MemoryFilter,
): Promise<Map<number, number>[]> {
  const lists: Map<number, number>[] = []
  for (const { vector } of questions) {
    const rows = vector && (await nearestDocuments(context.tx, vector, filter, semanticCandidates))
    lists.push(new Map((rows ?? []).map((row) => [row.document, row.cosine])))
  }
  return lists
}

/** Candidate rows and, for the best of them, the memories right before and after in their session. */
async function candidatesWithNeighbours(
  context: CommitContext,
  documents: readonly number[],
  filter: MemoryFilter,
): Promise<CandidateRow[]> {
  if (documents.length === 0) return []
  const rows = await readCandidates(context.tx, documents, filter)
  const known = new Set(rows.map((row) => row.document))
  const order = new Map(documents.map((document, index) => [document, index]))
  const seeds = rows
    .toSorted((a, b) => (order.get(a.document) ?? 0) - (order.get(b.document) ?? 0))
    .slice(0, neighbourSeeds)
  const missing = new Set<number>()
  for (const { previous, next } of seeds) {
    if (previous !== null && !known.has(previous)) missing.add(previous)
    if (next !== null && !known.has(next)) missing.add(next)
  }
  if (missing.size === 0) return rows
  const around = await readCandidates(context.tx, [...missing], filter)
  return [...rows, ...around]
}

/** Cosines of candidates that words found, so that the fusion compares like with like. */
async function completeCosines(
  context: CommitContext,
  questions: readonly PreparedQuestion[],
  rows: readonly CandidateRow[],
  cosines: readonly Map<number, number>[],
): Promise<void> {
  for (const [index, { vector }] of questions.entries()) {
    const held = cosines[index]
    if (!vector || !held) continue
    const missing = rows.map((row) => row.document).filter((document) => !held.has(document))
    if (missing.length === 0) continue
    for (const row of await cosinesOf(context.tx, vector, missing)) {
      held.set(row.document, row.cosine)
    }
  }
}

function rankRows(
  context: CommitContext,
  questions: readonly PreparedQuestion[],
  rows: readonly CandidateRow[],
  byTerm: ReadonlyMap<bigint, TermPostings>,
  corpus: Corpus,
  cosines: readonly Map<number, number>[],
): Hit[] {
  const codec = fieldCodec(context.settings)
  const read = rows.map((row) => ({
    row,
    text: codec.decode('content', row.content).slice(0, rankedCharactersMax),
    speaker: decodeOptional(codec, 'speaker', row.speaker) ?? null,
  }))
  const rankings = questions.map((question, index) => {
    const frequencies = frequenciesOf(question, byTerm)
    const candidates = read.map(({ row, text, speaker }): RankCandidate => ({
      doc: row.document,
      rankable: row.rankable,
      frequencies: frequencies.get(row.document) ?? [],
      length: row.length,
      text,
      cosine: cosines[index]?.get(row.document) ?? null,
      late: question.late && lateInteraction.score(question.late, text),
      sessionKey: row.session_key?.toString('hex') ?? null,
      previous: row.previous,
      next: row.next,
      speaker,
      occurredAt: row.occurred_at,
      event: eventOf(row),
      importance: row.importance,
    }))
    return rank(
      {
        question: question.text,
        now: context.now,
        terms: question.terms.map(({ term, hash, weight }) => ({
          term,
          weight,
          documentFrequency: byTerm.get(hash)?.documents.length ?? 0,
        })),
        corpusSize: corpus.size,
        meanLength: corpus.meanLength,
        dates: question.dates,
        embedderCoverage: question.embedderCoverage,
      },
      candidates,
    )
  })
  const rowOf = new Map(rows.map((row) => [row.document, row]))
  return fuseQueries(rankings).flatMap(({ doc, score, parts }) => {
    const row = rowOf.get(doc)
    return row ? [{ row, score, parts }] : []
  })
}

/** Term frequencies by document, in the order of the question's terms. */
function frequenciesOf(question: PreparedQuestion, byTerm: ReadonlyMap<bigint, TermPostings>) {
  const frequencies = new Map<number, Uint16Array>()
  for (const [index, { hash }] of question.terms.entries()) {
    const postings = byTerm.get(hash)
    if (!postings) continue
    for (const [at, document] of postings.documents.entries()) {
      let row = frequencies.get(document)
      if (!row) frequencies.set(document, (row = new Uint16Array(question.terms.length)))
      row[index] = postings.frequencies[at] ?? 0
    }
  }
  return frequencies
}

function eventOf(row: CandidateRow): RankPeriod | null {
  if (!row.event_from || !row.event_to || row.event_grain === null) return null
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by dates.ts alone, so the grain is one of its own
  const grain = (row.event_grain === 'weekend' ? 'day' : row.event_grain) as RankPeriod['grain']
  return { from: row.event_from, to: row.event_to, grain }
}
