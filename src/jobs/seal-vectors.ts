/** Encrypts the vectors of a namespace whose texts are encrypted: `field` becomes `sealed` while it serves. */
import { setTimeout as delay } from 'node:timers/promises'
import { recordEvent } from '../audit/events.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { addFields } from '../memory/fields.ts'
import {
  countPlainEmbeddings,
  insertSealedEmbeddings,
  unsealedEmbeddings,
  type UnsealedEmbedding,
} from '../memory/sealed-embeddings.sql.ts'
import { demotePartition } from '../memory/vector-partitions.ts'
import { sealVector } from '../memory/vector-token.ts'
import { lowestDocument } from '../namespaces/documents.ts'
import {
  changeProfile,
  deletePlainVectors,
  lockNamespace,
  readRevision,
} from '../namespaces/namespaces.sql.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { Principal } from '../principal.ts'
import { bindIndexKey } from './encrypt.ts'
import { jobPrincipal } from './job-principal.ts'
import type { UpkeepDependencies, UpkeepOptions } from './rewrap.ts'
import { requireSame } from './same-settings.ts'

const batchRows = 250
/** The change of the profile copies what was stored since the last batch and deletes all plain vectors. */
const changeTimeoutMs = 600_000
const dropAttemptsMax = 20
const dropPauseMs = 250

/**
 * Recall searches the plain vectors until one transaction changes the profile and deletes them, so every
 * answer in between is whole. A killed run leaves tokens that nobody reads, and the next one goes on.
 * Returns the number of vectors encrypted now. The old rows are dead, not erased: the caller rewrites
 * their table afterwards.
 */
export async function sealVectors(
  { scope, namespaces }: UpkeepDependencies,
  principal: Principal,
  { signal, onProgress }: UpkeepOptions,
): Promise<number> {
  const revision = await scope.withNamespace(principal, { readOnly: true }, (tx) =>
    readRevision(tx, false),
  )
  const settings = await namespaces.settings(principal, revision)
  let done = 0
  if (settings.profile === 'field') {
    const total = await scope.withNamespace(principal, { readOnly: true }, countPlainEmbeddings)
    for (let after = lowestDocument; ;) {
      signal.throwIfAborted()
      const rows = await scope.withNamespace(principal, { retryable: true }, async (tx) => {
        await requireSame(tx, settings)
        return await sealBatch(tx, settings, after)
      })
      const last = rows.at(-1)
      if (last === undefined) break
      after = last.document
      done += rows.length
      onProgress(done, Math.max(done, total))
    }
    const options = { retryable: true, statementTimeoutMs: changeTimeoutMs }
    done += await scope.withNamespace(principal, options, (tx) =>
      finish(tx, principal, settings, done),
    )
  }
  await dropPartition(scope, principal)
  return done
}

async function sealBatch(
  tx: NamespaceTransaction,
  settings: NamespaceSettings,
  after: number,
): Promise<readonly UnsealedEmbedding[]> {
  const rows = await unsealedEmbeddings(tx, after, batchRows)
  const sealed = rows.map((row) => {
    const vector = parseVector(row.embedding)
    return { document: row.document, token: sealVector(addFields(settings, row), vector) }
  })
  await insertSealedEmbeddings(tx, sealed)
  return rows
}

/** Stores wait until it is over; what came in since the last batch is few. Returns the vectors it encrypted. */
async function finish(
  tx: NamespaceTransaction,
  principal: Principal,
  settings: NamespaceSettings,
  done: number,
): Promise<number> {
  await lockNamespace(tx)
  await requireSame(tx, settings)
  let more = 0
  for (let after = lowestDocument; ;) {
    const rows = await sealBatch(tx, settings, after)
    const last = rows.at(-1)
    if (last === undefined) break
    after = last.document
    more += rows.length
  }
  await bindIndexKey(tx, settings, { profile: 'sealed', plain_below: null })
  await changeProfile(tx, 'sealed')
  await deletePlainVectors(tx)
  await recordEvent(tx, principal, 'keys.sealed', 'ok', { counts: { vectors: done + more } })
  return more
}

/** The partition is a copy of the plain vectors. Searches of others may hold it for a moment. */
async function dropPartition(
  scope: UpkeepDependencies['scope'],
  { namespace }: Principal,
): Promise<void> {
  const principal = jobPrincipal(namespace)
  const isEmbedded = await scope.withJob(principal, { readOnly: true }, (tx) =>
    Promise.resolve(tx.dialect.engine === 'embedded'),
  )
  if (isEmbedded) return
  for (let attempt = 1; ; attempt += 1) {
    try {
      await demotePartition({ scope, principal })
      return
    } catch (error) {
      const isHeld = error instanceof AppError && error.code === 'unavailable'
      if (!isHeld || attempt === dropAttemptsMax) throw error
      await delay(dropPauseMs)
    }
  }
}

/** Text of our own column: numbers between brackets. */
function parseVector(text: string): Float32Array {
  return Float32Array.from(text.slice(1, -1).split(','), Number)
}
