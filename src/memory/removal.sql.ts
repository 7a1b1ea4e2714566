/** Rows of the memories table on their way out; remove.ts alone calls this. */
import type { NamespaceTransaction } from '../database/scope.ts'
import type { MemoryRow } from './memories.sql.ts'

export interface RemovedRow {
  readonly id: string
  readonly version: number
  readonly document: number
  readonly terms: Buffer
  readonly tag_terms: Buffer
  readonly entities: Buffer
}

/** Locks every version of the given memories that the caller may see, in id order, to delete them. */
export function lockMemories(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<(RemovedRow & Pick<MemoryRow, 'access' | 'owner_agent' | 'readers'>)[]> {
  return tx`
    select m.id, m.version, m.document, m.terms, m.tag_terms, m.entities, m.access, m.owner_agent,
      m.readers
    from memories m where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[])
    order by m.id, m.version for update`
}

/** Deletes locked versions, after what was derived from them. Primary key. */
export async function deleteMemories(
  tx: NamespaceTransaction,
  versions: readonly Pick<MemoryRow, 'id' | 'version'>[],
): Promise<void> {
  await tx`
    delete from memories m where m.namespace = ${tx.namespace} and (m.id, m.version) in (
      select * from unnest(${versions.map((row) => row.id)}::uuid[],
        ${versions.map((row) => row.version)}::int[]))`
}

/**
 * Deletes current versions past their expiry, the longest expired first; skips what another process
 * purges. One statement and one pass over each row: locking first and deleting then wrote it twice.
 */
export function deleteExpired(
  tx: NamespaceTransaction,
  limit: number,
): Promise<(RemovedRow & { expires_at: Date })[]> {
  return tx`
    delete from memories m where m.namespace = ${tx.namespace} and m.ctid = any(array(
      select e.ctid from memories e
      where e.namespace = ${tx.namespace} and e.is_current and e.expires_at <= statement_timestamp()
      order by e.expires_at limit ${limit} for update skip locked))
    returning m.id, m.version, m.expires_at, m.document, m.terms, m.tag_terms, m.entities`
}
