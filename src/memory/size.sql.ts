/** How much a namespace or some memories hold. */
import type { NamespaceTransaction } from '../database/scope.ts'

/** For a progress bar, to the administrator alone: versions that an export would give out, expired ones left out. Reads the whole primary key range. */
export async function countVersions(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ versions: number }>`
    select count(*)::int as versions from memories m
    where m.namespace = ${tx.namespace}
      and (m.expires_at is null or m.expires_at > statement_timestamp())`
  return row?.versions ?? 0
}

/**
 * Bytes of the readable versions of some memories, of the current ones unless `isHistory`. Lengths are read
 * from the rows, not the texts themselves. Primary key.
 */
export async function storedBytes(
  tx: NamespaceTransaction,
  ids: readonly string[],
  isHistory: boolean,
): Promise<number> {
  const [row] = await tx<{ bytes: number }>`
    select coalesce(sum(octet_length(m.content) + coalesce(octet_length(m.raw_content), 0)
      + coalesce(octet_length(m.metadata), 0)), 0)::float8 as bytes
    from memories m
    where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[])
      and (m.is_current or ${isHistory}::boolean)`
  return row?.bytes ?? 0
}
