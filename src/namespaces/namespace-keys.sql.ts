/** Rows of namespace_keys, and the directory of root keys: what every process checks itself against. */
import type { StorageForm, WrappedKey } from '../crypto/namespace-keys.ts'
import type { Sql } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'

/** The key row of a namespace whose index key is `indexKey`; the token itself is in namespaces. */
export async function insertNamespaceKeys(
  tx: NamespaceTransaction,
  keys: {
    readonly salt: Buffer
    readonly indexKey: WrappedKey
    readonly plainBelow: number | null
  },
): Promise<void> {
  await tx`
    insert into namespace_keys (namespace, salt, key_id, epoch, plain_below)
    values (${tx.namespace}, ${keys.salt}, ${keys.indexKey.keyId}, ${keys.indexKey.epoch},
      ${keys.plainBelow})`
}

export interface KnownRootKey {
  readonly key_id: number
  /** A token that only this key opens. */
  readonly key_check: Buffer
}

/** Root keys that something was written with. Directory function, no context. */
export function knownRootKeys(sql: Sql): Promise<KnownRootKey[]> {
  return sql`select k.key_id, k.key_check from root_keys_known() k`
}

export async function addRootKey(sql: Sql, keyId: number, check: Buffer): Promise<void> {
  await sql`select root_key_add(${keyId}::int, ${check})`
}

export async function removeRootKey(sql: Sql, keyId: number): Promise<void> {
  await sql`select root_key_remove(${keyId}::int)`
}

/** Surrogates after one, ascending. Directory function: for upkeep of every namespace, one after another. */
export async function namespacesAfter(sql: Sql, after: bigint, limit: number): Promise<bigint[]> {
  const rows = await sql<{ namespace: bigint }>`
    select n.namespace from namespace_page(${after}::bigint, ${limit}::int) n`
  return rows.map((row) => row.namespace)
}

interface IndexKeyRow extends StorageForm {
  readonly index_key: Buffer
  readonly key_id: number
  readonly epoch: number
}

/** The wrapped index key, what it is wrapped under and for; undefined in profile `off`. */
export async function readIndexKey(tx: NamespaceTransaction): Promise<IndexKeyRow | undefined> {
  const [row] = await tx<IndexKeyRow>`
    select n.index_key, n.profile, k.plain_below, k.key_id, k.epoch
    from namespace_keys k join namespaces n on n.namespace = k.namespace
    where k.namespace = ${tx.namespace}`
  return row
}

/** The same index key, wrapped anew or for another form: the caller changes that in the same transaction. */
export async function updateIndexKey(tx: NamespaceTransaction, key: WrappedKey): Promise<void> {
  await tx`
    update namespace_keys set key_id = ${key.keyId}, epoch = ${key.epoch}
    where namespace = ${tx.namespace}`
  await tx`update namespaces set index_key = ${key.token} where namespace = ${tx.namespace}`
}

/** Which documents may still be plain; null once none is. */
export async function setPlainBelow(
  tx: NamespaceTransaction,
  document: number | null,
): Promise<void> {
  await tx`
    update namespace_keys set plain_below = ${document} where namespace = ${tx.namespace}`
}
