/**
 * Wraps the keys of a namespace anew, in bounded batches while it serves: after a rotation under the new
 * root key, when shredding under the new epoch. Content and index are not touched.
 */
import { recordEvent } from '../audit/events.ts'
import type { KeySlot, NamespaceKeys, WrapOrigin } from '../crypto/namespace-keys.ts'
import { contentKeySlot, indexKeySlot } from '../crypto/namespace-keys.ts'
import type { Vault } from '../crypto/vault.ts'
import type { InNamespace, NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { entityKeySlot } from '../graph/entity-names.ts'
import { instructionsSlot } from '../namespaces/instructions.ts'
import {
  countOutdatedEntityKeys,
  outdatedEntityKeys,
  updateEntityKeys,
} from '../graph/entity-keys.sql.ts'
import {
  countOutdatedMemoryKeys,
  outdatedMemoryKeys,
  updateMemoryKeys,
} from '../memory/memory-keys.sql.ts'
import {
  isOutdated,
  readInstructions,
  updateInstructionsKey,
} from '../namespaces/instructions.sql.ts'
import { readIndexKey, updateIndexKey } from '../namespaces/namespace-keys.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { changeRevision, lockNamespace, readRevision } from '../namespaces/namespaces.sql.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { Principal } from '../principal.ts'
import { requireSame } from './same-settings.ts'

export interface UpkeepDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  readonly vault: Vault
}

export interface UpkeepOptions {
  readonly signal: AbortSignal
  /** Keys or rows that are done, of all that were found at the start. */
  readonly onProgress: (done: number, total: number) => void
}

const batchRows = 500
/** A pass leaves out rows that another process holds; each of those passes sees fewer. */
const passesMax = 100
const nilUuid = '00000000-0000-0000-0000-000000000000'

/**
 * Wraps what is not under the writing root key and the newest epoch; a killed run is finished by the
 * next. Returns the number of keys. Throws `timeout` when aborted: what was done stays done.
 */
export async function rewrapNamespace(
  dependencies: UpkeepDependencies,
  principal: Principal,
  options: UpkeepOptions,
): Promise<number> {
  const { scope } = dependencies
  const { keys, settings } = await freshKeys(dependencies, principal)
  if (keys === undefined) return 0
  const left = () =>
    scope.withJob(principal, { readOnly: true }, (tx) => countOutdated(tx, keys.current))
  const total = await left()
  const run: Run = { scope, principal, keys, settings, options, done: 0, total }
  for (let pass = 0; pass < passesMax && (await left()) > 0; pass += 1) {
    await rewrapIndexKey(run)
    await rewrapInstructions(run)
    await rewrapMemoryKeys(run)
    await rewrapEntityKeys(run)
  }
  if ((await left()) > 0) {
    throw new AppError('unavailable', 'Some keys are in use without a pause. Run it again.')
  }
  if (run.done > 0) {
    await scope.withJob(principal, {}, (tx) =>
      recordEvent(tx, principal, 'keys.rewrap', 'ok', { counts: { keys: run.done } }),
    )
  }
  return run.done
}

/**
 * Ends an epoch: everything forgotten until now can be read no more, in no page, log or backup, not even
 * with the root key. A new epoch secret, every live key wrapped under it, the old secret destroyed. The
 * next run finishes a killed one and then ends its epoch too. Returns the number of live keys.
 */
export async function shredNamespace(
  dependencies: UpkeepDependencies,
  principal: Principal,
  options: UpkeepOptions,
): Promise<number> {
  const { scope, namespaces, vault } = dependencies
  const { namespace } = principal
  const epochs = await vault.keystore.get(namespace)
  if (epochs === undefined) {
    throw new AppError(
      'unsupported',
      'This namespace is not encrypted: there is nothing to destroy.',
    )
  }
  const destroyOld = async (): Promise<number> => {
    // From this commit on nothing is wrapped under an old secret: writers hold the row or read it anew.
    await scope.withNamespace(principal, {}, changeSettings)
    const wrapped = await rewrapNamespace(dependencies, principal, options)
    await vault.keystore.destroyOld(namespace)
    vault.keyring.forgetNamespace(namespace)
    return wrapped
  }
  // An earlier run was killed before it destroyed the old secrets. What was forgotten since then may be
  // under its new one, which therefore goes as well.
  if (epochs.length > 1) await destroyOld()
  await vault.keystore.rotate(namespace)
  const keys = await destroyOld()
  // Every process lets go of the settings that still hold the old secret.
  await scope.withNamespace(principal, {}, async (tx) => {
    await changeSettings(tx)
    await recordEvent(tx, principal, 'keys.shred', 'ok', { counts: { keys } })
  })
  await namespaces.settings(principal, Number.MAX_SAFE_INTEGER)
  return keys
}

