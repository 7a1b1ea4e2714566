/** Drops what requests left behind to recognise a later one by: idempotency keys, confirmations. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { dropExpiredConfirmations } from '../memory/confirmations.sql.ts'
import { dropIdempotencyKeys } from '../memory/idempotency.sql.ts'

const batchRows = 1_000

/** A bounded batch of those whose time is over. Returns false when more may be left. */
export async function dropSpentKeys(tx: NamespaceTransaction): Promise<boolean> {
  const keys = await dropIdempotencyKeys(tx, batchRows)
  const confirmations = await dropExpiredConfirmations(tx, batchRows)
  return keys < batchRows && confirmations < batchRows
}
