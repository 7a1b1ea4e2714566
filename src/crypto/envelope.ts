/**
 * Token format 0xC0: Fernet's construction with AES-256-CBC and HMAC-SHA256, bound to the place where
 * the value is stored. Byte layout and vectors: docs/encryption-format.md. Knows no key hierarchy.
 */
import assert from 'node:assert/strict'
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomFillSync,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto'
import { AppError } from '../errors.ts'

export const envelopeVersion = 0xc0
/** MAC key (32 bytes), then encryption key (32 bytes). */
export const envelopeKeyBytes = 64
/** Everything but the ciphertext: version 1, timestamp 8, key id 4, IV 16, MAC 32. */
export const envelopeOverheadBytes = 61

const ivOffset = 13
const ciphertextOffset = 29
const blockBytes = 16
const macBytes = 32
const tokenBytesMin = envelopeOverheadBytes + blockBytes
/** A programmer's error above this: memories are limited far below at the edge. */
export const plaintextBytesMax = 64 * 1024 * 1024

/** Where a value lives. Part of the MAC, not of the token: a token moved to another place does not open. */
export interface EnvelopeContext {
  readonly namespace: bigint
  /** Row id: a memory's UUID in lower case, or the fixed name of something that exists once a namespace. */
  readonly id: string
  readonly version: number
  readonly column: string
}

/**
 * The two keys of the format, imported once: with OpenSSL 3.5 (Node 24) an imported key makes each call
 * six times cheaper than raw bytes. They live in OpenSSL's memory, which is wiped when they are freed.
 */
export class EnvelopeKey {
  /** 0 for a content key, which is not in the root ring; a root key's id (1 … 2³¹-1) for wrapped keys. */
  readonly keyId: number
  #keys: { readonly mac: KeyObject; readonly encryption: KeyObject } | undefined

  /** Copies the 64 bytes (MAC key, encryption key); the caller overwrites its own. */
  constructor(keyId: number, bytes: Uint8Array) {
    assert(bytes.length === envelopeKeyBytes, 'an envelope key has 64 bytes')
    this.keyId = keyId
    this.#keys = {
      mac: createSecretKey(bytes.subarray(0, 32)),
      encryption: createSecretKey(bytes.subarray(32)),
    }
  }

  get keys(): { readonly mac: KeyObject; readonly encryption: KeyObject } {
    assert(this.#keys !== undefined, 'this key was destroyed')
    return this.#keys
  }

  /** Lets the keys go; sealing or opening with this key afterwards is an assertion failure. */
  destroy(): void {
    this.#keys = undefined
  }
}

export type EnvelopeFailure =
  'format' | 'version' | 'key' | 'authentication' | 'padding' | 'expired'

/** Why a token did not open. The `cause` of an AppError; holds no content, key or token. */
export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError'
  readonly failure: EnvelopeFailure
  constructor(failure: EnvelopeFailure) {
    super(`token refused: ${failure}`)
    this.failure = failure
  }
}

/** One public text for every failure: which check refused a token is nobody's business outside. */
export function envelopeFailure(failure: EnvelopeFailure): AppError {
  return new AppError(
    'internal',
    'A stored value could not be decrypted. Ask the operator to check the keys.',
    { cause: new EnvelopeError(failure) },
  )
}

/** True for what `envelopeFailure` made: a stored value that did not open. */
export function isEnvelopeFailure(error: unknown): error is AppError {
  return error instanceof AppError && error.cause instanceof EnvelopeError
}

/**
 * Pre-authentication encoding of PASETO (version 2 and later, "PAE"): count and lengths as 64-bit
 * little-endian integers, so that no two lists of pieces share an encoding.
 */
export function preAuthenticationEncoding(pieces: readonly Uint8Array[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + 8 + piece.length, 8)
  const out = Buffer.allocUnsafe(length)
  let offset = out.writeBigUInt64LE(BigInt(pieces.length), 0)
  for (const piece of pieces) {
    offset = out.writeBigUInt64LE(BigInt(piece.length), offset)
    out.set(piece, offset)
    offset += piece.length
  }
  return out
}