/** After its commit nobody writes under settings that were read before. */
export async function changeSettings(tx: NamespaceTransaction): Promise<void> {
  await lockNamespace(tx)
  await changeRevision(tx)
}

/** Settings as they are now, and their keys; undefined for a plain namespace. */
async function freshKeys({ scope, namespaces }: UpkeepDependencies, principal: Principal) {
  const revision = await scope.withJob(principal, { readOnly: true }, (tx) =>
    readRevision(tx, false),
  )
  const settings = await namespaces.settings(principal, revision)
  return { settings, keys: settings.keys }
}

interface Run {
  readonly scope: NamespaceScope
  readonly principal: Principal
  readonly keys: NamespaceKeys
  readonly settings: NamespaceSettings
  readonly options: UpkeepOptions
  readonly total: number
  done: number
}

async function countOutdated(tx: NamespaceTransaction, current: WrapOrigin): Promise<number> {
  const index = await readIndexKey(tx)
  const isIndexOld = index?.key_id !== current.keyId || index.epoch !== current.epoch
  return (
    Number(isIndexOld) +
    Number(isOutdated(await readInstructions(tx), current)) +
    (await countOutdatedMemoryKeys(tx, current)) +
    (await countOutdatedEntityKeys(tx, current))
  )
}

/**
 * One batch in a transaction of its own, under the settings that the run began with. The role of jobs
 * may write the keys of rows, not how the namespace is stored.
 */
async function inBatch<T>(
  run: Run,
  work: (tx: NamespaceTransaction) => Promise<T>,
  inNamespace: InNamespace = run.scope.withJob,
): Promise<T> {
  run.options.signal.throwIfAborted()
  return await inNamespace(run.principal, { retryable: true }, async (tx) => {
    await requireSame(tx, run.settings)
    return await work(tx)
  })
}

function note(run: Run, keys: number): void {
  run.done += keys
  run.options.onProgress(run.done, Math.max(run.done, run.total))
}

/** The key anew, and never left out: a row was chosen because it is out of date. */
function rewrap({ keys }: Run, slot: KeySlot, token: Buffer) {
  const wrapped = keys.rewrap(slot, token)
  if (wrapped !== undefined) return wrapped
  // Its columns say otherwise than its token: they are no secret, so they are put right.
  return { token, ...keys.current }
}

async function rewrapIndexKey(run: Run): Promise<void> {
  const work = async (tx: NamespaceTransaction): Promise<number> => {
    const row = await readIndexKey(tx)
    const { keyId, epoch } = run.keys.current
    if (row === undefined || (row.key_id === keyId && row.epoch === epoch)) return 0
    await updateIndexKey(tx, rewrap(run, indexKeySlot(row), row.index_key))
    return 1
  }
  note(run, await inBatch(run, work, run.scope.withNamespace))
}

async function rewrapInstructions(run: Run): Promise<void> {
  const work = async (tx: NamespaceTransaction): Promise<number> => {
    const stored = await readInstructions(tx)
    if (stored?.token == null || !isOutdated(stored, run.keys.current)) return 0
    await updateInstructionsKey(tx, stored.token, rewrap(run, instructionsSlot, stored.token))
    return 1
  }
  note(run, await inBatch(run, work, run.scope.withNamespace))
}

async function rewrapMemoryKeys(run: Run): Promise<void> {
  let after = { id: nilUuid, version: 0 }
  for (;;) {
    const rows = await inBatch(run, async (tx) => {
      const found = await outdatedMemoryKeys(tx, run.keys.current, after, batchRows)
      await updateMemoryKeys(
        tx,
        found.map(({ id, version, token }) => ({
          id,
          version,
          key: rewrap(run, contentKeySlot(id, version), token),
        })),
      )
      return found
    })
    note(run, rows.length)
    const last = rows.at(-1)
    if (last === undefined) return
    after = { id: last.id, version: last.version }
  }
}

async function rewrapEntityKeys(run: Run): Promise<void> {
  // Below every entity number: they are signed.
  let after = -(2n ** 63n)
  for (;;) {
    const rows = await inBatch(run, async (tx) => {
      const found = await outdatedEntityKeys(tx, run.keys.current, after, batchRows)
      await updateEntityKeys(
        tx,
        found.map(({ entity, token }) => ({
          entity,
          key: rewrap(run, entityKeySlot(entity), token),
        })),
      )
      return found
    })
    note(run, rows.length)
    const last = rows.at(-1)
    if (last === undefined) return
    after = last.entity
  }
}
