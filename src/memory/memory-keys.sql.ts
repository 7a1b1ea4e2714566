/** The wrapped content keys of memory versions: one row each in an encrypted namespace, none in a plain one. */
import type { WrappedKey, WrapOrigin } from '../crypto/namespace-keys.ts'
import { fragment, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { FieldPlace } from './fields.ts'
import { PackedReader } from './packed.ts'

/** Output column `key_token` for a row of memories on alias `m`. Primary key, one probe a row. */
export const keyToken = fragment`(select k.token from memory_keys k
  where k.namespace = m.namespace and k.id = m.id and k.version = m.version) as key_token`

export async function insertMemoryKeys(
  tx: NamespaceTransaction,
  rows: readonly (FieldPlace & { readonly key: WrappedKey })[],
): Promise<void> {
  if (rows.length === 0) return
  await tx`
    insert into memory_keys (namespace, id, version, key_id, epoch, token)
    select ${tx.namespace}::bigint, k.* from unnest(
      ${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.version)}::int[],
      ${rows.map((row) => row.key.keyId)}::int[], ${rows.map((row) => row.key.epoch)}::int[],
      ${rows.map((row) => row.key.token)}::bytea[]) as k`
}

/**
 * Tokens of some versions, in their order; null for one that has none. Primary key. In one value, since an
 * embedded engine takes a millisecond for a hundred fields.
 */
export async function readMemoryKeys(
  tx: NamespaceTransaction,
  places: readonly FieldPlace[],
): Promise<(Buffer | null)[]> {
  if (places.length === 0) return []
  const [row] = await tx<{ packed: Buffer }>`
    select string_agg(coalesce(int4send(length(k.token)) || k.token, int4send(-1)), ''::bytea
      order by w.place) as packed
    from unnest(${places.map((place) => place.id)}::uuid[],
      ${places.map((place) => place.version)}::int[]) with ordinality as w (id, version, place)
    left join lateral (
      select k.token from memory_keys k
      where k.namespace = ${tx.namespace} and k.id = w.id and k.version = w.version offset 0) k on true`
  const reader = new PackedReader(row?.packed ?? Buffer.alloc(0))
  return places.map(() => reader.bytes())
}

/**
 * Part of a removal, for the CTE `gone` of remove.sql.ts: without its key, what a version encrypted cannot
 * be read. Found by the primary key inside a fence, deleted by place: see deleteListed.
 */
export function deleteMemoryKeys(tx: NamespaceTransaction): SqlFragment {
  return fragment`
    delete from memory_keys k where k.namespace = ${tx.namespace} and k.ctid = any(array(
      select q.place from gone g cross join lateral (
        select q.ctid as place from memory_keys q
        where q.namespace = ${tx.namespace} and q.id = g.id and q.version = g.version
        offset 0) q))`
}

/** Versions whose key is wrapped under something else than `current`. Reads every key of the namespace. */
export async function countOutdatedMemoryKeys(
  tx: NamespaceTransaction,
  current: WrapOrigin,
): Promise<number> {
  const [row] = await tx<{ keys: number }>`
    select count(*)::int as keys from memory_keys k
    where k.namespace = ${tx.namespace} and (k.key_id, k.epoch) <> (${current.keyId}, ${current.epoch})`
  return row?.keys ?? 0
}

/**
 * A batch of them in key order after a place; holds their row locks, leaves out what others hold.
 * Primary key.
 */
export function outdatedMemoryKeys(
  tx: NamespaceTransaction,
  current: WrapOrigin,
  after: FieldPlace,
  limit: number,
): Promise<(FieldPlace & { token: Buffer })[]> {
  return tx`
    select k.id, k.version, k.token from memory_keys k
    where k.namespace = ${tx.namespace}
      and (k.id, k.version) > (${after.id}::uuid, ${after.version}::int)
      and (k.key_id, k.epoch) <> (${current.keyId}, ${current.epoch})
    order by k.id, k.version limit ${limit} for update skip locked`
}

export async function updateMemoryKeys(
  tx: NamespaceTransaction,
  rows: readonly (FieldPlace & { readonly key: WrappedKey })[],
): Promise<void> {
  await tx`
    update memory_keys k set key_id = r.key_id, epoch = r.epoch, token = r.token
    from unnest(
      ${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.version)}::int[],
      ${rows.map((row) => row.key.keyId)}::int[], ${rows.map((row) => row.key.epoch)}::int[],
      ${rows.map((row) => row.key.token)}::bytea[]) as r (id, version, key_id, epoch, token)
    where k.namespace = ${tx.namespace} and k.id = r.id and k.version = r.version`
}

/** How many keys of the namespace each root key and epoch wraps. */
export function memoryKeyOrigins(
  tx: NamespaceTransaction,
): Promise<{ key_id: number; epoch: number; keys: number }[]> {
  return tx`
    select k.key_id, k.epoch, count(*)::int as keys from (
      select key_id, epoch from memory_keys where namespace = ${tx.namespace}
      union all
      select key_id, epoch from entities where namespace = ${tx.namespace} and key_id is not null
      union all
      select instructions_key_id, instructions_epoch from namespaces
      where namespace = ${tx.namespace} and instructions_token is not null
      union all
      select key_id, epoch from namespace_keys where namespace = ${tx.namespace}) k
    group by 1, 2 order by 1, 2`
}
