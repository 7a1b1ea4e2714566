/** How much a namespace or some memories hold. */
import { fragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { seen, type Moment } from './memories.sql.ts'

/** For a progress bar, to the administrator alone: versions that an export would give out, expired ones left out. Reads the whole primary key range. */
export async function countVersions(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ versions: number }>`
    select count(*)::int as versions from memories m
    where m.namespace = ${tx.namespace}
      and (m.expires_at is null or m.expires_at > statement_timestamp())`
  return row?.versions ?? 0
}

/** Bytes of a version's texts, on alias `m`. */
export const storedLength = fragment`(octet_length(m.content)
  + coalesce(octet_length(m.raw_content), 0) + coalesce(octet_length(m.metadata), 0))`

/**
 * Bytes of what a moment shows of some memories; of their newest versions where it shows every one. Lengths
 * are read from the rows, not the texts themselves. Primary key.
 */
export async function storedBytes(
  tx: NamespaceTransaction,
  ids: readonly string[],
  moment: Moment = 'now',
): Promise<number> {
  const isNewest = moment === 'ever' ? fragment`m.is_current` : fragment`true`
  const [row] = await tx<{ bytes: number }>`
    select coalesce(sum(${storedLength}), 0)::float8 as bytes from memories m
    where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[])
      and ${isNewest} and ${seen(tx, moment)}`
  return row?.bytes ?? 0
}