function encodeContext(context: EnvelopeContext): Buffer {
  assert(context.namespace >= 0n && Number.isSafeInteger(context.version) && context.version >= 0)
  return preAuthenticationEncoding([
    Buffer.from(context.namespace.toString(10)),
    Buffer.from(context.id),
    Buffer.from(context.version.toString(10)),
    Buffer.from(context.column),
  ])
}

function authenticationCode(key: EnvelopeKey, context: EnvelopeContext, body: Uint8Array): Buffer {
  return createHmac('sha256', key.keys.mac).update(encodeContext(context)).update(body).digest()
}

/** Fixed inputs for test vectors; the data path passes none of them. */
export interface SealOptions {
  readonly nowSeconds?: number
  /** 16 bytes, unpredictable and never used twice under a key. */
  readonly iv?: Uint8Array
}

/** Encrypts `plaintext` (any bytes, also none) for one place. Returns the binary token. */
export function seal(
  key: EnvelopeKey,
  context: EnvelopeContext,
  plaintext: Uint8Array,
  options: SealOptions = {},
): Buffer {
  assert(plaintext.length <= plaintextBytesMax, 'plaintext is too long for one token')
  const header = Buffer.alloc(ciphertextOffset)
  header[0] = envelopeVersion
  header.writeBigUInt64BE(BigInt(options.nowSeconds ?? Math.floor(Date.now() / 1000)), 1)
  header.writeUInt32BE(key.keyId, 9)
  if (options.iv === undefined) randomFillSync(header, ivOffset, blockBytes)
  else header.set(options.iv.subarray(0, blockBytes), ivOffset)
  const iv = header.subarray(ivOffset, ciphertextOffset)
  const cipher = createCipheriv('aes-256-cbc', key.keys.encryption, iv)
  const body = Buffer.concat([header, cipher.update(plaintext), cipher.final()])
  return Buffer.concat([body, authenticationCode(key, context, body)])
}

/** Reads the key id of a well-formed token without authenticating it: to find the key, for nothing else. */
export function tokenKeyId(token: Uint8Array): number {
  return parse(token).readUInt32BE(9)
}

function parse(token: Uint8Array): Buffer {
  const bytes = Buffer.from(token.buffer, token.byteOffset, token.byteLength)
  // Never a fallback to plaintext: a row that is not a token is an error in an encrypted namespace.
  if (bytes[0] !== envelopeVersion) throw envelopeFailure('version')
  const wellFormed =
    bytes.length >= tokenBytesMin &&
    bytes.length <= envelopeOverheadBytes + blockBytes + plaintextBytesMax &&
    (bytes.length - envelopeOverheadBytes) % blockBytes === 0
  if (!wellFormed) throw envelopeFailure('format')
  return bytes
}

/**
 * Decrypts a token made by `seal` for the same place with the same key. The MAC is compared in constant
 * time before any decryption. Throws AppError `internal` with an EnvelopeError as cause for everything
 * else: another place, key or version, a changed or cut token, a plaintext row.
 */
export function open(key: EnvelopeKey, context: EnvelopeContext, token: Uint8Array): Buffer {
  const bytes = parse(token)
  if (bytes.readUInt32BE(9) !== key.keyId) throw envelopeFailure('key')
  const body = bytes.subarray(0, -macBytes)
  if (!timingSafeEqual(authenticationCode(key, context, body), bytes.subarray(-macBytes))) {
    throw envelopeFailure('authentication')
  }
  const iv = bytes.subarray(ivOffset, ciphertextOffset)
  const decipher = createDecipheriv('aes-256-cbc', key.keys.encryption, iv)
  try {
    return Buffer.concat([decipher.update(body.subarray(ciphertextOffset)), decipher.final()])
  } catch {
    // Only a writer that holds the key can get here, with bad padding under a good MAC.
    throw envelopeFailure('padding')
  }
}
