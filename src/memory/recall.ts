/** The operation `recall`: a question searches, ids read, neither browses newest first. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { CommitContext, NamespaceSettings, Operation } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { readDocuments, readNeighbours } from './candidates.sql.ts'
import { openCursor, sealCursor } from './cursor.ts'
import { entityKey, sessionKey, speakerKey, tagTerm } from './keys.ts'
import { boundedText, label, memoryId, memoryTypes, timestamp } from './memory.ts'
import {
  browseMemories,
  readMemories,
  readVersions,
  type MemoryFilter,
  type MemoryRow,
} from './memories.sql.ts'
import { presentedMemory, presentMemory, type PresentedMemory } from './present.ts'
import {
  prepareQuestion,
  search,
  withQuarantined,
  type Hit,
  type OpenedBefore,
  type PreparedQuestion,
} from './search.ts'
import { fairShares } from './trust.ts'
import { Unreadable } from './unreadable.ts'

export const questionsMax = 5
const questionBytesMax = 8 * 1024
const resultsMax = 100
const defaultResults = 10

/** Filters that recall, forget and export share. */
export const filterFields = {
  types: z.array(z.enum(memoryTypes)).max(memoryTypes.length).optional(),
  tags: z.array(label('a tag')).max(16).optional().describe('Only memories with all of these tags'),
  entity: label('entity').optional().describe('Only memories that mention this name'),
  agent: label('agent').optional().describe('Only memories stored by this agent'),
  session: label('session').optional(),
  speaker: label('speaker').optional(),
  after: timestamp.optional().describe('Happened at or after (ISO 8601)'),
  before: timestamp.optional().describe('Happened before (ISO 8601)'),
}
const filterSchema = z.object(filterFields)

/** Turns a request's filters into keys and terms of the namespace. */
export function toFilter(
  settings: NamespaceSettings,
  input: z.output<typeof filterSchema>,
): MemoryFilter {
  const { indexKey } = settings
  return {
    types: input.types,
    agent: input.agent,
    after: input.after,
    before: input.before,
    tagTerms: input.tags?.map((tag) => tagTerm(indexKey, tag)),
    entity: input.entity === undefined ? undefined : entityKey(indexKey, input.entity),
    sessionKey: input.session === undefined ? undefined : sessionKey(indexKey, input.session),
    speakerKey: input.speaker === undefined ? undefined : speakerKey(indexKey, input.speaker),
  }
}

const recallInput = z
  .strictObject({
    query: boundedText(questionBytesMax, 'query')
      .optional()
      .describe('A question in natural language'),
    queries: z
      .array(boundedText(questionBytesMax, 'a query'))
      .min(1)
      .max(questionsMax)
      .optional()
      .describe('Several phrasings or parts of one question, ranked together'),
    ids: z.array(memoryId).min(1).max(resultsMax).optional().describe('Read exactly these'),
    history: z.boolean().optional().describe('With ids: every version of them, newest first'),
    ...filterFields,
    limit: z.int().min(1).max(resultsMax).optional().describe('At most so many results (10)'),
    min_score: z.number().min(0).max(1).optional(),
    neighbours: z
      .int()
      .min(0)
      .max(5)
      .optional()
      .describe('Also give so many memories before and after each hit in its session'),
    include_quarantined: z
      .boolean()
      .optional()
      .describe('Also what is quarantined; for administrators'),
    explain: z.boolean().optional().describe('Show what each part added to the score'),
    cursor: z.string().max(1024).optional().describe('next_cursor of the page before'),
  })
  .superRefine((input, context) => {
    const ways = [input.query, input.queries, input.ids].filter((way) => way !== undefined)
    if (ways.length > 1) {
      context.addIssue({
        code: 'custom',
        path: ['query'],
        message: 'give one of query, queries and ids',
      })
    }
    if (input.history === true && input.ids === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['history'],
        message: 'history reads ids; give ids',
      })
    }
    if (input.cursor !== undefined && ways.length > 0) {
      context.addIssue({
        code: 'custom',
        path: ['cursor'],
        message: 'a cursor pages through browsing; leave query, queries and ids out',
      })
    }
  })

const result = presentedMemory.extend({
  score: z.number().optional().describe('0 to 1; absent when nothing was asked'),
  parts: z.record(z.string(), z.number()).optional(),
  is_current: z.boolean().optional().describe('With history: whether this version holds now'),
  neighbours: z
    .array(presentedMemory.extend({ place: z.int().describe('-1 is the memory right before') }))
    .optional(),
})

