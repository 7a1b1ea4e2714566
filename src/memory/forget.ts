/** The operation `forget`: deletes for good, in one transaction; more than one memory needs a confirmation. */
import { z } from 'zod'
import { blindIndex } from '../crypto/term-hash.ts'
import type { CommitContext, Operation } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { askToConfirm, bothWanted, confirmedSet, wantsBoth } from './confirmation.ts'
import { filterFields, toFilter } from './filter.ts'
import {
  leastScore,
  preparePreview,
  preview,
  previewDefault,
  previewedMemory,
  previewMax,
} from './forget-preview.ts'
import { boundedText, memoryId } from './memory.ts'
import { countPast, selectIds, type MarkedMemory } from './listing.sql.ts'
import type { MemoryFilter } from './memories.sql.ts'
import { formatUuid } from './packed.ts'
import { questionBytesMax } from './recall-input.ts'
import { removeMemories, removeUnchanged, type Forgotten } from './remove.ts'
import type { OpenedBefore, PreparedQuestion } from './search.ts'

/** Largest set one confirmation covers; beyond it the caller narrows or repeats. */
const memoriesMax = 1_000_000
const idsMax = 1_000
/** Id and mark of each. */
const markedBytes = 24

const forgetInput = z
  .strictObject({
    ids: z.array(memoryId).min(1).max(idsMax).optional().describe('Forget these memories'),
    query: boundedText(questionBytesMax, 'query')
      .optional()
      .describe('Forget what answers this: the answer lists it, and only the token takes it'),
    min_score: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(`With query: only what scores so much (${leastScore})`),
    limit: z
      .int()
      .min(1)
      .max(previewMax)
      .optional()
      .describe(`With query: at most so many memories (${previewDefault})`),
    ...filterFields,
    tag: z.string().max(256).optional().describe('Forget memories with this tag'),
    everything: z
      .literal(true)
      .optional()
      .describe('Forget the whole namespace; needed when nothing else narrows'),
    include_history: z
      .boolean()
      .optional()
      .describe('With filters or query: also memories of which only an older version passes'),
    dry_run: z.boolean().optional().describe('Only count what would be forgotten'),
    confirm_token: z
      .string()
      .max(128)
      .optional()
      .describe(
        'The token of a confirmation_required answer: forgets what it counted or listed, less what changed since',
      ),
  })
  .superRefine((input, context) => {
    const {
      dry_run: _dryRun,
      include_history: _history,
      confirm_token: token,
      everything,
      ...narrowing
    } = input
    const narrowed = Object.values(narrowing).some((value) => value !== undefined)
    const isRanked = input.query !== undefined
    if (isRanked ? input.ids !== undefined : (input.min_score ?? input.limit) !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['query'],
        message: 'min_score and limit go with a query, ids without one',
      })
    }
    if (token === undefined && !narrowed && everything === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['ids'],
        message: 'say what to forget: ids, a filter, or everything: true',
      })
    }
    if (wantsBoth(input)) {
      context.addIssue({ code: 'custom', path: ['dry_run'], message: bothWanted })
    }
    if (narrowed && everything !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['everything'],
        message: 'leave everything out when something else narrows',
      })
    }
  })

export const forgetOutput = z.object({
  status: z.enum(['forgotten', 'dry_run', 'confirmation_required']),
  memories: z.int().describe('Memories forgotten, or that would be'),
  versions: z.int(),
  entities: z.int().optional().describe('Names that nothing mentions any more'),
  missing: z.int().optional().describe('Asked ids that are not there for you'),
  past: z
    .int()
    .optional()
    .describe('Further memories that pass by an older version alone: include_history takes them'),
  matches: z
    .array(previewedMemory)
    .optional()
    .describe('With query: every memory that would go, best first'),
  has_more: z
    .literal(true)
    .optional()
    .describe('With query: more pass than the limit, and stay for another call'),
  changed: z
    .int()
    .optional()
    .describe('With confirm_token: memories that changed since they were counted, and stay'),
  confirm_token: z.string().optional(),
  confirm_before: z.string().optional(),
})

type ForgetInput = z.output<typeof forgetInput>
interface PreparedForget {
  readonly filter: MemoryFilter
  readonly question: PreparedQuestion | undefined
  readonly requestHash: Buffer
}

export interface ForgetDependencies extends OpenedBefore {
  readonly embedder: Embedder | undefined
}

/**
 * Builds the operation. Throws `not_found` for a spent or foreign token, `conflict` for another request's, and
 * `insufficient_scope` for a query of who may not read.
 */
