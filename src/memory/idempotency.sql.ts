/** Idempotency keys: the first run's ids are given again to whoever repeats the same request. */
import type { NamespaceTransaction } from '../database/scope.ts'

export interface IdempotencyClaim {
  readonly operation: string
  /** Keyed hashes: neither the key nor the request is kept. */
  readonly keyHash: Buffer
  readonly requestHash: Buffer
}

/**
 * Claims a key for this transaction. Returns undefined when it is ours, else the first run's row.
 * A concurrent run with the same key makes this wait until that run ends.
 */
export async function claimIdempotencyKey(
  tx: NamespaceTransaction,
  claim: IdempotencyClaim,
  now: Date,
): Promise<{ request_hash: Buffer; result: Buffer } | undefined> {
  const claimed = await tx`
    insert into idempotency_keys
      (namespace, agent, operation, key_hash, request_hash, created_at, result)
    values (${tx.namespace}, ${tx.agent}, ${claim.operation}, ${claim.keyHash},
      ${claim.requestHash}, ${now}, ''::bytea)
    on conflict do nothing returning key_hash`
  if (claimed.length > 0) return undefined
  const [first] = await tx<{ request_hash: Buffer; result: Buffer }>`
    select k.request_hash, k.result from idempotency_keys k
    where k.namespace = ${tx.namespace} and k.agent = ${tx.agent}
      and k.operation = ${claim.operation} and k.key_hash = ${claim.keyHash}`
  return first
}

/** Keeps ids and outcomes of the run that holds the claim; never content. */
export async function keepIdempotentResult(
  tx: NamespaceTransaction,
  claim: IdempotencyClaim,
  result: Buffer,
): Promise<void> {
  await tx`
    update idempotency_keys set result = ${result}
    where namespace = ${tx.namespace} and agent = ${tx.agent}
      and operation = ${claim.operation} and key_hash = ${claim.keyHash}`
}

/** Drops keys older than the promise to remember them; a bounded batch. */
export async function dropIdempotencyKeys(
  tx: NamespaceTransaction,
  before: Date,
  limit: number,
): Promise<number> {
  const dropped = await tx`
    delete from idempotency_keys k
    where k.namespace = ${tx.namespace} and (k.agent, k.operation, k.key_hash) in (
      select o.agent, o.operation, o.key_hash from idempotency_keys o
      where o.namespace = ${tx.namespace} and o.created_at < ${before}::timestamptz limit ${limit})
    returning k.key_hash`
  return dropped.length
}
