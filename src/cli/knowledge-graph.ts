/**
 * Reads the `memory.json` of the reference knowledge-graph server (@modelcontextprotocol/server-memory):
 * JSON Lines of entities with observations, and of relations. Becomes memories; stores nothing.
 */
import { z } from 'zod'
import type { OperatorCommands } from '../daemon/operate.ts'

type NewMemory = NonNullable<OperatorCommands['store']['input']['memories']>[number]

/** Marks what came from such a file, so that it can be listed, or forgotten again, by one tag. */
export const knowledgeGraphTag = 'knowledge-graph'
const tagLengthMax = 64

/** Names are bounded as our labels are; fields we do not know are left out, as the server does. */
const name = z.string().min(1).max(256)
const entity = z.object({
  type: z.literal('entity'),
  name,
  entityType: z.string().max(256).default(''),
  observations: z.array(z.string()),
})
const relation = z.object({
  type: z.literal('relation'),
  from: name,
  to: name,
  relationType: name,
})
const record = z.discriminatedUnion('type', [entity, relation])

/** Whether the first line of a file says that it is such a file. */
export function isKnowledgeGraph(line: unknown): boolean {
  return z.object({ type: z.enum(['entity', 'relation']) }).safeParse(line).success
}

/**
 * The memories of one line: one for each observation, one for an entity without any, one for a
 * relation. Throws ZodError when the line is neither an entity nor a relation.
 */
export function memoriesOfRecord(line: unknown): readonly NewMemory[] {
  const parsed = record.parse(line)
  if (parsed.type === 'relation') return [memoryOfRelation(parsed)]
  const { name: entityName, entityType, observations } = parsed
  const about = {
    tags: tagsOf(entityType),
    metadata: {
      entity: entityName,
      ...(entityType !== '' && { entity_type: entityType }),
    },
  }
  const texts = observations.map((text) => text.trim()).filter((text) => text !== '')
  if (texts.length === 0) {
    const kind = entityType === '' ? 'known' : words(entityType)
    return [{ ...about, content: `${words(entityName)}: ${kind}` }]
  }
  return texts.map((text) => ({ ...about, content: sentence(entityName, text) }))
}

/** The name goes into the text: a question about the entity has to find what is said of it. */
function sentence(entityName: string, observation: string): string {
  const spoken = words(entityName)
  const startsWithIt = observation.toLowerCase().startsWith(spoken.toLowerCase())
  return startsWithIt ? observation : `${spoken}: ${observation}`
}

function memoryOfRelation({ from, to, relationType }: z.output<typeof relation>): NewMemory {
  return {
    content: `${words(from)} ${words(relationType)} ${words(to)}.`,
    type: 'fact',
    tags: [knowledgeGraphTag, 'relation'],
    metadata: { from, relation: relationType, to },
  }
}

function tagsOf(entityType: string): string[] {
  const tag = cut(words(entityType).toLowerCase(), tagLengthMax).trim()
  return tag === '' || tag === knowledgeGraphTag ? [knowledgeGraphTag] : [knowledgeGraphTag, tag]
}

/** Not within a surrogate pair: half of one is no text, and the whole file would be refused for it. */
function cut(text: string, lengthMax: number): string {
  return text.slice(0, lengthMax).replace(/[\ud800-\udbff]$/, '')
}

/** `John_Smith` is how that server's prompts write names; people and questions write `John Smith`. */
function words(identifier: string): string {
  return identifier.replaceAll('_', ' ').replaceAll(/\s+/gu, ' ').trim()
}
