/**
 * The top of the key hierarchy: holds the root ring and the cache of what is derived from it.
 * Reads no file and no table. One namespace's keys: namespace-keys.ts.
 */
import assert from 'node:assert/strict'
import { AppError } from '../errors.ts'
import { deriveKey, keyInfo } from './derive.ts'
import {
  envelopeKeyBytes,
  open,
  seal,
  tokenKeyId,
  type EnvelopeContext,
  EnvelopeKey,
} from './envelope.ts'
import { NamespaceKeys, type NamespaceKeyMaterial } from './namespace-keys.ts'
import { findRootKey, type RootKey, type RootRing } from './root-ring.ts'
import { SecretCache } from './secret-cache.ts'

/** About 500 namespaces at work, two keys each. Bounds what a dump of the process would show. */
const cachedKeysMaxDefault = 1024

export interface KeyringOptions {
  readonly cachedKeysMax?: number
}

/**
 * Holds the root keys of the process. One for all requests; every method is synchronous and hands out
 * copies, so that an evicted (overwritten) cache entry is never in use elsewhere.
 */
export class Keyring {
  readonly #ring: RootRing
  readonly #cache: SecretCache

  /** Takes ownership of the ring's bytes: `close` overwrites them. */
  constructor(ring: RootRing, options: KeyringOptions = {}) {
    this.#ring = ring
    this.#cache = new SecretCache(options.cachedKeysMax ?? cachedKeysMaxDefault)
  }

  /** Id of the key that new wraps use. */
  get writingKeyId(): number {
    return this.#ring[0].keyId
  }

  get keyIds(): readonly number[] {
    return this.#ring.map((key) => key.keyId)
  }

  /** The keys of one namespace. Cheap: derives on first use and from the bounded cache after that. */
  namespace(material: NamespaceKeyMaterial): NamespaceKeys {
    return new NamespaceKeys(material, this.#cache, this.#ring)
  }

  /** Overwrites what is cached of a namespace: call after deleting it or destroying an epoch secret. */
  forgetNamespace(namespace: bigint): void {
    this.#cache.evictGroup(namespace.toString())
  }

  /** The value to store at first start; `verifyKeyCheck` recognises the root key by it ever after. */
  createKeyCheck(): Buffer {
    return this.#withCheckKey(this.#ring[0], (key) => seal(key, keyCheckContext, keyCheckText))
  }

  /**
   * Accepts a stored key-check value when one key of the ring made it. Throws AppError `misconfigured`
   * otherwise: the start must end there, before anything is written with the wrong key.
   */
  verifyKeyCheck(value: Uint8Array): void {
    try {
      const root = findRootKey(this.#ring, tokenKeyId(value))
      const text = this.#withCheckKey(root, (key) => open(key, keyCheckContext, value))
      assert(text.equals(keyCheckText))
    } catch (cause) {
      throw new AppError(
        'misconfigured',
        'This root key is not the one the database was encrypted with. Put that key into the ring.',
        { cause },
      )
    }
  }

  /** Overwrites the root keys and everything derived from them. The keyring is unusable afterwards. */
  close(): void {
    this.#cache.clear()
    for (const key of this.#ring) key.bytes.fill(0)
  }

  #withCheckKey(root: RootKey, use: (key: EnvelopeKey) => Buffer): Buffer {
    assert(
      root.bytes.some((byte) => byte !== 0),
      'the keyring is closed',
    )
    const bytes = deriveKey(root.bytes, keyInfo.keyCheck, envelopeKeyBytes)
    const key = new EnvelopeKey(root.keyId, bytes)
    bytes.fill(0)
    return use(key)
  }
}

const keyCheckText = Buffer.from('mindglue key check')
const keyCheckContext: EnvelopeContext = {
  namespace: 0n,
  id: 'installation',
  version: 0,
  column: 'key-check',
}
