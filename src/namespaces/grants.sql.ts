/** Rows of the grants table. Its policies show a grant to the administrator who gave it and to its holder. */
import type { NamespaceTransaction } from '../database/scope.ts'

/** A grant in force as its holder reads through it. */
export interface HeldGrant {
  readonly id: string
  /** Whose memories it shows. */
  readonly namespace: bigint
  readonly namespaceName: string
  /** Subtracted from the score, which is 0 to 1. */
  readonly penalty: number
  readonly expiresAt: Date | null
}

interface HeldRow {
  readonly id: string
  readonly namespace: bigint
  readonly namespace_name: string
  readonly penalty: number
  readonly expires_at: Date | null
}

/**
 * At most `most` grants in force that the transaction's namespace holds: the oldest of each giver first, so
 * that nobody crowds out another by giving many. Index grants_held.
 */
export async function heldGrants(
  tx: NamespaceTransaction,
  most: number,
): Promise<readonly HeldGrant[]> {
  const rows = await tx<HeldRow>`
    select h.id, h.namespace, h.namespace_name, h.penalty::float8 as penalty, h.expires_at from (
      select g.*, row_number() over (partition by g.namespace order by g.created_at, g.id) as place
      from grants g
      where g.grantee = ${tx.namespace} and g.revoked_at is null
        and (g.expires_at is null or g.expires_at > statement_timestamp())
    ) h order by h.place, h.created_at, h.id limit ${most}`
  return rows.map(({ id, namespace, namespace_name: namespaceName, penalty, expires_at }) => ({
    id,
    namespace,
    namespaceName,
    penalty: Math.round(penalty * 10_000) / 10_000,
    expiresAt: expires_at,
  }))
}

/** Which of some grants the transaction's namespace still holds in force. Index grants_held. */
export async function stillHeld(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await tx<{ id: string }>`
    select g.id from grants g
    where g.grantee = ${tx.namespace} and g.id = any(${ids}::uuid[]) and g.revoked_at is null
      and (g.expires_at is null or g.expires_at > statement_timestamp())`
  return new Set(rows.map(({ id }) => id))
}

export interface NewGrant {
  readonly id: string
  readonly grantee: bigint
  readonly namespaceName: string
  readonly granteeName: string
  readonly types: string | null
  readonly includesShared: boolean
  readonly mark: bigint | null
  readonly markLabel: Buffer | null
  readonly penalty: number
  readonly createdAt: Date
  readonly expiresAt: Date | null
}

/** Adds a grant of the transaction's namespace, which must be an administrator's. */
export async function insertGrant(tx: NamespaceTransaction, grant: NewGrant): Promise<void> {
  await tx`
    insert into grants (namespace, id, grantee, namespace_name, grantee_name, types, includes_shared,
      mark, mark_label, penalty, created_at, created_by, expires_at)
    values (${tx.namespace}, ${grant.id}::uuid, ${grant.grantee}::bigint, ${grant.namespaceName},
      ${grant.granteeName}, ${grant.types}, ${grant.includesShared}, ${grant.mark}::bigint,
      ${grant.markLabel}, ${grant.penalty}::real, ${grant.createdAt}, ${tx.agent}, ${grant.expiresAt})`
}

/** Grants of the namespace that are in force; asked before one is added. Primary key. */
export async function countGiven(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ count: number }>`
    select count(*)::int as count from grants g
    where g.namespace = ${tx.namespace} and g.revoked_at is null
      and (g.expires_at is null or g.expires_at > statement_timestamp())`
  return row?.count ?? 0
}

export interface GrantRow {
  readonly namespace: bigint
  readonly id: string
  readonly namespace_name: string
  readonly grantee_name: string
  readonly types: string | null
  readonly includes_shared: boolean
  readonly mark_label: Buffer | null
  readonly penalty: number
  readonly created_at: Date
  readonly created_by: string
  readonly expires_at: Date | null
  readonly revoked_at: Date | null
}

/**
 * Grants that the transaction's namespace gives or holds, newest first, older than `beforeId` (UUIDv7).
 * Primary key and grants_held.
 */
export function listGrants(
  tx: NamespaceTransaction,
  beforeId: string | undefined,
  limit: number,
): Promise<GrantRow[]> {
  return tx`
    select g.namespace, g.id, g.namespace_name, g.grantee_name, g.types, g.includes_shared,
      g.mark_label, g.penalty::float8 as penalty, g.created_at, g.created_by, g.expires_at, g.revoked_at
    from grants g
    where (g.namespace = ${tx.namespace} or g.grantee = ${tx.namespace})
      and (${beforeId ?? null}::uuid is null or g.id < ${beforeId ?? null}::uuid)
    order by g.id desc limit ${limit}`
}

/**
 * Ends a grant that the transaction's namespace gives or holds; returns when it ended, now or before,
 * undefined when there is none. Locks its row.
 */
export async function revokeGrant(tx: NamespaceTransaction, id: string): Promise<Date | undefined> {
  await tx`
    update grants g set revoked_at = statement_timestamp()
    where (g.namespace = ${tx.namespace} or g.grantee = ${tx.namespace})
      and g.id = ${id}::uuid and g.revoked_at is null`
  const [row] = await tx<{ revoked_at: Date | null }>`
    select g.revoked_at from grants g
    where (g.namespace = ${tx.namespace} or g.grantee = ${tx.namespace}) and g.id = ${id}::uuid`
  return row?.revoked_at ?? undefined
}
