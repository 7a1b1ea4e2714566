/** The wrapped content keys of memory versions: one row each in an encrypted namespace, none in a plain one. */
import type { WrappedKey } from '../crypto/namespace-keys.ts'
import { fragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { FieldPlace } from './fields.ts'

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

/** Tokens of some versions, in no order. Primary key. */
export function readMemoryKeys(
  tx: NamespaceTransaction,
  places: readonly FieldPlace[],
): Promise<{ id: string; version: number; key_token: Buffer }[]> {
  return tx`
    select k.* from unnest(${places.map((place) => place.id)}::uuid[],
      ${places.map((place) => place.version)}::int[]) as w (id, version)
    cross join lateral (
      select k.id, k.version, k.token as key_token from memory_keys k
      where k.namespace = ${tx.namespace} and k.id = w.id and k.version = w.version offset 0) k`
}

/**
 * The keys of removed versions: without them what they encrypted cannot be read. Found by the primary
 * key inside a fence, deleted by place: see deletePostings.
 */
export async function deleteMemoryKeys(
  tx: NamespaceTransaction,
  places: readonly FieldPlace[],
): Promise<void> {
  await tx`
    delete from memory_keys k where k.namespace = ${tx.namespace} and k.ctid = any(array(
      select q.place from unnest(${places.map((place) => place.id)}::uuid[],
        ${places.map((place) => place.version)}::int[]) as r (id, version)
      cross join lateral (
        select q.ctid as place from memory_keys q
        where q.namespace = ${tx.namespace} and q.id = r.id and q.version = r.version
        offset 0) q))`
}
