/** Turns encryption on for a namespace that was plain, in bounded batches while it serves. */
import { randomBytes } from 'node:crypto'
import { recordEvent } from '../audit/events.ts'
import { namespaceSaltBytes, type StorageForm } from '../crypto/namespace-keys.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { writeEntityName } from '../graph/entity-names.ts'
import { plainEntityNames, updateEntityNames } from '../graph/entity-keys.sql.ts'
import { writeFields, type FieldColumn } from '../memory/fields.ts'
import { insertMemoryKeys, memoryKeyOrigins } from '../memory/memory-keys.sql.ts'
import {
  countPlainMemories,
  plainMemories,
  updateFields,
  type PlainMemory,
} from '../memory/plain-memories.sql.ts'
import { lowestDocument } from '../namespaces/documents.ts'
import { decodeInstructions, encodeInstructions } from '../namespaces/instructions.ts'
import { readInstructions, writeInstructions } from '../namespaces/instructions.sql.ts'
import {
  insertNamespaceKeys,
  setPlainBelow,
  updateIndexKey,
} from '../namespaces/namespace-keys.sql.ts'
import {
  changeProfile,
  changeRevision,
  levelDocuments,
  lockNamespace,
  readNamespace,
  readRevision,
} from '../namespaces/namespaces.sql.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { Principal } from '../principal.ts'
import type { UpkeepDependencies, UpkeepOptions } from './rewrap.ts'
import { requireSame } from './same-settings.ts'

const batchRows = 100

/**
 * Encrypts what is there and, from the first moment, what is stored meanwhile. A killed run is finished
 * by the next. Returns the number of memory versions encrypted now. The old rows are dead, not erased:
 * the caller rewrites the tables afterwards.
 */
export async function encryptNamespace(
  dependencies: UpkeepDependencies,
  principal: Principal,
  { signal, onProgress }: UpkeepOptions,
): Promise<number> {
  const { scope, namespaces } = dependencies
  await begin(dependencies, principal)
  const revision = await scope.withNamespace(principal, { readOnly: true }, (tx) =>
    readRevision(tx, false),
  )
  const settings = await namespaces.settings(principal, revision)
  if (settings.plainBelow === undefined) return 0
  const batch = async <T>(work: (tx: NamespaceTransaction) => Promise<T>): Promise<T> => {
    signal.throwIfAborted()
    return await scope.withNamespace(principal, { retryable: true }, async (tx) => {
      await requireSame(tx, settings)
      return await work(tx)
    })
  }
  const total = await scope.withNamespace(principal, { readOnly: true }, countPlainMemories)
  let done = 0
  for (let after = lowestDocument; ;) {
    const rows = await batch((tx) => encryptMemories(tx, settings, after))
    const last = rows.at(-1)
    if (last === undefined) break
    after = last.document
    done += rows.length
    onProgress(done, Math.max(done, total))
  }
  for (let after = -(2n ** 63n); ;) {
    const last = (await batch((tx) => encryptEntities(tx, settings, after))).at(-1)
    if (last === undefined) break
    after = last.entity
  }
  await batch((tx) => encryptInstructions(tx, settings))
  await scope.withNamespace(principal, {}, (tx) => finish(tx, principal, settings, done))
  return done
}

/** New keys and the new profile in one transaction; nothing to do when that was done before. */
async function begin({ scope, vault }: UpkeepDependencies, principal: Principal): Promise<void> {
  const { namespace } = principal
  const { keyring, keystore } = vault
  // Made by a run that was killed here: the namespace cannot be used until this has come to its end.
  const epochs = (await keystore.get(namespace)) ?? (await keystore.create(namespace))
  await scope.withNamespace(principal, {}, async (tx) => {
    await lockNamespace(tx)
    const row = await readNamespace(tx)
    if (row === undefined) throw new AppError('not_found', 'There is no such namespace.')
    if (row.profile !== 'off') return
    // A run that was killed above has left no key of a row.
    if (row.salt !== null || (await memoryKeyOrigins(tx)).length > 0) {
      throw new AppError(
        'misconfigured',
        'This namespace is encrypted, but its row says that it is not. Restore the row from a backup.',
      )
    }
    const salt = randomBytes(namespaceSaltBytes)
    const form = { profile: 'field', plain_below: await levelDocuments(tx) } as const
    const keys = keyring.namespace({ namespace, salt, epochs })
    const indexKey = keys.wrapIndexKey(form, row.index_key)
    await insertNamespaceKeys(tx, { salt, indexKey, plainBelow: form.plain_below })
    await updateIndexKey(tx, indexKey)
    await changeProfile(tx, form.profile)
    await recordEvent(tx, principal, 'keys.encrypt', 'ok', {})
  })
}

async function encryptMemories(
  tx: NamespaceTransaction,
  settings: NamespaceSettings,
  afterDocument: number,
): Promise<readonly PlainMemory[]> {
  const rows = await plainMemories(tx, afterDocument, batchRows)
  const written = rows.map((row) => {
    const { writer, key } = writeFields(settings, row)
    const encode = (column: FieldColumn, bytes: Buffer | null) =>
      writer.encodeOptional(column, bytes?.toString('utf8'))
    return { row, key, encode }
  })
  await updateFields(
    tx,
    written.map(({ row, encode }) => ({ ...row, encode })),
  )
  await insertMemoryKeys(
    tx,
    written.flatMap(({ row, key }) => (key ? [{ id: row.id, version: row.version, key }] : [])),
  )
  return rows
}

async function encryptEntities(
  tx: NamespaceTransaction,
  settings: NamespaceSettings,
  after: bigint,
) {
  const rows = await plainEntityNames(tx, after, batchRows)
  await updateEntityNames(
    tx,
    rows.map(({ entity, name }) => writeEntityName(settings, entity, name.toString('utf8'))),
  )
  return rows
}

async function encryptInstructions(
  tx: NamespaceTransaction,
  settings: NamespaceSettings,
): Promise<void> {
  const stored = await readInstructions(tx)
  if (stored?.token !== null) return
  const text = decodeInstructions(settings, stored) ?? ''
  await writeInstructions(tx, encodeInstructions(settings, text))
}

/** From here on a plain row is an error. */
async function finish(
  tx: NamespaceTransaction,
  principal: Principal,
  settings: NamespaceSettings,
  done: number,
): Promise<void> {
  await lockNamespace(tx)
  await requireSame(tx, settings)
  if (
    (await countPlainMemories(tx)) > 0 ||
    (await plainEntityNames(tx, -(2n ** 63n), 1)).length > 0 ||
    (await readInstructions(tx))?.token === null
  ) {
    throw new AppError('conflict', 'Memories were changed meanwhile; run it again.')
  }
  await setPlainBelow(tx, null)
  await bindIndexKey(tx, settings, { profile: settings.profile, plain_below: null })
  await changeRevision(tx)
  await recordEvent(tx, principal, 'keys.encrypted', 'ok', { counts: { versions: done } })
}

/** Wraps the index key for the form that the namespace takes in this transaction. */
export async function bindIndexKey(
  tx: NamespaceTransaction,
  { keys, indexKey }: NamespaceSettings,
  form: StorageForm,
): Promise<void> {
  if (keys === undefined) throw new TypeError('a plain namespace has no wrapped key')
  await updateIndexKey(tx, keys.wrapIndexKey(form, indexKey))
}
