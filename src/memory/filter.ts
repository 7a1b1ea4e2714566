/** What recall, forget and export are narrowed by, and how that reads in one namespace. */
import { z } from 'zod'
import type { NamespaceSettings } from '../operation.ts'
import { entityKey, sessionKey, speakerKey, tagTerm } from './keys.ts'
import type { MemoryFilter } from './memories.sql.ts'
import { label, memoryTypes, timestamp } from './memory.ts'

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
export type FilterInput = z.output<typeof filterSchema>

/** Turns a request's filters into keys and terms of the namespace. */
export function toFilter(settings: NamespaceSettings, input: FilterInput): MemoryFilter {
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
