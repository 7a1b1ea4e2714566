/** API key rows, reached through definer functions alone: the application has no right on their table. */
import type { Sql } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'

/** What a key stands for, and the hashes that prove it. */
export interface FoundApiKey {
  readonly namespace: bigint
  readonly namespace_name: string
  readonly agent: string
  /** Words with spaces between them, as the row holds them. */
  readonly scopes: string
  /** Null: every tool. */
  readonly tools: string | null
  readonly requests_per_minute: number | null
  readonly secret_hash: Buffer
  /** The secret before the last rotation, while it is still valid. */
  readonly previous_hash: Buffer | null
}

/** The key with this id; undefined when there is none in force. One row by primary key, no locks. */
export async function findApiKey(sql: Sql, id: string): Promise<FoundApiKey | undefined> {
  const [row] = await sql<FoundApiKey>`
    select f.namespace, f.namespace_name, f.agent, f.scopes, f.tools,
      f.requests_per_minute, f.secret_hash, f.previous_hash
    from api_key_find(${id}::uuid) f`
  return row
}

export interface NewApiKey {
  readonly id: string
  readonly agent: string
  readonly label: string
  readonly scopes: string
  readonly tools: string | null
  readonly requestsPerMinute: number | null
  readonly secretHash: Buffer
  readonly expiresAt: Date | null
}

/** Keys of the namespace in force; 0 for a context that is no administrator's. */
export async function countApiKeys(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ count: number }>`select api_key_count() as count`
  return row?.count ?? 0
}

/** Adds a key to the transaction's namespace; undefined when its context is no administrator's. */
export async function insertApiKey(
  tx: NamespaceTransaction,
  key: NewApiKey,
): Promise<Date | undefined> {
  const [row] = await tx<{ created_at: Date | null }>`
    select api_key_issue(${key.id}::uuid, ${key.agent}, ${key.label}, ${key.scopes}, ${key.tools},
      ${key.requestsPerMinute}::int, ${key.secretHash}, ${key.expiresAt})
      as created_at`
  return row?.created_at ?? undefined
}

export interface ListedApiKey extends Omit<
  FoundApiKey,
  'namespace' | 'namespace_name' | 'secret_hash' | 'previous_hash'
> {
  readonly id: string
  readonly label: string
  /** Until when the secret before the last rotation is valid; null when it is not. */
  readonly previous_until: Date | null
  readonly created_at: Date
  readonly created_by: string
  readonly rotated_at: Date | null
  readonly expires_at: Date | null
  readonly last_used_at: Date | null
  readonly revoked_at: Date | null
}

/** Keys of the namespace, newest first, older than `beforeId`. Index api_keys_namespace. */
export function listApiKeys(
  tx: NamespaceTransaction,
  beforeId: string | undefined,
  limit: number,
): Promise<ListedApiKey[]> {
  return tx`
    select l.id, l.agent, l.label, l.scopes, l.tools, l.requests_per_minute,
      l.previous_until, l.created_at, l.created_by, l.rotated_at, l.expires_at, l.last_used_at,
      l.revoked_at
    from api_key_list(${beforeId ?? null}::uuid, ${limit}::int) l order by l.id desc`
}

export interface RotatedApiKey {
  readonly rotated_at: Date
  readonly previous_until: Date | null
  readonly expires_at: Date | null
}

/** Undefined when the namespace has no such key in force. Locks the row until the commit. */
export async function rotateApiKey(
  tx: NamespaceTransaction,
  id: string,
  secretHash: Buffer,
  graceSeconds: number,
): Promise<RotatedApiKey | undefined> {
  const [row] = await tx<RotatedApiKey>`
    select r.rotated_at, r.previous_until, r.expires_at
    from api_key_rotate(${id}::uuid, ${secretHash}, ${graceSeconds}::int) r`
  return row
}

/** When the key was revoked, now or before; undefined when the namespace has no such key. */
export async function revokeApiKey(
  tx: NamespaceTransaction,
  id: string,
): Promise<Date | undefined> {
  const [row] = await tx<{ revoked_at: Date | null }>`
    select api_key_revoke(${id}::uuid) as revoked_at`
  return row?.revoked_at ?? undefined
}

/** Notes uses; ages rather than times, since the clock is the database's. At most 1,000 at a time. */
export async function noteApiKeyUses(
  sql: Sql,
  uses: readonly { readonly id: string; readonly secondsAgo: number }[],
): Promise<void> {
  await sql`
    select api_key_used(${uses.map(({ id }) => id)}::uuid[],
      ${uses.map(({ secondsAgo }) => secondsAgo)}::float8[])`
}
