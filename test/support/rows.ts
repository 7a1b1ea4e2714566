/** Counts rows behind the policies, to see what is really left. */
import { fragment, SqlFragment } from '../../src/database/database.ts'
import type { Principal } from '../../src/principal.ts'
import type { TestMemory } from './memory.ts'

export const derivedTables = [
  'memories',
  'memory_keys',
  'embeddings',
  'sealed_embeddings',
  'postings',
  'entities',
  'mentions',
  'feedback',
] as const
type Table = (typeof derivedTables)[number] | 'audit_events' | 'confirmations' | 'idempotency_keys'

/** Rows of the principal's namespace in a table, private ones included. */
export async function countRows(
  memory: TestMemory,
  principal: Principal,
  table: Table,
): Promise<number> {
  const actor = { ...principal, scopes: new Set(['admin'] as const) }
  const name = new SqlFragment([table], [])
  const [row] = await memory.test.scope.withNamespace(
    actor,
    { readOnly: true },
    (tx) =>
      tx<{
        count: number
      }>`select count(*)::int as count from ${name} t where ${fragment`t.namespace = ${tx.namespace}`}`,
  )
  return row?.count ?? -1
}

/** Rows of every table a memory leaves traces in. */
export async function countEverything(memory: TestMemory, principal: Principal) {
  const counts: Partial<Record<Table, number>> = {}
  for (const table of derivedTables) counts[table] = await countRows(memory, principal, table)
  return counts
}
