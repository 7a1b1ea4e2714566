/** How much a namespace holds, for a progress bar: an answer to its administrator alone. */
import type { NamespaceTransaction } from '../database/scope.ts'

/** Versions that an export would give out, expired ones left out. Reads the whole primary key range. */
export async function countVersions(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ versions: number }>`
    select count(*)::int as versions from memories m
    where m.namespace = ${tx.namespace}
      and (m.expires_at is null or m.expires_at > statement_timestamp())`
  return row?.versions ?? 0
}
