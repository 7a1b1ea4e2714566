/** Idempotency keys: the first run's ids are given again to whoever repeats the same request. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { addDue } from '../namespaces/due.sql.ts'

/** How long a repeated request is recognised; docs/rest.md states it. */
const keyHours = 48
const hourMs = 3_600_000

export interface IdempotencyClaim {
  readonly operation: string
  /** Keyed hashes: neither the key nor the request is kept. */
  readonly keyHash: Buffer
  readonly requestHash: Buffer
}

/**
 * Claims a key for this transaction. Returns undefined when it is ours, else the first run's row. Where a
 * memory that the first run answered with is gone (forgotten, expired, rolled back), the key is free again.
 * A concurrent run with the same key makes this wait until that run ends.
 */
export async function claimIdempotencyKey(
  tx: NamespaceTransaction,
  claim: IdempotencyClaim,
  now: Date,
): Promise<{ request_hash: Buffer; result: Buffer } | undefined> {
  const noted = addDue(tx, 'expiry', [dropTime(now)])
  const inserted = tx`
    insert into idempotency_keys
      (namespace, agent, operation, key_hash, request_hash, created_at, result)
    values (${tx.namespace}, ${tx.agent}, ${claim.operation}, ${claim.keyHash},
      ${claim.requestHash}, ${now}, ''::bytea)
    on conflict do nothing returning key_hash`
  const [claimed] = await Promise.all([inserted, noted])
  if (claimed.length > 0) return undefined
  const [first] = await tx<{ request_hash: Buffer; result: Buffer; is_whole: boolean }>`
    select k.request_hash, k.result, not exists (
        select from jsonb_array_elements(convert_from(k.result, 'UTF8')::jsonb) r
        where not exists (select from memories m
          where m.namespace = k.namespace and m.id = (r ->> 'id')::uuid)) as is_whole
    from idempotency_keys k
    where k.namespace = ${tx.namespace} and k.agent = ${tx.agent}
      and k.operation = ${claim.operation} and k.key_hash = ${claim.keyHash}`
  if (first?.is_whole !== false) return first
  await tx`
    update idempotency_keys k set request_hash = ${claim.requestHash}, created_at = ${now}
    where k.namespace = ${tx.namespace} and k.agent = ${tx.agent}
      and k.operation = ${claim.operation} and k.key_hash = ${claim.keyHash}`
  return undefined
}

/** Rounded up, so that a namespace has one note an hour, however many keys. */
function dropTime(now: Date): Date {
  return new Date((Math.ceil(now.getTime() / hourMs) + keyHours) * hourMs)
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
  limit: number,
): Promise<number> {
  const before = new Date(Date.now() - keyHours * hourMs)
  const dropped = await tx`
    delete from idempotency_keys k
    where k.namespace = ${tx.namespace} and (k.agent, k.operation, k.key_hash) in (
      select o.agent, o.operation, o.key_hash from idempotency_keys o
      where o.namespace = ${tx.namespace} and o.created_at < ${before}::timestamptz limit ${limit})
    returning k.key_hash`
  return dropped.length
}
