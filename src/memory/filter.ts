/** What recall, forget and export are narrowed by, and how that reads in one namespace. */
import { z } from 'zod'
import type { NamespaceSettings } from '../operation.ts'
import { hashTerms } from '../crypto/term-hash.ts'
import { analyzeQuestion } from '../pipeline/terms.ts'
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
  const nameTerms = input.entity === undefined ? [] : caselessTerms(settings, input.entity)
  return {
    types: input.types,
    agent: input.agent,
    after: input.after,
    before: input.before,
    tagTerms: input.tags?.map((tag) => tagTerm(indexKey, tag)),
    ...(nameTerms.length > 0
      ? { nameTerms }
      : { entity: input.entity === undefined ? undefined : entityKey(indexKey, input.entity) }),
    sessionKey: input.session === undefined ? undefined : sessionKey(indexKey, input.session),
    speakerKey: input.speaker === undefined ? undefined : speakerKey(indexKey, input.speaker),
  }
}

/** Words of a name that are looked for: each is one more condition of the statement. */
const nameTermsMax = 16

/**
 * The words of a name in a script without capitals, where a text does not show what in it is a name: all of them
 * stand in the memories that mention it. Empty for other names, and for one of words that no list holds.
 */
function caselessTerms({ indexKey, commonTerms }: NamespaceSettings, name: string): bigint[] {
  if (!/^\p{L}/u.test(name) || cased.test(name)) return []
  // Prefixes and single characters follow from the words, which weigh 1.
  const words = [...analyzeQuestion(name)].filter(([, { weight }]) => weight === 1)
  const terms = hashTerms(
    indexKey,
    words.map(([term]) => term),
  )
  return terms.filter((term) => !commonTerms.has(term)).slice(0, nameTermsMax)
}

/** Georgian letters have capitals that no ordinary text uses. */
const cased = /(?!\p{Script=Georgian})[\p{Lu}\p{Ll}\p{Lt}]/u
