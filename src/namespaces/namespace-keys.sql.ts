/** Rows of namespace_keys, and the directory of root keys: what every process checks itself against. */
import type { WrappedKey } from '../crypto/namespace-keys.ts'
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
