/** Entities and their mentions. An entity is visible only through a mention in a visible memory. */
import type { NamespaceTransaction } from '../database/scope.ts'

export interface EntityRow {
  readonly entity: bigint
  readonly name: Buffer
  readonly kind: string
}

export interface MentionRow {
  readonly entity: bigint
  readonly document: number
}

/**
 * Adds entities and mentions. Entities are locked FOR KEY SHARE in key order until the transaction
 * ends: stores share the lock, a forget that would drop an orphan waits and then sees the mention.
 */
export async function insertMentions(
  tx: NamespaceTransaction,
  entities: readonly EntityRow[],
  mentions: readonly MentionRow[],
): Promise<void> {
  if (mentions.length === 0) return
  const sorted = entities.toSorted((a, b) => (a.entity < b.entity ? -1 : 1))
  const keys = sorted.map((entity) => entity.entity)
  let missing = true
  // A concurrent forget may drop an entity between the two statements; each round needs one to do so.
  for (let round = 0; missing && round < 5; round += 1) {
    await tx`
      insert into entities (namespace, entity, name, kind)
      select ${tx.namespace}::bigint, e.* from unnest(${keys}::bigint[],
        ${sorted.map((entity) => entity.name)}::bytea[],
        ${sorted.map((entity) => entity.kind)}::text[]) as e
      on conflict do nothing`
    const locked = await tx`
      select entity from entities
      where namespace = ${tx.namespace} and entity = any(${keys}::bigint[])
      order by entity for key share`
    missing = locked.length < keys.length
  }
  await tx`
    insert into mentions (namespace, entity, document)
    select ${tx.namespace}::bigint, m.* from unnest(
      ${mentions.map((mention) => mention.entity)}::bigint[],
      ${mentions.map((mention) => mention.document)}::int[]) as m
    on conflict do nothing`
}

/** Deletes mentions of removed documents, then entities that nothing mentions any more; returns how many. */
export async function deleteMentions(
  tx: NamespaceTransaction,
  mentions: readonly MentionRow[],
): Promise<number> {
  if (mentions.length === 0) return 0
  // Found by the primary key inside a fence, deleted by place: see deletePostings.
  await tx`
    delete from mentions m where m.namespace = ${tx.namespace} and m.ctid = any(array(
      select q.place from unnest(${mentions.map((mention) => mention.entity)}::bigint[],
        ${mentions.map((mention) => mention.document)}::int[]) as r (entity, document)
      cross join lateral (
        select q.ctid as place from mentions q
        where q.namespace = ${tx.namespace} and q.entity = r.entity and q.document = r.document
        offset 0) q))`
  const touched = [...new Set(mentions.map((mention) => mention.entity))]
  // The lock waits for stores that are adding a mention; the next statement then sees it.
  await tx`
    select entity from entities
    where namespace = ${tx.namespace} and entity = any(${touched}::bigint[])
    order by entity for update`
  const orphans = await tx`
    delete from entities e
    where e.namespace = ${tx.namespace} and e.entity = any(${touched}::bigint[])
      and not exists (select from mentions m
        where m.namespace = e.namespace and m.entity = e.entity)
    returning e.entity`
  return orphans.length
}