export function forgetOperation({
  embedder,
  ...openedBefore
}: ForgetDependencies): Operation<typeof forgetInput, typeof forgetOutput, PreparedForget> {
  return {
    name: 'forget',
    title: 'Forget memories',
    description:
      'Delete memories for good, with every version and everything derived from them. Give ids, or a query, or filters that narrow together (entity, tags, session, speaker, types, after, before), or everything: true. More than one memory, or a query: the answer asks to confirm and names the count; by a query it lists each memory that would go.',
    scope: 'memory:forget',
    effect: 'delete',
    input: forgetInput,
    output: forgetOutput,
    // What is quarantined is somebody's data as well: erasing leaves none of it.
    // A question finds what recall shows; whoever confirms reaches every version of it.
    quarantine: ({ query, confirm_token: token }) =>
      query === undefined || token !== undefined ? 'reached' : 'hidden',
    isIdempotent: () => true,
    prepare: async (context, input) => {
      const { dry_run: _dryRun, confirm_token: token, tag, ...request } = input
      const tags = tag === undefined ? input.tags : [...(input.tags ?? []), tag]
      const isOfAllTime = input.include_history === true || input.everything === true
      const filter = {
        ...toFilter(context.settings, { ...input, tags }),
        ids: input.ids,
        moment: isOfAllTime ? ('ever' as const) : undefined,
      }
      const { indexKey } = context.settings
      const requestHash = blindIndex(indexKey, 'request', JSON.stringify({ ...request, tags }))
      const { query } = input
      const question =
        query === undefined || token !== undefined
          ? undefined
          : await preparePreview(context, embedder, query)
      return { filter, question, requestHash }
    },
    commit: async (context, prepared, input) => {
      const { question } = prepared
      if (input.confirm_token !== undefined) {
        return removeConfirmed(context, prepared, input, input.confirm_token)
      }
      if (question === undefined) return forgetFiltered(context, prepared, input)
      return forgetAnswers(context, { ...prepared, question }, input, openedBefore)
    },
  }
}

/** Shows what a question means; deletes nothing. */
async function forgetAnswers(
  context: CommitContext,
  { question, filter, requestHash }: PreparedForget & { readonly question: PreparedQuestion },
  input: ForgetInput,
  openedBefore: OpenedBefore,
) {
  const { matches, marked, hasMore } = await preview(context, question, filter, {
    most: input.limit ?? previewDefault,
    least: input.min_score ?? leastScore,
    openedBefore,
  })
  const counted = countOf(marked)
  const shown = { ...counted, matches: [...matches], ...(hasMore && { has_more: true as const }) }
  // Who was shown what, as of a recall: an event of an erasure has no `previewed`.
  const audit = {
    resourceIds: matches.map(({ id }) => id),
    counts: { previewed: counted.memories },
  }
  if (input.dry_run === true || matches.length === 0) {
    const status = input.dry_run === true ? ('dry_run' as const) : ('forgotten' as const)
    return { output: { status, ...shown }, audit }
  }
  const asked = await askToConfirm(context, 'forget', requestHash, packMarked(marked))
  return { output: { status: 'confirmation_required' as const, ...shown, ...asked }, audit }
}

async function forgetFiltered(
  context: CommitContext,
  { filter, requestHash }: PreparedForget,
  input: ForgetInput,
) {
  const found = await context.stage('select', () => selectIds(context.tx, filter, memoriesMax))
  const past = narrowsByWhatItSays(filter) ? await countPast(context.tx, filter) : 0
  const counted = {
    ...countOf(found),
    ...(input.ids && { missing: new Set(input.ids).size - found.length }),
    ...(past > 0 && { past }),
  }
  if (input.dry_run === true) {
    return { output: { status: 'dry_run' as const, ...counted }, audit: { counts: counted } }
  }
  const ids = found.map((row) => row.id)
  if (ids.length <= 1) {
    const { missing } = counted
    const removed = await context.stage('delete', () => removeMemories(context.tx, ids))
    return forgotten(removed, { missing, past: past > 0 ? past : undefined })
  }
  const asked = await askToConfirm(context, 'forget', requestHash, packMarked(found))
  return {
    output: { status: 'confirmation_required' as const, ...counted, ...asked },
    audit: { counts: counted },
  }
}

function countOf(found: readonly MarkedMemory[]) {
  return {
    memories: found.length,
    versions: found.reduce((sum, row) => sum + row.versions, 0),
  }
}

/** By ids alone, and with the moment `ever`, no version is missed. */
function narrowsByWhatItSays({ ids: _ids, moment, ...others }: MemoryFilter): boolean {
  return moment === undefined && Object.values(others).some((value) => value !== undefined)
}

async function removeConfirmed(
  context: CommitContext,
  prepared: PreparedForget,
  input: ForgetInput,
  token: string,
) {
  const { confirm_token: _token, dry_run: _dryRun, ...request } = input
  const isRepeated = Object.values(request).some((value) => value !== undefined)
  const hash = isRepeated ? prepared.requestHash : undefined
  const marks = unpackMarked(await confirmedSet(context, 'forget', token, hash))
  const { changed, ...removed } = await context.stage('delete', () =>
    removeUnchanged(context.tx, marks, (done) => context.progress(done, marks.size)),
  )
  return forgotten(removed, { changed: changed > 0 ? changed : undefined })
}

function forgotten(
  { memories, versions, entities, ids, touched }: Forgotten,
  more: { missing?: number | undefined; past?: number | undefined; changed?: number | undefined },
) {
  const counts = { memories, versions, entities }
  const told = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined))
  return {
    output: { status: 'forgotten' as const, ...counts, ...told },
    audit: { resourceIds: ids, counts },
    touched,
  }
}

function packMarked(memories: readonly MarkedMemory[]): Buffer {
  const bytes = Buffer.alloc(memories.length * markedBytes)
  for (const [index, { id, mark }] of memories.entries()) {
    bytes.write(id.replaceAll('-', ''), index * markedBytes, 'hex')
    bytes.writeBigInt64BE(mark, (index + 1) * markedBytes - 8)
  }
  return bytes
}

function unpackMarked(bytes: Buffer): ReadonlyMap<string, bigint> {
  const marks = new Map<string, bigint>()
  for (let start = 0; start < bytes.length; start += markedBytes) {
    const id = formatUuid(bytes.toString('hex', start, start + markedBytes - 8))
    marks.set(id, bytes.readBigInt64BE(start + markedBytes - 8))
  }
  return marks
}
