/** Upkeep of the keys of entity names: wrapped anew with the others, and made for names from before encryption. */
import type { WrapOrigin } from '../crypto/namespace-keys.ts'
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

/** Writes keys, and the name too where it was encrypted on the way (`name` null: it stays). */
export async function updateEntityKeys(
  tx: NamespaceTransaction,
  rows: readonly (Omit<StoredEntityName, 'name'> & { readonly name: Buffer | null })[],
): Promise<void> {
  await tx`
    update entities e set name = coalesce(r.name, e.name), key_id = r.key_id, epoch = r.epoch,
      key_token = r.key_token
    from unnest(
      ${rows.map((row) => row.entity)}::bigint[], ${rows.map((row) => row.name)}::bytea[],
      ${rows.map((row) => row.key_id)}::int[], ${rows.map((row) => row.epoch)}::int[],
      ${rows.map((row) => row.key_token)}::bytea[]) as r (entity, name, key_id, epoch, key_token)
    where e.namespace = ${tx.namespace} and e.entity = r.entity`
}
