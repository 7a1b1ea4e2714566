/** The operations `quarantine.list`, `quarantine.approve` and `quarantine.reject`, for administrators. */
import { z } from 'zod'
import { insertMentions } from '../graph/graph.sql.ts'
import { addDue } from '../namespaces/due.sql.ts'
import type { CommitContext, Operation } from '../operation.ts'
import { touchedBy } from './audience.ts'
import { readPage } from './batches.ts'
import { openPlaceCursor, sealCursor } from './cursor.ts'
import { entitiesIn } from './derive.ts'
import { readFields } from './fields.ts'
import { unmarkedDedupeKey } from './insert.ts'
import { clientKey } from './keys.ts'
import { findByDedupeKeys } from './memories.sql.ts'
import { label, memoryId, timestamp } from './memory.ts'
import { packTerms, unpackTerms } from './packed.ts'
import { quarantinedTerm, releasePostings } from './postings.sql.ts'
import { presentedMemory, presentMemory } from './present.ts'
import {
  countQuarantined,
  listQuarantined,
  lockQuarantined,
  releaseVersions,
  type HeldRow,
  type QuarantinedRow,
  type QuarantineFilter,
} from './quarantine.sql.ts'
import { removeVersions } from './remove.ts'
import { quarantineReasons, reasonBits } from './trust.ts'
import { Unreadable } from './unreadable.ts'

const pageMax = 500
const defaultPage = 50
const idsMax = 500

const listInput = z.strictObject({
  reason: z.enum(quarantineReasons).optional().describe('Only what has this among its reasons'),
  agent: label('agent').optional().describe('Only what this agent stored'),
  client: label('client').optional().describe('Only what came through a client of this name'),
  after: timestamp.optional().describe('Stored at or after (ISO 8601)'),
  before: timestamp.optional().describe('Stored before (ISO 8601)'),
  limit: z.int().min(1).max(pageMax).optional(),
  cursor: z.string().max(1024).optional().describe('next_cursor of the page before'),
})

const unreadableIds = z
  .array(z.string())
  .optional()
  .describe('Memories with a stored value that does not decrypt: damaged; reject them')

const listOutput = z.object({
  memories: z.array(
    presentedMemory.extend({
      is_current: z.boolean(),
      request: z.uuid().optional().describe('The request that stored it; the audit log has it too'),
    }),
  ),
  total: z.int().describe('How many versions the filter takes'),
  unreadable: unreadableIds,
  next_cursor: z.string().optional().describe('Absent on the last page'),
})

export interface QuarantineDependencies {
  readonly cursorKey: Uint8Array
}

export function quarantineListOperation({
  cursorKey,
}: QuarantineDependencies): Operation<typeof listInput, typeof listOutput, undefined> {
  return {
    name: 'quarantine.list',
    title: 'List what is quarantined',
    description: 'Quarantined memories with their reasons and who stored them, newest first.',
    scope: 'admin',
    effect: 'read',
    input: listInput,
    output: listOutput,
    quarantine: () => 'shown',
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async (context, _prepared, input) => {
      const { tx, settings, principal } = context
      const { reason, client, limit = defaultPage, cursor, ...by } = input
      const filter: QuarantineFilter = {
        ...by,
        clientKey: client === undefined ? undefined : clientKey(settings.indexKey, client),
        reasons: reason === undefined ? undefined : reasonBits([reason]),
      }
      const binding = {
        principal,
        operation: 'quarantine.list',
        filter: JSON.stringify({ reason, client, ...by }),
      }
      const after = cursor === undefined ? undefined : openPlaceCursor(cursorKey, binding, cursor)
      const { rows, isLast } = await readPage<QuarantinedRow>(limit, (row, count) =>
        listQuarantined(tx, filter, row ?? after, count),
      )
      const last = rows.at(-1)
      const unreadable = new Unreadable()
      const memories = rows.flatMap((row) => {
        const memory = unreadable.skip(row.id, () => presentMemory(settings, row))
        if (memory === undefined) return []
        const request = row.source_request !== null && { request: row.source_request }
        return [{ ...memory, is_current: row.is_current, ...request }]
      })
      await unreadable.requireCurrent(context)
      return {
        output: {
          memories,
          total: await countQuarantined(tx, filter),
          ...(unreadable.count > 0 && { unreadable: unreadable.ids }),
          ...(!isLast &&
            last && {
              next_cursor: sealCursor(cursorKey, binding, [last.id, `${last.version}`]),
            }),
        },
        unreadable: unreadable.count,
        audit: {
          resourceIds: memories.map((memory) => memory.id),
          counts: { memories: memories.length },
        },
      }
    },
  }
}

const reviewInput = z.strictObject({
  ids: z.array(memoryId).min(1).max(idsMax).describe('As quarantine.list gives them'),
})

