/** A stored row as callers see it. */
import { z } from 'zod'
import type { NamespaceSettings } from '../operation.ts'
import { readFields } from './fields.ts'
import { accessLevels, memoryTypes, sourceKinds } from './memory.ts'
import type { MemoryRow } from './memories.sql.ts'
import { quarantineReasons, reasonsOf } from './trust.ts'

/** A memory in an answer. Times are ISO 8601 in UTC. */
export const presentedMemory = z.object({
  id: z.uuid(),
  version: z.int(),
  content: z.string(),
  raw_content: z.string().optional(),
  type: z.enum(memoryTypes),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()).optional(),
  session: z.string().optional(),
  speaker: z.string().optional(),
  occurred_at: z.string(),
  event_date: z.string().optional().describe('The date the text speaks of'),
  event_grain: z.string().optional(),
  recorded_at: z.string(),
  expires_at: z.string().optional(),
  pinned: z.literal(true).optional().describe('Never expires, and comes first in a brief'),
  valid_to: z.string().optional().describe('Retired: since when it is no longer true'),
  retire_reason: z.string().optional(),
  importance: z.number(),
  access: z.enum(accessLevels),
  owner_agent: z.string(),
  source: z.object({
    kind: z.enum(sourceKinds),
    trust: z
      .int()
      .describe('0 nobody answers for it, 1 from outside, 2 an agent or an import, 3 the person'),
    url: z.string().optional(),
    agent: z.string().optional().describe('Who stored it, when that is not its owner'),
    client: z.string().optional().describe('What the client that stored it called itself'),
  }),
  quarantine: z
    .array(z.enum(quarantineReasons))
    .optional()
    .describe('Why it is quarantined; absent when it is not'),
})
export type PresentedMemory = z.output<typeof presentedMemory>

const storedMetadata = z.record(z.string(), z.unknown())
const storedTags = z.array(z.string())

/** Decodes a row. Throws AppError when an encoded column cannot be read. */
export function presentMemory(settings: NamespaceSettings, row: MemoryRow): PresentedMemory {
  const fields = readFields(settings, row)
  const rawContent = fields.decodeOptional('raw_content', row.raw_content)
  const metadata = fields.decodeOptional('metadata', row.metadata)
  const tags = fields.decodeOptional('tags', row.tags)
  const session = fields.decodeOptional('session_label', row.session_label)
  const speaker = fields.decodeOptional('speaker', row.speaker)
  const url = fields.decodeOptional('source_url', row.source_url)
  const client = fields.decodeOptional('source_client', row.source_client)
  const reason = fields.decodeOptional('retire_reason', row.retire_reason)
  const agent = row.source_agent === row.owner_agent ? null : row.source_agent
  return {
    id: row.id,
    version: row.version,
    content: fields.decode('content', row.content),
    ...(rawContent !== undefined && { raw_content: rawContent }),
    type: row.type,
    tags: tags === undefined ? [] : storedTags.parse(JSON.parse(tags)),
    ...(metadata !== undefined && { metadata: storedMetadata.parse(JSON.parse(metadata)) }),
    ...(session !== undefined && { session }),
    ...(speaker !== undefined && { speaker }),
    occurred_at: row.occurred_at.toISOString(),
    ...(row.event_from && { event_date: row.event_from.toISOString().slice(0, 10) }),
    ...(row.event_grain !== null && { event_grain: row.event_grain }),
    recorded_at: row.recorded_at.toISOString(),
    ...(row.expires_at && { expires_at: row.expires_at.toISOString() }),
    ...(row.pinned_at && { pinned: true as const }),
    ...(row.valid_to && { valid_to: row.valid_to.toISOString() }),
    ...(reason !== undefined && { retire_reason: reason }),
    importance: row.importance,
    access: row.access,
    owner_agent: row.owner_agent,
    source: {
      kind: row.source_kind,
      trust: row.trust,
      ...(url !== undefined && { url }),
      ...(agent !== null && { agent }),
      ...(client !== undefined && { client }),
    },
    ...(row.quarantine !== 0 && { quarantine: reasonsOf(row.quarantine) }),
  }
}
