/** What every way of the tool `store` answers: one entry a memory, and how many were stored. */
import { z } from 'zod'
import { memoryTypes } from './memory.ts'
import type { NamespaceSettings } from '../operation.ts'
import { entitiesIn } from './derive.ts'
import { foundAtDoor } from './door.ts'
import { readFields } from './fields.ts'
import type { PreparedMemory } from './insert.ts'
import type { MemoryRow } from './memories.sql.ts'

export const storedItem = z.object({
  id: z.uuid(),
  version: z.int(),
  status: z
    .enum(['stored', 'duplicate', 'edited', 'retired', 'restored', 'pinned', 'unpinned', 'rated'])
    .describe('duplicate: the same memory was there already'),
  type: z.enum(memoryTypes),
  occurred_at: z.string(),
  event_date: z.string().optional().describe('The date its text speaks of'),
  event_grain: z.string().optional(),
  entities: z.array(z.string()),
  expires_at: z.string().optional(),
  pinned: z.literal(true).optional(),
  embedded: z.boolean().describe('False while its vector is still to be made'),
  quarantined: z
    .literal(true)
    .optional()
    .describe('Stored, but not recalled until an administrator approves it'),
  found: z
    .array(foundAtDoor)
    .optional()
    .describe(
      'Credentials and personal data in what was given, by kind; absent when there were none',
    ),
})

export const storeOutput = z.object({
  results: z.array(storedItem).describe('One entry for each memory, in the order given'),
  stored: z.int(),
  duplicates: z.int(),
  replayed: z.boolean().describe('True when this idempotency key had been used before'),
})

export type StoreOutput = z.output<typeof storeOutput>
export type StoredItem = z.output<typeof storedItem>

export interface Outcome {
  readonly id: string
  readonly version: number
  readonly status: StoredItem['status']
}

/** The entry of a prepared memory. */
export function describeStored(item: PreparedMemory, outcome: Outcome): StoredItem {
  const { derived } = item
  return {
    ...outcome,
    type: derived.type,
    occurred_at: derived.occurredAt.toISOString(),
    ...(derived.event && {
      event_date: derived.event.from.toISOString().slice(0, 10),
      event_grain: derived.event.grain,
    }),
    entities: namesOf(item),
    ...(derived.expiresAt && { expires_at: derived.expiresAt.toISOString() }),
    ...(item.origin?.pinnedAt && { pinned: true as const }),
    embedded: item.embedded,
    ...(item.quarantine !== 0 && { quarantined: true as const }),
    ...(item.found.length > 0 && { found: [...item.found] }),
  }
}

/** The entry of a memory that stays as it is in the table. */
export function describeRow(
  settings: NamespaceSettings,
  row: MemoryRow,
  status: StoredItem['status'],
): StoredItem {
  const content = readFields(settings, row).decode('content', row.content)
  return {
    id: row.id,
    version: row.version,
    status,
    type: row.type,
    occurred_at: row.occurred_at.toISOString(),
    ...(row.event_from && { event_date: row.event_from.toISOString().slice(0, 10) }),
    ...(row.event_grain !== null && { event_grain: row.event_grain }),
    entities: entitiesIn(settings, content).map(({ name }) => name),
    ...(row.expires_at && { expires_at: row.expires_at.toISOString() }),
    ...(row.pinned_at && { pinned: true as const }),
    embedded: true,
  }
}

/** Names are content: an idempotency row keeps none, they are worked out again. */
export function namesOf({ derived }: PreparedMemory): string[] {
  return derived.entities.map((entity) => entity.name)
}
