/** The operation `forget`: deletes for good, in one transaction; more than one memory needs a confirmation. */
import { z } from 'zod'
import { blindIndex } from '../crypto/term-hash.ts'
import type { CommitContext, Operation } from '../operation.ts'
import { askToConfirm, bothWanted, confirmedSet, wantsBoth } from './confirmation.ts'
import { filterFields, toFilter } from './filter.ts'
import { memoryId } from './memory.ts'
import { selectIds } from './listing.sql.ts'
import type { MemoryFilter } from './memories.sql.ts'
import { formatUuid } from './packed.ts'
import { removeMemories } from './remove.ts'

/** Largest set one confirmation covers; beyond it the caller narrows or repeats. */
const memoriesMax = 1_000_000
const idsMax = 1_000
const idBytes = 16

const forgetInput = z
  .strictObject({
    ids: z.array(memoryId).min(1).max(idsMax).optional().describe('Forget these memories'),
    ...filterFields,
    tag: z.string().max(256).optional().describe('Forget memories with this tag'),
    everything: z
      .literal(true)
      .optional()
      .describe('Forget the whole namespace; needed when nothing else narrows'),
    include_history: z
      .boolean()
      .optional()
      .describe('With filters: also memories of which only an older version passes'),
    dry_run: z.boolean().optional().describe('Only count what would be forgotten'),
    confirm_token: z
      .string()
      .max(128)
      .optional()
      .describe('The token of a confirmation_required answer: forgets exactly the set it counted'),
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

const forgetOutput = z.object({
  status: z.enum(['forgotten', 'dry_run', 'confirmation_required']),
  memories: z.int().describe('Memories forgotten, or that would be'),
  versions: z.int(),
  entities: z.int().optional().describe('Names that nothing mentions any more'),
  missing: z.int().optional().describe('Asked ids that are not there for you'),
  confirm_token: z.string().optional(),
  confirm_before: z.string().optional(),
})

type ForgetInput = z.output<typeof forgetInput>
interface PreparedForget {
  readonly filter: MemoryFilter
  readonly requestHash: Buffer
}

/** Builds the operation. Throws `not_found` for a spent or foreign token, `conflict` for another request's. */
export function forgetOperation(): Operation<
  typeof forgetInput,
  typeof forgetOutput,
  PreparedForget
> {
  return {
    name: 'forget',
    title: 'Forget memories',
    description:
      'Delete memories for good, with every version and everything derived from them. Give ids, or filters that narrow together (entity, tags, session, speaker, types, after, before), or everything: true. More than one memory: the answer asks to confirm and names the count.',
    scope: 'memory:forget',
    effect: 'delete',
    input: forgetInput,
    output: forgetOutput,
    // What is quarantined is somebody's data as well: erasing leaves none of it.
    quarantine: () => 'reached',
    isIdempotent: () => true,
    prepare: (context, input) => {
      const { dry_run: _dryRun, confirm_token: _token, tag, ...request } = input
      const tags = tag === undefined ? input.tags : [...(input.tags ?? []), tag]
      const isOfAllTime = input.include_history === true || input.everything === true
      const filter = {
        ...toFilter(context.settings, { ...input, tags }),
        ids: input.ids,
        moment: isOfAllTime ? ('ever' as const) : undefined,
      }
      const { indexKey } = context.settings
      const requestHash = blindIndex(indexKey, 'request', JSON.stringify({ ...request, tags }))
      return Promise.resolve({ filter, requestHash })
    },
    commit,
  }
}

async function commit(context: CommitContext, prepared: PreparedForget, input: ForgetInput) {
  if (input.confirm_token !== undefined) {
    return remove(context, await confirmedIds(context, prepared, input, input.confirm_token))
  }
  const found = await context.stage('select', () =>
    selectIds(context.tx, prepared.filter, memoriesMax),
  )
  const counted = {
    memories: found.length,
    versions: found.reduce((sum, row) => sum + row.versions, 0),
    ...(input.ids && { missing: new Set(input.ids).size - found.length }),
  }
  if (input.dry_run === true) {
    return { output: { status: 'dry_run' as const, ...counted }, audit: { counts: counted } }
  }
  const ids = found.map((row) => row.id)
  if (ids.length <= 1) {
    return remove(context, ids, counted.missing)
  }
  const asked = await askToConfirm(context, 'forget', prepared.requestHash, packIds(ids))
  return {
    output: { status: 'confirmation_required' as const, ...counted, ...asked },
    audit: { counts: counted },
  }
}

async function confirmedIds(
  context: CommitContext,
  prepared: PreparedForget,
  input: ForgetInput,
  token: string,
): Promise<string[]> {
  const { confirm_token: _token, dry_run: _dryRun, ...request } = input
  const isRepeated = Object.values(request).some((value) => value !== undefined)
  const hash = isRepeated ? prepared.requestHash : undefined
  return unpackIds(await confirmedSet(context, 'forget', token, hash))
}

async function remove(context: CommitContext, ids: readonly string[], missing?: number) {
  const removed = await context.stage('delete', () =>
    removeMemories(context.tx, ids, (done) => context.progress(done, ids.length)),
  )
  const counts = {
    memories: removed.memories,
    versions: removed.versions,
    entities: removed.entities,
  }
  return {
    output: {
      status: 'forgotten' as const,
      ...counts,
      ...(missing !== undefined && { missing }),
    },
    audit: { resourceIds: removed.ids, counts },
    touched: removed.touched,
  }
}

function packIds(ids: readonly string[]): Buffer {
  return Buffer.from(ids.map((id) => id.replaceAll('-', '')).join(''), 'hex')
}

function unpackIds(bytes: Buffer): string[] {
  return Array.from({ length: bytes.length / idBytes }, (_, index) => {
    return formatUuid(bytes.toString('hex', index * idBytes, (index + 1) * idBytes))
  })
}