const approveOutput = z.object({
  approved: z.int().describe('Versions that recall finds from now on, with the trust they had'),
  duplicates: z
    .int()
    .describe('Versions whose memory is there already in the same words; they stay quarantined'),
  missing: z.int().describe('Asked ids that are not quarantined here'),
  unreadable: unreadableIds,
})

export function quarantineApproveOperation(): Operation<
  typeof reviewInput,
  typeof approveOutput,
  undefined
> {
  return {
    name: 'quarantine.approve',
    title: 'Approve quarantined memories',
    description: 'Lets memories out of quarantine: recall finds them, with the trust they had.',
    scope: 'admin',
    effect: 'write',
    input: reviewInput,
    output: approveOutput,
    quarantine: () => 'reached',
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async (context, _prepared, { ids }) => {
      const held = await lockQuarantined(context.tx, ids)
      const unreadable = new Unreadable()
      const readable = held.flatMap((row) => {
        const open = () => readFields(context.settings, row).decode('content', row.content)
        const content = unreadable.skip(row.id, open)
        return content === undefined ? [] : [{ ...row, text: content }]
      })
      await unreadable.requireCurrent(context)
      const { fresh, duplicates } = await withoutDuplicates(context, readable)
      await release(context, fresh)
      const counts = {
        approved: fresh.length,
        duplicates,
        missing: missingOf(ids, held),
      }
      const resourceIds = [...new Set(fresh.map((row) => row.id))]
      return {
        output: { ...counts, ...(unreadable.count > 0 && { unreadable: unreadable.ids }) },
        unreadable: unreadable.count,
        audit: { resourceIds, counts },
        touched: touchedBy(fresh),
      }
    },
  }
}

type ReadableRow = HeldRow & { readonly text: string }

/** What a live memory has in the same words would be there twice; so would two of the list. */
async function withoutDuplicates({ tx }: CommitContext, held: readonly ReadableRow[]) {
  const keys = held.map((row) => unmarkedDedupeKey(row.dedupe_key))
  const holders = await findByDedupeKeys(tx, keys)
  const taken = new Set(holders.map((row) => row.dedupe_key.toString('hex')))
  const fresh = held.filter((_row, index) => {
    const key = keys[index]?.toString('hex') ?? ''
    return !taken.has(key) && taken.add(key).has(key)
  })
  return { fresh, duplicates: held.length - fresh.length }
}

/** Gives them everything that they had to do without: their places among the words, names, vectors. */
async function release(context: CommitContext, rows: readonly ReadableRow[]): Promise<void> {
  if (rows.length === 0) return
  const { tx, settings, now } = context
  const terms = rows.map((row) => unpackTerms(row.terms))
  await releasePostings(
    tx,
    rows.map(({ document }, index) => ({ document, terms: terms[index] ?? [] })),
  )
  const needsEmbedding = settings.embedderDimension > 0
  await releaseVersions(
    tx,
    rows.map(({ id, version, dedupe_key: key }, index) => ({
      id,
      version,
      dedupeKey: unmarkedDedupeKey(key),
      terms: packTerms((terms[index] ?? []).map(quarantinedTerm)),
    })),
    needsEmbedding,
  )
  const named = rows.flatMap(({ text, document }) =>
    entitiesIn(settings, text).map((entity) => ({ entity, document })),
  )
  await insertMentions(
    tx,
    settings,
    [...new Map(named.map(({ entity }) => [entity.key, entity])).values()],
    named.map(({ entity, document }) => ({ entity: entity.key, document })),
  )
  if (needsEmbedding) await addDue(tx, 'embed', [now])
}

const rejectOutput = z.object({
  memories: z.int().describe('Memories that lost versions for good'),
  versions: z.int(),
  missing: z.int().describe('Asked ids that are not quarantined here'),
})

export function quarantineRejectOperation(): Operation<
  typeof reviewInput,
  typeof rejectOutput,
  undefined
> {
  return {
    name: 'quarantine.reject',
    title: 'Reject quarantined memories',
    description: 'Deletes quarantined memories for good, with everything derived from them.',
    scope: 'admin',
    effect: 'delete',
    input: reviewInput,
    output: rejectOutput,
    quarantine: () => 'reached',
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async (context, _prepared, { ids }) => {
      const held = await lockQuarantined(context.tx, ids)
      const removed = await removeVersions(context.tx, held)
      const counts = { memories: removed.memories, versions: removed.versions }
      return {
        output: { ...counts, missing: missingOf(ids, held) },
        audit: { resourceIds: removed.ids, counts },
        touched: removed.touched,
      }
    },
  }
}

function missingOf(ids: readonly string[], held: readonly HeldRow[]): number {
  const found = new Set(held.map((row) => row.id))
  return new Set(ids.map((id) => id.toLowerCase()).filter((id) => !found.has(id))).size
}
