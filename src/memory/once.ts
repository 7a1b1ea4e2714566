/** A write under an idempotency key happens once: whoever repeats the request gets the first answer. */
import { z } from 'zod'
import { blindIndex } from '../crypto/term-hash.ts'
import { AppError } from '../errors.ts'
import type { Committed, CommitContext, OperationName, PrepareContext } from '../operation.ts'
import {
  claimIdempotencyKey,
  keepIdempotentResult,
  type IdempotencyClaim,
} from './idempotency.sql.ts'
import { storedItem, type StoredItem, type StoreOutput } from './stored.ts'

/** The claim of a request on its key; undefined when it has none. Keyed hashes, no content. */
export function claimOf(
  { settings: { indexKey } }: PrepareContext,
  operation: OperationName,
  key: string | undefined,
  request: unknown,
): IdempotencyClaim | undefined {
  if (key === undefined) return undefined
  return {
    operation,
    keyHash: blindIndex(indexKey, 'idempotency', key),
    requestHash: blindIndex(indexKey, 'request', JSON.stringify(request)),
  }
}

/** What an idempotency row keeps: names are content, so they are worked out again from the request. */
const keptResults = z.array(storedItem.omit({ entities: true }))
export type KeptResult = z.output<typeof keptResults>[number]

/**
 * Runs `work` and keeps its results, unless the key was used before: then `repeat` answers with what was
 * kept. Throws `conflict` when the key was used for another request.
 */
export async function answerOnce(
  { tx, now }: CommitContext,
  claim: IdempotencyClaim | undefined,
  work: () => Promise<Committed<StoreOutput>>,
  repeat: (kept: readonly KeptResult[]) => readonly StoredItem[],
): Promise<Committed<StoreOutput>> {
  if (!claim) return work()
  const first = await claimIdempotencyKey(tx, claim, now)
  if (!first) {
    const done = await work()
    const kept = done.output.results.map(({ entities: _names, ...result }) => result)
    await keepIdempotentResult(tx, claim, Buffer.from(JSON.stringify(kept)))
    return done
  }
  if (!first.request_hash.equals(claim.requestHash)) {
    throw new AppError(
      'conflict',
      'This idempotency_key was used for another request. Use a new key for new content.',
    )
  }
  const results = [...repeat(keptResults.parse(JSON.parse(first.result.toString('utf8'))))]
  const duplicates = results.filter((result) => result.status === 'duplicate').length
  return {
    output: { results, stored: 0, duplicates, replayed: true },
    audit: { counts: { stored: 0, replayed: results.length } },
  }
}
