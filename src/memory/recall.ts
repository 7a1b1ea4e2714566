/** The operation `recall`: a question searches, ids read, neither browses newest first. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { CommitContext, Operation } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { readPage, requireRoom } from './batches.ts'
import { openCursor, sealCursor } from './cursor.ts'
import { filterFields, toFilter } from './filter.ts'
import { searchGranted, withGranted, type GrantedResults } from './granted.ts'
import {
  presenter,
  presentHits,
  recallResult,
  resultsMax,
  type RecallResult,
  type Show,
} from './hits.ts'
import { boundedText, memoryId } from './memory.ts'
import {
  browseMemories,
  readMemories,
  readVersions,
  type MemoryFilter,
  type MemoryRow,
} from './memories.sql.ts'
import {
  prepareQuestion,
  search,
  withQuarantined,
  type OpenedBefore,
  type PreparedQuestion,
} from './search.ts'
import { Unreadable } from './unreadable.ts'

export const questionsMax = 5
const questionBytesMax = 8 * 1024
const defaultResults = 10

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
    include_granted: z
      .boolean()
      .optional()
      .describe('With a question: also what other namespaces let this one read'),
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
    if (input.include_granted === true && (input.query ?? input.queries) === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['include_granted'],
        message: 'what was granted is found by a question; give query or queries',
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

const recallOutput = z.object({
  results: z.array(recallResult),
  missing: z.array(z.string()).optional().describe('Asked ids that are not there for you'),
  unreadable: z
    .array(z.string())
    .optional()
    .describe('Memories with a stored value that does not decrypt: damaged, and left out'),
  unreachable: z
    .array(z.string())
    .optional()
    .describe('With include_granted: namespaces that could not be read now'),
  next_cursor: z.string().optional(),
  stages_ms: z
    .record(z.string(), z.number())
    .optional()
    .describe('With explain: milliseconds by step'),
})

type RecallInput = z.output<typeof recallInput>

interface PreparedRecall {
  readonly questions: readonly PreparedQuestion[]
  readonly filter: MemoryFilter
  /** Undefined unless it was asked for. */
  readonly granted: GrantedResults | undefined
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
      const { limit = defaultResults, explain, include_granted: isWider = false } = input
      const granted = isWider
        ? await searchGranted(context, {
            texts,
            filter: input,
            embedder,
            openedBefore,
            limit,
            explain,
          })
        : undefined
      return { questions: asked, filter: toFilter(context.settings, input), granted }
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
          counts: {
            results: results.length,
            questions: prepared.questions.length,
            ...(prepared.granted && { granted: results.filter(isForeign(context)).length }),
          },
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
    await requireRoom(context.tx, input.ids, input.history === true)
    const output = await readByIds(context, input.ids, input.history === true, show)
    reading.unreadable.requireAny(output.results)
    return output
  }
  if (prepared.questions.length === 0) {
    return browse({ ...context, show }, prepared.filter, input, cursorKey)
  }
  const results = input.limit ?? defaultResults
  const hits = await search(context, prepared.questions, prepared.filter, { ...reading, results })
  const good = hits.filter((hit) => hit.score >= (input.min_score ?? 0))
  const options = { ...input, limit: results }
  const own = await context.stage('read', () => presentHits({ ...context, show }, good, options))
  const { granted } = prepared
  if (granted === undefined) return { results: own }
  const both = await withGranted(context, own, granted)
  const shown = both.filter((entry) => (entry.score ?? 0) >= (input.min_score ?? 0))
  const { unreachable } = granted
  return {
    results: shown.slice(0, results),
    ...(unreachable.length > 0 && { unreachable: [...unreachable] }),
  }
}

function isForeign({ settings }: CommitContext): (entry: RecallResult) => boolean {
  return ({ namespace }) => namespace !== settings.name
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
  context: CommitContext & { readonly show: Show },
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
  const { rows, isLast } = await readPage<MemoryRow>(limit, (row, count) => {
    const start = row ? { recordedAt: row.recorded_at, id: row.id } : after
    return browseMemories(context.tx, filter, start, count)
  })
  const last = rows.at(-1)
  return {
    results: rows.flatMap((row) => context.show(row) ?? []),
    ...(!isLast &&
      last && {
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
