/** Confirmations: the exact set a caller was shown, redeemed once by the same agent. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { addDue } from '../namespaces/due.sql.ts'

export interface Confirmation {
  readonly tokenHash: Buffer
  readonly operation: string
  readonly requestHash: Buffer
  /** What `operation` packs for each memory. */
  readonly resourceIds: Buffer
  readonly expiresAt: Date
}

/** Notes too that the namespace has something to drop once it has expired. */
export async function insertConfirmation(
  tx: NamespaceTransaction,
  confirmation: Confirmation,
): Promise<void> {
  await addDue(tx, 'expiry', [confirmation.expiresAt])
  await tx`
    insert into confirmations
      (namespace, token_hash, agent, operation, resource_ids, request_hash, expires_at)
    values (${tx.namespace}, ${confirmation.tokenHash}, ${tx.agent}, ${confirmation.operation},
      ${confirmation.resourceIds}, ${confirmation.requestHash}, ${confirmation.expiresAt})`
}

/** Takes a confirmation away and returns it; undefined when unknown, spent, expired or another agent's. */
export async function redeemConfirmation(
  tx: NamespaceTransaction,
  operation: string,
  tokenHash: Buffer,
): Promise<{ resource_ids: Buffer; request_hash: Buffer } | undefined> {
  const [row] = await tx<{ resource_ids: Buffer; request_hash: Buffer }>`
    delete from confirmations c
    where c.namespace = ${tx.namespace} and c.token_hash = ${tokenHash} and c.agent = ${tx.agent}
      and c.operation = ${operation} and c.expires_at > statement_timestamp()
    returning c.resource_ids, c.request_hash`
  return row
}

/** Drops confirmations nobody redeemed in time; a bounded batch. */
export async function dropExpiredConfirmations(
  tx: NamespaceTransaction,
  limit: number,
): Promise<number> {
  const dropped = await tx`
    delete from confirmations c
    where c.namespace = ${tx.namespace} and c.token_hash in (
      select o.token_hash from confirmations o
      where o.namespace = ${tx.namespace} and o.expires_at <= statement_timestamp()
      limit ${limit})
    returning c.token_hash`
  return dropped.length
}
