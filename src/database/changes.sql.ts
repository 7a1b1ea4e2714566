/** How many transactions changed something, as the database itself counts them. */
import type { Sql } from './database.ts'

/**
 * Grows with every transaction that wrote or locked a row, whoever ran it: one that only reads gets no
 * number (PostgreSQL 17 §67.1, Transactions and Identifiers). Nor does CHECKPOINT, nor a VACUUM that gives no
 * pages back, while each of them moves the position in the log: by that they would call for one another.
 */
export async function changeCount(sql: Sql): Promise<string> {
  const [row] = await sql<{ count: string }>`
    select pg_snapshot_xmax(pg_current_snapshot())::text as count`
  return row?.count ?? ''
}
