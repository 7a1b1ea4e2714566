/** The operation `rollback`: forgets what an agent, a client or a request stored within a time. */
import { z } from 'zod'
import { blindIndex } from '../crypto/term-hash.ts'
import type { CommitContext, Operation } from '../operation.ts'
import { askToConfirm, bothWanted, confirmedSet, wantsBoth } from './confirmation.ts'
import type { FieldPlace } from './fields.ts'
import { clientKey } from './keys.ts'
import { label, timestamp } from './memory.ts'
import { formatUuid } from './packed.ts'
import { selectStoredBy, type StoredBy } from './quarantine.sql.ts'
import { removeVersions } from './remove.ts'

/** Largest set one confirmation covers; beyond it the caller narrows the time. */
const versionsMax = 1_000_000
/** Id and version of each, packed. */
const placeBytes = 20

const rollbackInput = z
  .strictObject({
    agent: label('agent').optional().describe('What this agent stored'),
    client: label('client').optional().describe('What came through a client of this name'),
    request: z.uuid().optional().describe('What this one request stored (audit.query names it)'),
    after: timestamp.optional().describe('Stored at or after (ISO 8601)'),
    before: timestamp.optional().describe('Stored before (ISO 8601)'),
    dry_run: z.boolean().optional().describe('Only count what would be forgotten'),
    confirm_token: z
      .string()
      .max(128)
      .optional()
      .describe('The token of the answer before: forgets exactly the set it counted'),
  })
  .refine(
    ({ agent, client, request, confirm_token: token }) =>
      [agent, client, request, token].some((value) => value !== undefined),
    { path: ['agent'], error: 'say whose: agent, client or request' },
  )
  .refine((input) => !wantsBoth(input), { path: ['dry_run'], error: bothWanted })

const rollbackOutput = z.object({
  status: z.enum(['forgotten', 'dry_run', 'confirmation_required']),
  memories: z.int(),
  versions: z.int().describe('What they stored; versions by others stay'),
  entities: z.int().optional().describe('Names that nothing mentions any more'),
  confirm_token: z.string().optional(),
  confirm_before: z.string().optional(),
})

type RollbackInput = z.output<typeof rollbackInput>

interface PreparedRollback {
  readonly by: StoredBy
  readonly requestHash: Buffer
}

/** Builds the operation; always in two steps. A memory that others edited keeps their versions. */
export function rollbackOperation(): Operation<
  typeof rollbackInput,
  typeof rollbackOutput,
  PreparedRollback
> {
  return {
    name: 'rollback',
    title: 'Roll back what was stored',
    description:
      'Deletes for good everything that an agent, a client or a request stored within a time, quarantined or not. The first call counts and gives a token, the second deletes that set.',
    scope: 'admin',
    effect: 'delete',
    input: rollbackInput,
    output: rollbackOutput,
    quarantine: () => 'reached',
    isIdempotent: () => true,
    prepare: ({ settings }, input) => {
      const { client, dry_run: _dryRun, confirm_token: _token, ...by } = input
      const { indexKey } = settings
      return Promise.resolve({
        by: { ...by, clientKey: client === undefined ? undefined : clientKey(indexKey, client) },
        requestHash: blindIndex(indexKey, 'request', JSON.stringify({ client, ...by })),
      })
    },
    commit,
  }
}

async function commit(context: CommitContext, prepared: PreparedRollback, input: RollbackInput) {
  const { confirm_token: token, dry_run: isDryRun, ...request } = input
  if (token !== undefined) {
    const isRepeated = Object.values(request).some((value) => value !== undefined)
    const hash = isRepeated ? prepared.requestHash : undefined
    return remove(context, unpackPlaces(await confirmedSet(context, 'rollback', token, hash)))
  }
  const places = await context.stage('select', () =>
    selectStoredBy(context.tx, prepared.by, versionsMax),
  )
  const counts = {
    memories: new Set(places.map((place) => place.id)).size,
    versions: places.length,
  }
  if (isDryRun === true || places.length === 0) {
    const status = isDryRun === true ? ('dry_run' as const) : ('forgotten' as const)
    return { output: { status, ...counts }, audit: { counts } }
  }
  const asked = await askToConfirm(context, 'rollback', prepared.requestHash, packPlaces(places))
  return {
    output: { status: 'confirmation_required' as const, ...counts, ...asked },
    audit: { counts },
  }
}

async function remove(context: CommitContext, places: readonly FieldPlace[]) {
  const removed = await context.stage('delete', () =>
    removeVersions(context.tx, places, (done) => context.progress(done, places.length)),
  )
  const { memories, versions, entities, ids } = removed
  const counts = { memories, versions, entities }
  return {
    output: { status: 'forgotten' as const, ...counts },
    audit: { resourceIds: ids, counts },
    touched: removed.touched,
  }
}

function packPlaces(places: readonly FieldPlace[]): Buffer {
  const bytes = Buffer.alloc(places.length * placeBytes)
  for (const [index, { id, version }] of places.entries()) {
    bytes.write(id.replaceAll('-', ''), index * placeBytes, 'hex')
    bytes.writeUInt32BE(version, index * placeBytes + placeBytes - 4)
  }
  return bytes
}

function unpackPlaces(bytes: Buffer): FieldPlace[] {
  return Array.from({ length: bytes.length / placeBytes }, (_, index) => {
    const start = index * placeBytes
    const end = start + placeBytes
    return {
      id: formatUuid(bytes.toString('hex', start, end - 4)),
      version: bytes.readUInt32BE(end - 4),
    }
  })
}
