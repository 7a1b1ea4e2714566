/** Deletion of a whole namespace: statements of the job that erases it. */
import { SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'

/**
 * Tables with rows of a namespace, in the order in which they go: words and vectors before the memories that
 * they are of. Settings, salt, audit events and the directory go through functions.
 */
const erasedTables = [
  'postings',
  'mentions',
  'embeddings',
  'sealed_embeddings',
  'memory_keys',
  'feedback',
  'memories',
  'entities',
  'idempotency_keys',
  'confirmations',
] as const

/** Takes its name, its clients' keys and its grants; false when there is no such namespace. Locks its row. */
export async function forsakeNamespace(tx: NamespaceTransaction): Promise<boolean> {
  const [row] = await tx<{ forsaken: bigint | null }>`select namespace_forsake() as forsaken`
  return typeof row?.forsaken === 'bigint'
}

/** Deletes at most `limit` rows of the first table that has any; undefined when none has. By place. */
export async function eraseRows(
  tx: NamespaceTransaction,
  limit: number,
): Promise<number | undefined> {
  for (const name of erasedTables) {
    const table = new SqlFragment([name], [])
    const rows = await tx`
      delete from ${table} t where t.namespace = ${tx.namespace} and t.ctid = any(array(
        select o.ctid from ${table} o where o.namespace = ${tx.namespace} limit ${limit}))
      returning 1`
    if (rows.length > 0) return rows.length
  }
  return undefined
}

/** Deletes at most `limit` audit events of a namespace that is being deleted; how many went. */
export async function eraseEvents(tx: NamespaceTransaction, limit: number): Promise<number> {
  const [row] = await tx<{ gone: number }>`select namespace_erase_events(${limit}::int) as gone`
  return row?.gone ?? 0
}

/** The last of it; false when it is gone already. */
export async function eraseNamespace(tx: NamespaceTransaction): Promise<boolean> {
  const [row] = await tx<{ gone: boolean }>`select namespace_erase() as gone`
  return row?.gone === true
}