const recallOutput = z.object({
  results: z.array(result),
  missing: z.array(z.string()).optional().describe('Asked ids that are not there for you'),
  unreadable: z
    .array(z.string())
    .optional()
    .describe('Memories with a stored value that does not decrypt: damaged, and left out'),
  next_cursor: z.string().optional(),
  stages_ms: z
    .record(z.string(), z.number())
    .optional()
    .describe('With explain: milliseconds by step'),
})

type RecallInput = z.output<typeof recallInput>
export type RecallResult = z.output<typeof result>

interface PreparedRecall {
  readonly questions: readonly PreparedQuestion[]
  readonly filter: MemoryFilter
}

export interface RecallDependencies extends OpenedBefore {
  readonly embedder: Embedder | undefined
  readonly cursorKey: Uint8Array
}

/** Builds the operation. Reads in the caller's namespace under its policies; expired memories never appear. */
export function recallOperation({
  embedder,
  cursorKey,
  ...openedBefore
}: RecallDependencies): Operation<typeof recallInput, typeof recallOutput, PreparedRecall> {
  return {
    name: 'recall',
    title: 'Recall memories',
    description:
      'Find what was stored: ask with query (or up to five queries), read with ids, or leave both out to browse the newest. Narrow with types, tags, entity, agent, session, speaker, after and before.',
    scope: 'memory:read',
    effect: 'read',
    input: recallInput,
    output: recallOutput,
    quarantine: (input) => (input.include_quarantined === true ? 'shown' : 'hidden'),
    isIdempotent: () => true,
    prepare: async (context, input) => {
      const texts = input.queries ?? (input.query === undefined ? [] : [input.query])
      const questions: PreparedQuestion[] = []
      for (const text of texts) questions.push(await prepareQuestion(context, embedder, text))
      const asked = input.include_quarantined === true ? questions.map(withQuarantined) : questions
      return { questions: asked, filter: toFilter(context.settings, input) }
    },
    commit: async (context, prepared, input) => {
      const unreadable = new Unreadable()
      const output = await answer(context, prepared, input, {
        cursorKey,
        unreadable,
        ...openedBefore,
      })
      await unreadable.requireCurrent(context)
      // The statement's clock judged expiry; time went on since. Not for a millisecond.
      const now = Date.now()
      const alive = (memory: { expires_at?: string | undefined }) =>
        memory.expires_at === undefined || Date.parse(memory.expires_at) > now
      const results = output.results.filter(alive).map((entry) => ({
        ...entry,
        ...(entry.neighbours && { neighbours: entry.neighbours.filter(alive) }),
      }))
      const explained = input.explain === true && { stages_ms: context.stages() }
      return {
        output: {
          ...output,
          results,
          ...(unreadable.count > 0 && { unreadable: unreadable.ids }),
          ...explained,
        },
        unreadable: unreadable.count,
        audit: {
          resourceIds: results.map((entry) => entry.id),
          counts: { results: results.length, questions: prepared.questions.length },
        },
      }
    },
  }
}

type Answering = Omit<RecallDependencies, 'embedder'> & { readonly unreadable: Unreadable }

async function answer(
  context: CommitContext,
  prepared: PreparedRecall,
  input: RecallInput,
  { cursorKey, ...reading }: Answering,
): Promise<z.output<typeof recallOutput>> {
  const show = presenter(context, reading.unreadable)
  if (input.ids) {
    const output = await readByIds(context, input.ids, input.history === true, show)
    reading.unreadable.requireAny(output.results)
    return output
  }
  if (prepared.questions.length === 0) {
    return browse({ ...context, show }, prepared.filter, input, cursorKey)
  }
  const hits = await search(context, prepared.questions, prepared.filter, reading)
  const good = hits.filter((hit) => hit.score >= (input.min_score ?? 0))
  return { results: await context.stage('read', () => present({ ...context, show }, good, input)) }
}

/** A row as callers see it; undefined when a value of it does not decrypt. */
type Show = (row: MemoryRow) => PresentedMemory | undefined
type ShowContext = CommitContext & { readonly show: Show }

function presenter({ settings }: CommitContext, unreadable: Unreadable): Show {
  return (row) => unreadable.skip(row.id, () => presentMemory(settings, row))
}

/**
 * Rows of the best hits, in no order; one that expired meanwhile is left out. Where a source below
 * normal trust has had its share (trust.ts), the next hits take its places.
 */
