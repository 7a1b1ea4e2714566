/**
 * The keys of one namespace: namespace key → wrap key → wrapped per-memory content keys and index key.
 * Pure computation: rows and epoch secrets are handed in.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { AppError } from '../errors.ts'
import { deriveKey, keyInfo, type RecordPurpose } from './derive.ts'
import {
  EnvelopeError,
  envelopeFailure,
  envelopeKeyBytes,
  open,
  seal,
  tokenKeyId,
  type EnvelopeContext,
  EnvelopeKey,
} from './envelope.ts'
import { findRootKey, type RootRing } from './root-ring.ts'
import type { SecretCache } from './secret-cache.ts'
import { indexKeyBytes } from './term-hash.ts'

export const namespaceSaltBytes = 32
export const epochSecretBytes = 32
/** What its key has under each slot. A content key is both keys of the format: opening a memory derives none. */
const slotKeyBytes = {
  'content-key': envelopeKeyBytes,
  'index-key': indexKeyBytes,
} as const
/** Key id of content keys: none of the root ring's. */
const contentKeyId = 0

export interface EpochSecret {
  /** 1, 2, …; counts up with each shredding of the namespace. */
  readonly epoch: number
  /** 32 random bytes that live outside Postgres, see keystore.ts. */
  readonly secret: Uint8Array
}

/** What the keys of one namespace are derived from, besides the root key. */
export interface NamespaceKeyMaterial {
  readonly namespace: bigint
  /** 32 random bytes from the namespace's row. */
  readonly salt: Uint8Array
  /** Newest first: the first wraps, all of them unwrap (two while a shredding is under way). */
  readonly epochs: readonly [EpochSecret, ...EpochSecret[]]
}

/** What a key is wrapped under; stands beside its token, so that rewrapping can find rows. */
export interface WrapOrigin {
  /** Root key; fits a Postgres `integer`. */
  readonly keyId: number
  readonly epoch: number
}

/** A key as it is stored: token in a bytea column, its origin in two others. */
export interface WrappedKey extends WrapOrigin {
  readonly token: Buffer
}

/** What a wrapped key is for. Part of its MAC: an index key never opens as a content key. */
export interface KeySlot {
  readonly column: keyof typeof slotKeyBytes
  readonly id: string
  readonly version: number
}

/** The slot of one memory's version, or of another row that must be erased for good (version 0). */
export function contentKeySlot(id: string, version: number): KeySlot {
  return { column: 'content-key', id, version }
}

/** How a namespace's rows say that it is stored. */
export interface StorageForm {
  readonly profile: string
  /** Documents below it may be plain, 1 and more; null when none may. */
  readonly plain_below: number | null
}

/**
 * The namespace's index key: terms, blind indexes, dedupe hashes. Its MAC covers how the namespace is
 * stored, so whoever changes that in the database alone has changed a key that no longer opens.
 */
export function indexKeySlot({ profile, plain_below: plainBelow }: StorageForm): KeySlot {
  return { column: 'index-key', id: `namespace/${profile}`, version: plainBelow ?? 0 }
}

export interface NewContentKey {
  readonly key: EnvelopeKey
  readonly wrapped: WrappedKey
}

/** A 32-byte key for one record and the root key it comes from. The caller overwrites `bytes` after use. */
export interface RecordKey {
  readonly keyId: number
  readonly bytes: Buffer
}

/** The keys of one namespace: made by `Keyring.namespace`, kept with its settings until they change. */
export class NamespaceKeys {
  readonly namespace: bigint
  readonly #material: NamespaceKeyMaterial
  readonly #cache: SecretCache
  readonly #ring: RootRing
  /** Imported once for all rows; bounded by root keys times live epochs. */
  readonly #wrapKeys = new Map<string, EnvelopeKey>()

  constructor(material: NamespaceKeyMaterial, cache: SecretCache, ring: RootRing) {
    assert(material.salt.length === namespaceSaltBytes, 'a namespace salt has 32 bytes')
    for (const { secret } of material.epochs) {
      assert(
        secret.length === epochSecretBytes && secret.some((byte) => byte !== 0),
        'an epoch secret has 32 bytes',
      )
    }
    this.namespace = material.namespace
    this.#material = material
    this.#cache = cache
    this.#ring = ring
  }

