/** Looks behind the policies for memories that are not whole and for rows that belong to none. */
import type { OwnerDatabase } from '../../src/database/database.ts'

/** Rows that should not be there, by kind; all zero in a whole database. */
export interface Damage {
  readonly without_postings: number
  readonly without_embedding: number
  readonly without_mentions: number
  readonly stray_postings: number
  readonly stray_embeddings: number
  readonly stray_mentions: number
  readonly stray_entities: number
}

/**
 * Every memory names its terms, tags and entities in packed lists of 8 bytes each: the rows of the
 * derived tables must be exactly as many, and none may belong to a memory that is not there.
 * Expects contents that have a vector.
 */
export async function findDamage(owner: OwnerDatabase): Promise<Damage> {
  const [damage] = await owner.ownerTransaction(
    (sql) => sql<Damage & object>`
      with
        m as materialized (
          select namespace, id, document, octet_length(terms) / 8 + octet_length(tag_terms) / 8 as terms,
            octet_length(entities) / 8 as entities
          from mindglue.memories),
        v as materialized (
          select namespace, document from mindglue.embeddings
          union all select namespace, document from mindglue.sealed_embeddings),
        p as materialized (
          select namespace, document, count(*) as rows from mindglue.postings group by 1, 2),
        e as materialized (
          select n.namespace, n.document, count(*) as rows
          from mindglue.mentions n join mindglue.entities using (namespace, entity) group by 1, 2)
      select
        (select count(*)::int from m left join p using (namespace, document)
          where m.terms <> coalesce(p.rows, 0)) as without_postings,
        (select count(*)::int from m left join v using (namespace, document)
          where v.document is null) as without_embedding,
        (select count(*)::int from m left join e using (namespace, document)
          where m.entities <> coalesce(e.rows, 0)) as without_mentions,
        (select count(*)::int from p left join m using (namespace, document)
          where m.id is null) as stray_postings,
        (select count(*)::int from v left join m using (namespace, document)
          where m.id is null) as stray_embeddings,
        (select count(*)::int from mindglue.mentions n left join m using (namespace, document)
          where m.id is null) as stray_mentions,
        (select count(*)::int from mindglue.entities n
          where not exists (select from mindglue.mentions x
            where x.namespace = n.namespace and x.entity = n.entity)) as stray_entities`,
  )
  if (damage === undefined) throw new Error('the count gave no row')
  return damage
}

export const noDamage: Damage = {
  without_postings: 0,
  without_embedding: 0,
  without_mentions: 0,
  stray_postings: 0,
  stray_embeddings: 0,
  stray_mentions: 0,
  stray_entities: 0,
}

export interface Held {
  /** Ids of the memories that are there. */
  readonly memories: readonly string[]
  /** Ids that the audit says are there: stored and not forgotten. */
  readonly audited: readonly string[]
  /** Sizes of the audited stores that stored anything; a batch is whole or absent. */
  readonly storeSizes: readonly number[]
}

/** Memories beside what the audit events of their namespace add up to. */
export async function readHeld(owner: OwnerDatabase): Promise<Held> {
  return await owner.ownerTransaction(async (sql) => {
    const rows = await sql<{ id: string }>`select id from mindglue.memories where is_current`
    const events = await sql<{ action: string; id: string }>`
      select e.action, unnest(e.resource_ids)::text as id from mindglue.audit_events e
      where e.outcome = 'ok' and e.action in ('store', 'forget')`
    const sizes = await sql<{ size: number }>`
      select distinct resource_count as size from mindglue.audit_events
      where outcome = 'ok' and action = 'store' and resource_count > 0`
    const forgotten = new Set(events.flatMap(({ action, id }) => (action === 'forget' ? [id] : [])))
    return {
      memories: rows.map(({ id }) => id).toSorted(),
      audited: events
        .flatMap(({ action, id }) => (action === 'store' && !forgotten.has(id) ? [id] : []))
        .toSorted(),
      storeSizes: sizes.map(({ size }) => size),
    }
  })
}