async function readBest(
  { tx }: CommitContext,
  hits: readonly Hit[],
  limit: number,
): Promise<MemoryRow[]> {
  const mayTake = fairShares(limit)
  const best: MemoryRow[] = []
  let start = 0
  while (start < hits.length && best.length < limit) {
    // Mostly the first page is the answer; one source that filled it may have filled many more.
    const page = hits.slice(start, start === 0 ? limit : start + resultsMax).map(documentOf)
    start += page.length
    const rows = new Map((await readDocuments(tx, page)).map((row) => [row.document, row]))
    const fair = page.flatMap((document) => {
      const row = rows.get(document)
      if (!row) return []
      const agent = row.source_agent ?? row.owner_agent
      return mayTake({ kind: row.source_kind, trust: row.trust, agent }) ? [row] : []
    })
    best.push(...fair.slice(0, limit - best.length))
    if (fair.length === rows.size) break
  }
  return best
}

function documentOf(hit: Hit): number {
  return hit.document
}

/** Whole memories for the best of the hits, in their order. */
async function present(
  context: ShowContext,
  hits: readonly Hit[],
  input: RecallInput,
): Promise<RecallResult[]> {
  const rows = await readBest(context, hits, input.limit ?? defaultResults)
  if (rows.length === 0) return []
  const byDocument = new Map(rows.map((row) => [row.document, row]))
  const around = await neighboursOf(context, [...byDocument.keys()], input.neighbours ?? 0)
  return hits.flatMap(({ document, score, parts }) => {
    const row = byDocument.get(document)
    const memory = row && context.show(row)
    if (!memory) return []
    return {
      ...memory,
      score: Math.round(score * 10_000) / 10_000,
      ...(input.explain === true && { parts: { ...parts } }),
      ...(around.size > 0 && { neighbours: around.get(document) ?? [] }),
    }
  })
}

async function readByIds(
  context: CommitContext,
  ids: readonly string[],
  history: boolean,
  show: Show,
) {
  const wanted = [...new Set(ids.map((id) => id.toLowerCase()))]
  const found = new Map<string, RecallResult[]>()
  const add = (row: MemoryRow, more: Pick<RecallResult, 'is_current'>) => {
    const memory = show(row)
    const versions = found.get(row.id) ?? []
    found.set(row.id, memory ? [...versions, { ...memory, ...more }] : versions)
  }
  if (history) {
    for (const row of await readVersions(context.tx, wanted)) {
      add(row, { is_current: row.is_current })
    }
  } else {
    for (const row of await readMemories(context.tx, wanted)) {
      add(row, {})
    }
  }
  const absent = wanted.filter((id) => !found.has(id))
  return {
    results: wanted.flatMap((id) => found.get(id) ?? []),
    ...(absent.length > 0 && { missing: absent }),
  }
}

async function browse(
  context: ShowContext,
  filter: MemoryFilter,
  input: RecallInput,
  cursorKey: Uint8Array,
) {
  const limit = input.limit ?? defaultResults
  const { cursor, limit: _limit, neighbours: _neighbours, explain: _explain, ...listing } = input
  const binding = {
    principal: context.principal,
    operation: 'recall',
    filter: JSON.stringify(listing),
  }
  const after =
    cursor === undefined ? undefined : toPosition(openCursor(cursorKey, binding, cursor))
  const rows = await browseMemories(context.tx, filter, after, limit + 1)
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const more = rows.length > limit && last !== undefined
  return {
    results: page.flatMap((row) => context.show(row) ?? []),
    ...(more && {
      next_cursor: sealCursor(cursorKey, binding, [last.recorded_at.toISOString(), last.id]),
    }),
  }
}

function toPosition([recordedAt, id]: readonly string[]) {
  if (recordedAt === undefined || id === undefined) {
    throw new AppError('invalid_input', 'The cursor is not valid here. Start again without one.')
  }
  return { recordedAt: new Date(recordedAt), id }
}

async function neighboursOf(context: ShowContext, documents: readonly number[], reach: number) {
  type Neighbour = NonNullable<RecallResult['neighbours']>[number]
  const around = new Map<number, Neighbour[]>()
  if (reach === 0) return around
  for (const document of documents) around.set(document, [])
  for (const row of await readNeighbours(context.tx, documents, reach)) {
    const memory = context.show(row)
    if (memory) around.get(row.hit)?.push({ ...memory, place: row.place })
  }
  return around
}