  /** What new keys are wrapped under: a stored key with another pair is out of date. */
  get current(): WrapOrigin {
    return { keyId: this.#ring[0].keyId, epoch: this.#material.epochs[0].epoch }
  }

  /** A fresh random content key for one row, for use and wrapped for storage. */
  newContentKey(slot: KeySlot): NewContentKey {
    return this.#useAndWipe(randomBytes(slotKeyBytes[slot.column]), (secret) => ({
      key: new EnvelopeKey(contentKeyId, secret),
      wrapped: this.#wrap(slot, secret),
    }))
  }

  /** Unwraps a stored content key. Throws AppError `internal` (EnvelopeError) when it is not this row's. */
  openContentKey(slot: KeySlot, token: Uint8Array): EnvelopeKey {
    return this.#useAndWipe(
      this.#unwrap(slot, token).secret,
      (secret) => new EnvelopeKey(contentKeyId, secret),
    )
  }

  /** Wraps a namespace's index key (32 bytes) for the form that it is stored in from here on. */
  wrapIndexKey(form: StorageForm, key: Uint8Array): WrappedKey {
    assert(key.length === indexKeyBytes, 'an index key has 32 bytes')
    return this.#wrap(indexKeySlot(form), key)
  }

  /** Throws AppError `internal` (EnvelopeError) when the key was wrapped for another form. */
  openIndexKey(form: StorageForm, token: Uint8Array): Buffer {
    return this.#unwrap(indexKeySlot(form), token).secret
  }

  /**
   * The same key wrapped under the writing root key and the newest epoch, or `undefined` when it is so
   * already. Content encrypted with the key is not touched: this is all that rotation does.
   */
  rewrap(slot: KeySlot, token: Uint8Array): WrappedKey | undefined {
    const { secret, keyId, epoch } = this.#unwrap(slot, token)
    return this.#useAndWipe(secret, () =>
      keyId === this.#ring[0].keyId && epoch === this.#material.epochs[0].epoch
        ? undefined
        : this.#wrap(slot, secret),
    )
  }

  /** Key for one record outside the epochs (credentials): bound to purpose and record id. */
  recordKey(
    purpose: RecordPurpose,
    recordId: string,
    keyId: number = this.#ring[0].keyId,
  ): RecordKey {
    const bytes = deriveKey(this.#namespaceKey(keyId), keyInfo.record(purpose, recordId), 32)
    return { keyId, bytes }
  }

  #wrap(slot: KeySlot, secret: Uint8Array): WrappedKey {
    const { keyId } = this.#ring[0]
    const newest = this.#material.epochs[0]
    const token = seal(this.#wrapKey(keyId, newest), this.#context(slot), secret)
    return { token, keyId, epoch: newest.epoch }
  }

  #unwrap(slot: KeySlot, token: Uint8Array): { secret: Buffer; keyId: number; epoch: number } {
    const keyId = tokenKeyId(token)
    // A 256-bit HMAC commits to its key, so trying the few live epochs cannot open with a wrong one.
    for (const epoch of this.#material.epochs) {
      try {
        const secret = open(this.#wrapKey(keyId, epoch), this.#context(slot), token)
        if (secret.length !== slotKeyBytes[slot.column]) throw envelopeFailure('format')
        return { secret, keyId, epoch: epoch.epoch }
      } catch (error) {
        if (!isAuthenticationFailure(error)) throw error
      }
    }
    throw envelopeFailure('authentication')
  }

  #context(slot: KeySlot): EnvelopeContext {
    return { namespace: this.namespace, ...slot }
  }

  #namespaceKey(keyId: number): Buffer {
    const { namespace, salt } = this.#material
    return this.#cache.get(namespace.toString(), `namespace|${keyId}`, salt, () =>
      deriveKey(findRootKey(this.#ring, keyId).bytes, keyInfo.namespace(namespace), 32, salt),
    )
  }

  #wrapKey(keyId: number, epoch: EpochSecret): EnvelopeKey {
    const name = `wrap|${keyId}|${epoch.epoch}`
    const known = this.#wrapKeys.get(name)
    if (known !== undefined) return known
    const bytes = this.#useAndWipe(Buffer.concat([this.#material.salt, epoch.secret]), (source) =>
      this.#cache.get(this.namespace.toString(), name, source, () =>
        this.#useAndWipe(Buffer.concat([this.#namespaceKey(keyId), epoch.secret]), (material) =>
          deriveKey(material, keyInfo.wrap, envelopeKeyBytes),
        ),
      ),
    )
    const key = new EnvelopeKey(keyId, bytes)
    this.#wrapKeys.set(name, key)
    return key
  }

  #useAndWipe<T>(secret: Buffer, use: (secret: Buffer) => T): T {
    try {
      return use(secret)
    } finally {
      secret.fill(0)
    }
  }
}

function isAuthenticationFailure(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.cause instanceof EnvelopeError &&
    error.cause.failure === 'authentication'
  )
}
