/** The operation `entity.names`: names that begin as typed, for completion; the most mentioned first. */
import { z } from 'zod'
import { readEntityName } from '../graph/entity-names.ts'
import { readEntities } from '../graph/graph.sql.ts'
import type { CommitContext, Operation } from '../operation.ts'
import { entityKey, normaliseLabel } from './keys.ts'
import { boundedText } from './memory.ts'
import { recentMentions, visibleMentions } from './mentions.sql.ts'
import { spellingsOf } from './spellings.ts'
import { Unreadable } from './unreadable.ts'

/** Newest memories whose mentions are counted: bounds a keystroke's work in a namespace of any size. */
const memoriesLookedAt = 5_000
/** Most mentioned names that are read and compared. They may be encrypted, so the database cannot. */
const namesLookedAt = 500
const namesMax = 100

const namesInput = z.strictObject({
  prefix: boundedText(256, 'prefix'),
  limit: z.int().min(1).max(namesMax).optional(),
})

const namesOutput = z.object({
  names: z.array(z.string()),
  total: z.int().describe('Names that begin so, among those looked at'),
})

/** Builds the operation. A name is given only if a live memory that the caller may read mentions it, and as it does. */
export function entityNamesOperation(): Operation<
  typeof namesInput,
  typeof namesOutput,
  undefined
> {
  return {
    name: 'entity.names',
    title: 'Complete a name',
    description: 'Names in your memories that begin as typed, the most mentioned first.',
    scope: 'memory:read',
    tool: 'recall',
    effect: 'read',
    input: namesInput,
    output: namesOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async (context, _prepared, { prefix, limit = namesMax }) => {
      const typed = normaliseLabel(prefix)
      const entities = await entitiesFor(context, typed)
      const unreadable = new Unreadable()
      const names = await namesOf(context, entities, unreadable)
      const found = entities.filter((entity) => names.get(entity)?.startsWith(typed))
      const shown = found.slice(0, limit)
      const spellings = await spellingsOf(context, shown, unreadable)
      await unreadable.requireCurrent(context)
      return {
        output: {
          names: shown.map((entity) => spellings.get(entity) ?? names.get(entity) ?? ''),
          total: found.length,
        },
        audit: { counts: { names: shown.length } },
        unreadable: unreadable.count,
      }
    },
  }
}

/** The most mentioned, and the name as typed: it is found however old and rare it is. */
async function entitiesFor(context: CommitContext, typed: string): Promise<readonly bigint[]> {
  const counts = new Map<bigint, number>()
  for (const entity of await recentMentions(context.tx, memoriesLookedAt)) {
    counts.set(entity, (counts.get(entity) ?? 0) + 1)
  }
  const most = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, namesLookedAt)
  const entities = most.map(([entity]) => entity)
  const exact = entityKey(context.settings.indexKey, typed)
  if (typed === '' || entities.includes(exact)) return entities
  const mentioned = await visibleMentions(context.tx, [exact])
  return mentioned.length > 0 ? [exact, ...entities] : entities
}

/**
 * Names in the form that all their spellings share, without those that do not decrypt. Whoever stored one
 * first has told no more by it than the key does.
 */
async function namesOf(
  { tx, settings }: CommitContext,
  entities: readonly bigint[],
  unreadable: Unreadable,
): Promise<ReadonlyMap<bigint, string>> {
  const names = new Map<bigint, string>()
  if (entities.length === 0) return names
  for (const row of await readEntities(tx, entities)) {
    const name = unreadable.skip(String(row.entity), () => readEntityName(settings, row))
    if (name !== undefined) names.set(row.entity, normaliseLabel(name))
  }
  return names
}
