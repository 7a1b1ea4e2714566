/** The operation `recall`: a question searches, ids read, neither browses newest first. */
import { z } from 'zod'
import type { CommitContext, Operation } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { fitShort, fitWhole, type Bounds } from './budget.ts'
import { browse, readByIds } from './browse.ts'
import { toFilter } from './filter.ts'
import { searchGranted, withGranted, type GrantedResults } from './granted.ts'
import { presenter, presentHits, recallResult, type RecallResult } from './hits.ts'
import type { MemoryFilter } from './memories.sql.ts'
import { defaultResults, momentOf, recallInput, type RecallInput } from './recall-input.ts'
import { presentedMemory } from './present.ts'
import {
  prepareQuestion,
  search,
  withHistory,
  withQuarantined,
  type OpenedBefore,
  type PreparedQuestion,
} from './search.ts'
import { Unreadable } from './unreadable.ts'

/** What `detail` ids and brief leave of a hit. */
const shortHit = presentedMemory
  .pick({ type: true, content: true, occurred_at: true, event_date: true, speaker: true })
  .extend(
    presentedMemory.pick({ session: true, source: true, valid_to: true, quarantine: true }).shape,
  )
  .partial()
  .extend({
    id: z.uuid(),
    version: z.int(),
    namespace: z.string().optional(),
    score: z.number().optional(),
    truncated: z.literal(true).optional(),
  })

export const recallOutput = z.object({
  results: z.array(recallResult),
  hits: z.array(shortHit).optional().describe('In place of results with detail ids or brief'),
  left_out: z.int().optional().describe('Hits that did not fit into max_tokens'),
  left_out_ids: z.array(z.string()).optional().describe('The best of them, to read with ids'),
  versions_left_out: z
    .int()
    .optional()
    .describe('With ids and include_history: older versions that one answer has no room for'),
  tokens: z.int().optional().describe('Of this answer, as text or as JSON, whichever is more'),
  missing_count: z.int().optional().describe('When not all that are missing are named'),
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
  total: z.int().optional().describe('How many there are, when browsing finds that cheap to say'),
  stages_ms: z
    .record(z.string(), z.number())
    .optional()
    .describe('With explain: milliseconds by step'),
})

type RecallOutput = z.output<typeof recallOutput>

interface Answer {
  readonly output: RecallOutput
  readonly cursorAfter?: Bounds['cursorAfter']
}

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
      'Find what was stored: ask with query (or up to five queries), read with ids, or leave both out to browse the newest. Narrow with types, tags, entity, agent, session, speaker, after and before. Answers what holds now; as_of what was known then, include_history every version.',
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
      const moment = momentOf(input)
      const asked = moment === undefined ? questions : questions.map(withHistory)
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
      return {
        questions: input.include_quarantined === true ? asked.map(withQuarantined) : asked,
        filter: { ...toFilter(context.settings, input), moment },
        granted,
      }
    },
    commit: async (context, prepared, input) => {
      const unreadable = new Unreadable()
      const { output, cursorAfter } = await answer(context, prepared, input, {
        cursorKey,
        unreadable,
        ...openedBefore,
      })
      await unreadable.requireCurrent(context)
      // The statement's clock judged expiry; time went on since. Not for a millisecond.
      const now = Date.now()
      const alive = (memory: { expires_at?: string | undefined }) =>
        memory.expires_at === undefined || Date.parse(memory.expires_at) > now
      const { results, ...frame } = output
      const shown = results.filter(alive).map((entry) => ({
        ...entry,
        ...(entry.neighbours && { neighbours: entry.neighbours.filter(alive) }),
      }))
      const bounded = bound(
        shown,
        input,
        {
          ...frame,
          ...(unreadable.count > 0 && { unreadable: unreadable.ids }),
          ...(input.explain === true && { stages_ms: context.stages() }),
        },
        cursorAfter,
      )
      const { shownIds, ...answered } = bounded
      return {
        output: answered,
        unreadable: unreadable.count,
        audit: {
          resourceIds: shownIds,
          counts: {
            results: shownIds.length,
            questions: prepared.questions.length,
            ...(prepared.granted && { granted: shown.filter(isForeign(context)).length }),
          },
        },
      }
    },
  }
}

/** Within its tokens, and with as much of each memory as was asked for. */
function bound(
  results: readonly RecallResult[],
  { max_tokens: maxTokens, detail = 'full' }: RecallInput,
  given: Omit<RecallOutput, 'results'>,
  cursorAfter: Bounds['cursorAfter'],
) {
  if (detail === 'full') {
    const { hits, frame } = fitWhole(results, given, { maxTokens, cursorAfter })
    return { ...frame, results: hits, shownIds: hits.map(({ id }) => id) }
  }
  const { hits, frame } = fitShort(results, given, { maxTokens, detail, cursorAfter })
  return { ...frame, results: [], hits, shownIds: hits.map(({ id }) => id) }
}

type Answering = Omit<RecallDependencies, 'embedder'> & { readonly unreadable: Unreadable }

async function answer(
  context: CommitContext,
  prepared: PreparedRecall,
  input: RecallInput,
  { cursorKey, ...reading }: Answering,
): Promise<Answer> {
  const { filter } = prepared
  const show = presenter(context, reading.unreadable, filter.moment)
  if (input.ids) {
    const output = await readByIds({ ...context, show }, input.ids, filter.moment)
    reading.unreadable.requireAny(output.results)
    return { output }
  }
  if (prepared.questions.length === 0) {
    return browse({ ...context, show }, filter, input, cursorKey)
  }
  const results = input.limit ?? defaultResults
  const hits = await search(context, prepared.questions, filter, { ...reading, results })
  const good = hits.filter((hit) => hit.score >= (input.min_score ?? 0))
  const options = { ...input, limit: results, moment: filter.moment }
  const own = await context.stage('read', () => presentHits({ ...context, show }, good, options))
  const { granted } = prepared
  if (granted === undefined) return { output: { results: own } }
  const both = await withGranted(context, own, granted, results)
  const shown = both.filter((entry) => (entry.score ?? 0) >= (input.min_score ?? 0))
  const { unreachable } = granted
  return {
    output: {
      results: shown.slice(0, results),
      ...(unreachable.length > 0 && { unreachable: [...unreachable] }),
    },
  }
}

function isForeign({ settings }: CommitContext): (entry: RecallResult) => boolean {
  return ({ namespace }) => namespace !== settings.name
}
