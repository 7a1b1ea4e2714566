/** Upkeep of the keys of entity names: wrapped anew with the others, and made for names from before encryption. */
import type { WrappedKey, WrapOrigin } from '../crypto/namespace-keys.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { StoredEntityName } from './entity-names.ts'

/** Entities whose key is wrapped under something else than `current`. Reads every entity of the namespace. */
export async function countOutdatedEntityKeys(
  tx: NamespaceTransaction,
  current: WrapOrigin,
): Promise<number> {
  const [row] = await tx<{ keys: number }>`
    select count(*)::int as keys from entities e
    where e.namespace = ${tx.namespace} and (e.key_id, e.epoch) <> (${current.keyId}, ${current.epoch})`
  return row?.keys ?? 0
}

/** A batch of them in key order; holds their row locks, leaves out what others hold. Primary key. */
export function outdatedEntityKeys(
  tx: NamespaceTransaction,
  current: WrapOrigin,
  after: bigint,
  limit: number,
): Promise<{ entity: bigint; token: Buffer }[]> {
  return tx`
    select e.entity, e.key_token as token from entities e
    where e.namespace = ${tx.namespace} and e.entity > ${after}
      and (e.key_id, e.epoch) <> (${current.keyId}, ${current.epoch})
    order by e.entity limit ${limit} for no key update skip locked`
}

/** A batch of names in plain text, in key order. Holds their row locks. Primary key. */
export function plainEntityNames(
  tx: NamespaceTransaction,
  after: bigint,
  limit: number,
): Promise<{ entity: bigint; name: Buffer }[]> {
  return tx`
    select e.entity, e.name from entities e
    where e.namespace = ${tx.namespace} and e.entity > ${after} and e.key_token is null
    order by e.entity limit ${limit} for no key update`
}

/** The same keys, wrapped anew; names stay. */
export async function updateEntityKeys(
  tx: NamespaceTransaction,
  rows: readonly { readonly entity: bigint; readonly key: WrappedKey }[],
): Promise<void> {
  await tx`
    update entities e set key_id = r.key_id, epoch = r.epoch, key_token = r.token
    from unnest(
      ${rows.map((row) => row.entity)}::bigint[], ${rows.map((row) => row.key.keyId)}::int[],
      ${rows.map((row) => row.key.epoch)}::int[], ${rows.map((row) => row.key.token)}::bytea[])
      as r (entity, key_id, epoch, token)
    where e.namespace = ${tx.namespace} and e.entity = r.entity`
}

/** Names that were plain, with the keys they are under now. */
export async function updateEntityNames(
  tx: NamespaceTransaction,
  rows: readonly StoredEntityName[],
): Promise<void> {
  await tx`
    update entities e set name = r.name, key_id = r.key_id, epoch = r.epoch, key_token = r.key_token
    from unnest(
      ${rows.map((row) => row.entity)}::bigint[], ${rows.map((row) => row.name)}::bytea[],
      ${rows.map((row) => row.key_id)}::int[], ${rows.map((row) => row.epoch)}::int[],
      ${rows.map((row) => row.key_token)}::bytea[]) as r (entity, name, key_id, epoch, key_token)
    where e.namespace = ${tx.namespace} and e.entity = r.entity`
}
