/** Versions locked on their way out: remove.ts claims them here and then deletes what it holds. */
import { fragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { FieldPlace } from './fields.ts'
import type { MemoryRow } from './memories.sql.ts'

/** A version locked for its removal. */
export interface ClaimedVersion extends Pick<
  MemoryRow,
  'id' | 'version' | 'document' | 'access' | 'owner_agent' | 'readers'
> {
  /** Where the row lies (ctid): it does not move while it is locked. */
  readonly place: string
  /** How many rows it has in postings. */
  readonly postings: number
  readonly is_current: boolean
  readonly mark: bigint
}

/**
 * What a version is at the moment, on alias `m`; those of a memory are combined by exclusive or. A document
 * number is one version's for good, so a memory that was edited, retired, restored, pinned, approved or given
 * other readers has another mark, and one whose versions were rolled back and written anew as well. What is
 * quarantined adds nothing: who cannot see it and who can are to find the same.
 */
export const versionMark = fragment`case when m.quarantine = 0 then
  hashtextextended(concat_ws(' ', m.document, m.is_current, m.trust, extract(epoch from m.pinned_at)), 0)
  else 0 end`

const claimed = fragment`m.id, m.version, m.document, m.access, m.owner_agent, m.readers, m.is_current,
  ${versionMark} as mark, m.ctid::text as place,
  (length(m.terms) + length(m.tag_terms)) / 8 as postings`

/** Locks every version of the given memories that the caller may see. Primary key, in its order. */
export async function claimMemories(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<ClaimedVersion[]> {
  const rows = await lockMemories(tx, ids)
  const current = new Set(rows.flatMap((row) => (row.is_current ? [row.id] : [])))
  const raced = new Set(rows.flatMap((row) => (current.has(row.id) ? [] : [row.id])))
  if (raced.size === 0) return rows
  // Changed while this waited for its lock: the version that took the place came after the snapshot. Now that
  // the others are locked no further one can follow.
  return [...rows.filter((row) => !raced.has(row.id)), ...(await lockMemories(tx, [...raced]))]
}

function lockMemories(tx: NamespaceTransaction, ids: readonly string[]): Promise<ClaimedVersion[]> {
  return tx`
    select ${claimed} from memories m
    where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[])
    order by m.id, m.version for update`
}

/** Locks exactly these versions, of those that the caller may see, in key order. Primary key. */
export function claimVersions(
  tx: NamespaceTransaction,
  places: readonly FieldPlace[],
): Promise<ClaimedVersion[]> {
  return tx`
    select ${claimed} from unnest(${places.map((place) => place.id)}::uuid[],
      ${places.map((place) => place.version)}::int[]) as w (id, version)
    join memories m on m.namespace = ${tx.namespace} and m.id = w.id and m.version = w.version
    order by m.id, m.version for update of m`
}

/** The version that stands for its memory: the newest, or any where an import brought none that is. */
const leading = fragment`(m.is_current or not exists (select from memories c
  where c.namespace = m.namespace and c.id = m.id and c.is_current))`

/**
 * Locks a version of each memory past its expiry, the longest expired first; skips what is locked, so that
 * workers and processes share the work. `from` leaves out earlier ones: rows just purged stay in the index
 * for as long as an old snapshot (an export, a backup) could see them, and each batch would read them all
 * again. Index memories_expiry.
 */
export function claimExpired(
  tx: NamespaceTransaction,
  limit: number,
  from: Date | undefined,
): Promise<(ClaimedVersion & { expires_at: Date })[]> {
  const since = from ? fragment`m.expires_at >= ${from}::timestamptz` : fragment`true`
  return tx`
    select ${claimed}, m.expires_at from memories m
    where m.namespace = ${tx.namespace} and m.expires_at <= statement_timestamp() and ${since}
      and ${leading}
    order by m.expires_at limit ${limit} for update skip locked`
}

/** Whether a memory expired before `before` is still there. Index memories_expiry. */
export async function hasExpired(tx: NamespaceTransaction, before: Date): Promise<boolean> {
  const rows = await tx`
    select from memories m
    where m.namespace = ${tx.namespace} and m.expires_at < ${before}::timestamptz and ${leading}
    limit 1`
  return rows.length > 0
}
