/** Entities and their mentions. An entity is visible only through a mention in a visible memory. */
import type { NamespaceTransaction } from '../database/scope.ts'
import type { NamespaceSettings } from '../operation.ts'
import { writeEntityName, type StoredEntityName } from './entity-names.ts'

export interface NewEntity {
  readonly key: bigint
  readonly name: string
  readonly kind: string
}

export interface MentionRow {
  readonly entity: bigint
  readonly document: number
}

/** A concurrent forget may drop an entity between two statements; each further round needs one to do so. */
const roundsMax = 5

/**
 * Adds entities and mentions. Entities are locked FOR KEY SHARE in key order until the transaction
 * ends: stores share the lock, a forget that would drop an orphan waits and then sees the mention.
 */
export async function insertMentions(
  tx: NamespaceTransaction,
  settings: NamespaceSettings,
  entities: readonly NewEntity[],
  mentions: readonly MentionRow[],
): Promise<void> {
  if (mentions.length === 0) return
  const sorted = entities.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  // Most are there already, so the lock comes first and a name is encrypted only when it is new.
  let missing = await lockEntities(tx, sorted)
  for (let round = 0; missing.length > 0 && round < roundsMax; round += 1) {
    const rows = missing.map(({ key, name }) => writeEntityName(settings, key, name))
    const inserted = await tx<{ entity: bigint }>`
      insert into entities (namespace, entity, name, kind, key_id, epoch, key_token)
      select ${tx.namespace}::bigint, e.* from unnest(
        ${rows.map((row) => row.entity)}::bigint[], ${rows.map((row) => row.name)}::bytea[],
        ${missing.map((entity) => entity.kind)}::text[], ${rows.map((row) => row.key_id)}::int[],
        ${rows.map((row) => row.epoch)}::int[], ${rows.map((row) => row.key_token)}::bytea[]) as e
      on conflict do nothing returning entity`
    const ours = new Set(inserted.map((row) => row.entity))
    missing = await lockEntities(
      tx,
      missing.filter((entity) => !ours.has(entity.key)),
    )
  }
  await tx`
    insert into mentions (namespace, entity, document)
    select ${tx.namespace}::bigint, m.* from unnest(
      ${mentions.map((mention) => mention.entity)}::bigint[],
      ${mentions.map((mention) => mention.document)}::int[]) as m
    on conflict do nothing`
}

/** Gives the mentions of a document its new number. Primary key. */
export async function renumberMentions(
  tx: NamespaceTransaction,
  entities: readonly bigint[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  if (entities.length === 0) return
  await tx`
    update mentions x set document = ${to}
    where x.namespace = ${tx.namespace} and x.entity = any(${entities}::bigint[])
      and x.document = ${from}`
}

/** Locks those that are there, in key order; returns those that are not. */
async function lockEntities(
  tx: NamespaceTransaction,
  entities: readonly NewEntity[],
): Promise<readonly NewEntity[]> {
  if (entities.length === 0) return []
  const locked = await tx<{ entity: bigint }>`
    select entity from entities
    where namespace = ${tx.namespace} and entity = any(${entities.map(({ key }) => key)}::bigint[])
    order by entity for key share`
  const there = new Set(locked.map((row) => row.entity))
  return entities.filter(({ key }) => !there.has(key))
}

/**
 * Deletes those of `entities` that nothing mentions any more, after the mentions of removed memories went
 * by an earlier statement of the transaction.
 */
export async function deleteUnmentioned(
  tx: NamespaceTransaction,
  entities: readonly bigint[],
): Promise<void> {
  if (entities.length === 0) return
  // The lock waits for stores that are adding a mention and for other removals; the next statement then
  // sees what they left. Last in a removal, since stores that mention one of them wait for it.
  await tx`
    select entity from entities
    where namespace = ${tx.namespace} and entity = any(${entities}::bigint[])
    order by entity for update`
  await tx`
    delete from entities e
    where e.namespace = ${tx.namespace} and e.entity = any(${entities}::bigint[])
      and not exists (select from mentions m
        where m.namespace = e.namespace and m.entity = e.entity)`
}

/**
 * How many of some entities no memory mentions that the caller may see. Not the number of rows that went:
 * a name that stays because of a memory out of sight would tell of that memory.
 */
export async function countUnmentioned(
  tx: NamespaceTransaction,
  entities: readonly bigint[],
): Promise<number> {
  if (entities.length === 0) return 0
  const [row] = await tx<{ count: number }>`
    select count(*)::int as count from unnest(${entities}::bigint[]) as t (entity)
    where not exists (
      select from mentions n join memories m on m.namespace = n.namespace and m.document = n.document
      where n.namespace = ${tx.namespace} and n.entity = t.entity)`
  return row?.count ?? 0
}

/** Names of entities, in no order. Primary key. Ask only for what a visible memory mentions. */
export function readEntities(
  tx: NamespaceTransaction,
  entities: readonly bigint[],
): Promise<Pick<StoredEntityName, 'entity' | 'name' | 'key_token'>[]> {
  return tx`
    select e.entity, e.name, e.key_token from entities e
    where e.namespace = ${tx.namespace} and e.entity = any(${entities}::bigint[])`
}
