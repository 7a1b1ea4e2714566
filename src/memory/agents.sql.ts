/** Agents that may read a private memory besides its owner. */
import type { NamespaceTransaction } from '../database/scope.ts'

export async function insertReaders(
  tx: NamespaceTransaction,
  readers: readonly { readonly id: string; readonly agent: string }[],
): Promise<void> {
  if (readers.length === 0) return
  await tx`
    insert into memory_agents (namespace, id, agent)
    select ${tx.namespace}::bigint, r.* from unnest(
      ${readers.map((reader) => reader.id)}::uuid[],
      ${readers.map((reader) => reader.agent)}::text[]) as r
    on conflict do nothing`
}

export async function deleteReaders(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<void> {
  await tx`
    delete from memory_agents a
    where a.namespace = ${tx.namespace} and a.id = any(${ids}::uuid[])`
}

/** Named readers of private memories, by memory id. */
export async function readersOf(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string[]>> {
  const readers = new Map<string, string[]>()
  if (ids.length === 0) return readers
  const rows = await tx<{ id: string; agent: string }>`
    select a.id, a.agent from memory_agents a
    where a.namespace = ${tx.namespace} and a.id = any(${ids}::uuid[]) order by a.id, a.agent`
  for (const row of rows) readers.set(row.id, [...(readers.get(row.id) ?? []), row.agent])
  return readers
}
