/** Entities as the caller may see them: only through live memories that its policies show. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { live } from './memories.sql.ts'
import { unpackTerms } from './packed.ts'

/** Every mention in the newest `memories` visible live memories, once per memory. Index memories_recent. */
export async function recentMentions(
  tx: NamespaceTransaction,
  memories: number,
): Promise<readonly bigint[]> {
  // One value: an embedded engine hands out some 100 fields a millisecond.
  const [row] = await tx<{ packed: Buffer | null }>`
    select string_agg(newest.entities, ''::bytea) as packed from (
      select m.entities from memories m where m.namespace = ${tx.namespace} and ${live(tx)}
      order by m.recorded_at desc, m.id desc limit ${memories}) newest`
  return row?.packed ? unpackTerms(row.packed) : []
}

/**
 * The newest visible live memory that mentions each of some entities; none for one that no such memory does.
 * Primary key of mentions, then memories_document.
 */
export async function visibleMentions(
  tx: NamespaceTransaction,
  entities: readonly bigint[],
): Promise<readonly { readonly entity: bigint; readonly document: number }[]> {
  if (entities.length === 0) return []
  // Fenced as in candidates.sql.ts, so that each mention finds its memory by document.
  return await tx<{ entity: bigint; document: number }>`
    select w.entity, newest.document from unnest(${entities}::bigint[]) as w (entity)
    cross join lateral (
      select e.document from mentions e cross join lateral (
        select (${live(tx)}) as is_live from memories m
        where m.namespace = ${tx.namespace} and m.document = e.document offset 0) found
      where e.namespace = ${tx.namespace} and e.entity = w.entity and found.is_live
      order by e.document desc limit 1) newest`
}
