/** Namespaces as the program sees them: found by name, made on first use, settings kept by revision. */
import { randomBytes } from 'node:crypto'
import type { Vault } from '../crypto/vault.ts'
import type { Actor, GrantName, NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import type { DocumentSpace, NamespaceSettings } from '../operation.ts'
import { documentIn } from './documents.ts'
import { makeNamespaceKeys, openNamespaceKeys } from './namespace-keys.ts'
import { insertNamespaceKeys, knownRootKeys } from './namespace-keys.sql.ts'
import {
  findNamespace,
  insertNamespace,
  readNamespace,
  registerNamespace,
  takeDocuments,
  type NamespaceRow,
} from './namespaces.sql.ts'

/** Settings of namespaces a process keeps; the least recently used goes first. */
const cachedNamespacesMax = 1_000
/** Document integers a process takes at once: one short transaction for so many stores. */
const documentBlock = 256

export type Profile = NamespaceSettings['profile']

export interface NamespaceDefaults {
  /** Encryption of a namespace that is made on first use. */
  readonly profile: Profile
  readonly embedderModel: string
  readonly embedderDimension: number
  readonly analyzerVersion: number
}

export interface Namespaces {
  /** Surrogate of a name. Throws `not_found` when it does not exist and `create` is false. */
  resolve(name: string, options: { create: boolean }): Promise<bigint>
  /** Makes a namespace, of the default profile unless given. Throws `conflict` when there is one of the name. */
  create(name: string, profile?: Profile): Promise<bigint>
  /** Drops what this process holds of a namespace that is gone. */
  forget(namespace: bigint): void
  /** Surrogate of a name, asked of the database; undefined when there is none. */
  find(name: string): Promise<bigint | undefined>
  /** Settings, from the cache unless it is older than `revision`. */
  settings(actor: Actor, freshest?: number): Promise<NamespaceSettings>
  /** Settings of a granting namespace, read under the grant; undefined once it has ended. */
  grantedSettings(
    reader: Actor,
    grant: GrantName,
    freshest: number,
  ): Promise<NamespaceSettings | undefined>
  /** Document numbers never given out before, ascending. */
  reserveDocuments(actor: Actor, space: DocumentSpace, count: number): Promise<number[]>
}

/**
 * `defaults` is what a namespace is made with on first use; its index key is 32 random bytes of its own.
 * Without a vault no namespace can be encrypted, and one that is cannot be opened.
 */
export function createNamespaces(
  scope: NamespaceScope,
  defaults: NamespaceDefaults,
  vault?: Vault,
): Namespaces {
  const surrogates = new Map<string, bigint>()
  const settings = new Map<bigint, NamespaceSettings>()
  const blocks = {
    common: new Map<bigint, { next: number; end: number }>(),
    private: new Map<bigint, { next: number; end: number }>(),
  }

  const forget = (namespace: bigint): void => {
    settings.delete(namespace)
    for (const [name, surrogate] of surrogates) if (surrogate === namespace) surrogates.delete(name)
  }
  const open = async (namespace: bigint, row: NamespaceRow): Promise<NamespaceSettings> => {
    const opened = await openNamespaceKeys(vault, namespace, row)
    const read: NamespaceSettings = {
      namespace,
      name: row.name,
      revision: row.revision,
      plan: row.plan,
      profile: row.profile,
      door: { credentials: row.credentials_policy, personal: row.personal_policy },
      embedderModel: row.embedder_model,
      embedderDimension: row.embedder_dimension,
      analyzerVersion: row.analyzer_version,
      ...opened,
      plainBelow: row.plain_below ?? undefined,
      commonTerms: new Set(row.common_terms),
      documentCount: row.document_count,
      meanLength: row.mean_length,
    }
    remember(settings, namespace, read)
    return read
  }

  const find = (name: string) => scope.withDirectory((sql) => findNamespace(sql, name))

  return {
    resolve: async (name, { create }) => {
      const known = surrogates.get(name)
      if (known !== undefined) return known
      const found = await find(name)
      if (found === undefined && !create) {
        throw new AppError('not_found', 'There is no such namespace.')
      }
      // Another process may have been first, and has committed.
      const made = found ?? (await register(scope, name, defaults, vault))
      const namespace = made ?? (await find(name))
      if (namespace === undefined) {
        throw new AppError('conflict', 'The namespace was deleted at this moment; try again.')
      }
      remember(surrogates, name, namespace)
      return namespace
    },
    create: async (name, profile = defaults.profile) => {
      const made = await register(scope, name, { ...defaults, profile }, vault)
      if (made === undefined) {
        throw new AppError('conflict', 'There is a namespace of this name already.')
      }
      remember(surrogates, name, made)
      return made
    },
    forget,
    find,
    settings: async (actor, freshest = 0) => {
      const cached = settings.get(actor.namespace)
      if (cached && cached.revision >= freshest) return cached
      const row = await scope.withNamespace(actor, { readOnly: true }, readNamespace)
      if (!row) {
        forget(actor.namespace)
        throw new AppError('not_found', 'There is no such namespace.')
      }
      return await open(actor.namespace, row)
    },
    grantedSettings: async (reader, grant, freshest) => {
      // The key of a question tells nothing; whether the grant is in force the rows themselves ask.
      const cached = settings.get(grant.namespace)
      if (cached && cached.revision >= freshest) return cached
      const row = await scope.withGrant(reader, grant, readNamespace)
      return row && (await open(grant.namespace, row))
    },
    reserveDocuments: async (actor, space, count) => {
      if (count === 0) return []
      const held = blocks[space].get(actor.namespace)
      if (held && held.end - held.next >= count) return take(held, count)
      const size = Math.max(count, documentBlock)
      const ordinal = await scope.withNamespace(actor, {}, (tx) => takeDocuments(tx, space, size))
      const first = documentIn(space, ordinal)
      const block = { next: first, end: first + size }
      remember(blocks[space], actor.namespace, block)
      return take(block, count)
    },
  }
}

/** Makes a namespace. Undefined when there is one of that name. */
async function register(
  scope: NamespaceScope,
  name: string,
  defaults: NamespaceDefaults,
  vault: Vault | undefined,
): Promise<bigint | undefined> {
  // 63 random bits: a surrogate tells nothing about how many namespaces there are.
  const surrogate = randomBytes(8).readBigUInt64BE() >> 1n
  const actor: Actor = { namespace: surrogate, agent: 'mindglue', scopes: new Set() }
  const made = await makeNamespaceKeys(vault, surrogate, defaults.profile)
  const keyId = made.row?.indexKey.keyId
  const known = keyId === undefined ? [] : await scope.withDirectory(knownRootKeys)
  // Retired while this process went on: what came under it, nobody could read once it is destroyed.
  if (keyId !== undefined && !known.some((key) => key.key_id === keyId)) {
    await made.discard()
    const message = `Root key ${keyId} was retired. Restart this process with the keys of the others.`
    throw new AppError('misconfigured', message)
  }
  // One transaction: a name without its row would be a namespace that nobody can use or make again.
  const isNew = await scope.withNamespace(actor, {}, async (tx) => {
    if (!(await registerNamespace(tx, name))) return false
    await insertNamespace(tx, {
      name,
      profile: defaults.profile,
      embedder_model: defaults.embedderModel,
      embedder_dimension: defaults.embedderDimension,
      analyzer_version: defaults.analyzerVersion,
      index_key: made.indexKey,
    })
    if (made.row) await insertNamespaceKeys(tx, made.row)
    return true
  })
  if (isNew) return surrogate
  await made.discard()
  return undefined
}

/** A block changes only here and between no two awaits, so that concurrent stores share none. */
function take(block: { next: number; end: number }, count: number): number[] {
  const first = block.next
  block.next += count
  return Array.from({ length: count }, (_, index) => first + index)
}

function remember<Key, Value>(cache: Map<Key, Value>, key: Key, value: Value): void {
  cache.delete(key)
  cache.set(key, value)
  if (cache.size <= cachedNamespacesMax) return
  const [oldest] = cache.keys()
  if (oldest !== undefined) cache.delete(oldest)
}
