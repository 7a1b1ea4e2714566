/**
 * Fernet as its specification says (version 0x80, AES-128-CBC + HMAC-SHA256), for import and export
 * only. Nothing at rest uses it: that is envelope.ts. Source: github.com/fernet/spec, Spec.md.
 */
import assert from 'node:assert/strict'
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { AppError } from '../errors.ts'
import { EnvelopeError, type EnvelopeFailure } from './envelope.ts'

export const fernetVersion = 0x80
const ivOffset = 9
const ciphertextOffset = 25
const macBytes = 32
const blockBytes = 16
/** Version, timestamp, IV, one block, MAC. */
const tokenBytesMin = ciphertextOffset + blockBytes + macBytes
/** A token from an import file; memories are limited far below this. */
export const fernetTokenCharactersMax = 96 * 1024 * 1024
/** How far ahead of ours a writer's clock may be; the value that pyca/cryptography uses. */
const clockSkewSecondsMax = 60

/** 32 bytes: signing key (16), encryption key (16). That is AES-128, whatever the key's length suggests. */
export type FernetKey = Buffer

function refused(failure: EnvelopeFailure): AppError {
  return new AppError('invalid_input', 'This is not a valid Fernet token for the given key.', {
    cause: new EnvelopeError(failure),
  })
}

/** base64url with padding, in the one spelling that encoding the bytes again gives. */
function decodeCanonical(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return encode(bytes) === text ? bytes : undefined
}

function encode(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

/** Reads a key in its text form (44 characters of base64url). Throws AppError `invalid_input`. */
export function parseFernetKey(text: string): FernetKey {
  const bytes = text.length === 44 ? decodeCanonical(text) : undefined
  if (bytes?.length === 32) return bytes
  throw new AppError('invalid_input', 'A Fernet key is 32 bytes in base64url with its padding.')
}

/** A new random key in its text form. */
export function generateFernetKey(): string {
  return encode(randomBytes(32))
}

/** Fixed inputs for the specification's vectors. */
export interface FernetSealOptions {
  readonly nowSeconds?: number
  readonly iv?: Uint8Array
}

/** Writes a token: any bytes in, base64url text out. */
export function sealFernet(
  key: FernetKey,
  plaintext: Uint8Array,
  options: FernetSealOptions = {},
): string {
  assert(key.length === 32, 'a Fernet key has 32 bytes')
  const header = Buffer.alloc(ciphertextOffset)
  header[0] = fernetVersion
  header.writeBigUInt64BE(BigInt(options.nowSeconds ?? Math.floor(Date.now() / 1000)), 1)
  header.set(options.iv ?? randomBytes(blockBytes), ivOffset)
  const cipher = createCipheriv(
    'aes-128-cbc',
    createSecretKey(key.subarray(16)),
    header.subarray(ivOffset),
  )
  const body = Buffer.concat([header, cipher.update(plaintext), cipher.final()])
  return encode(Buffer.concat([body, authenticationCode(key, body)]))
}

function authenticationCode(key: FernetKey, body: Uint8Array): Buffer {
  return createHmac('sha256', createSecretKey(key.subarray(0, 16)))
    .update(body)
    .digest()
}

export interface FernetOpenOptions {
  /** Maximum age; without it a token of any age is read, as an import must. */
  readonly ttlSeconds?: number
  readonly nowSeconds?: number
}

/**
 * Reads a token strictly: one spelling of base64url, exact length, MAC before padding. With
 * `ttlSeconds` also refuses tokens that are older, or more than 60 s from the future. Throws AppError
 * `invalid_input`, for another version of Fernet `unsupported`, with an EnvelopeError as cause.
 */
export function openFernet(key: FernetKey, token: string, options: FernetOpenOptions = {}): Buffer {
  assert(key.length === 32, 'a Fernet key has 32 bytes')
  if (token.length > fernetTokenCharactersMax) throw refused('format')
  const bytes = decodeCanonical(token)
  if (bytes === undefined) throw refused('format')
  if (bytes[0] === 0x81) {
    const cause = new EnvelopeError('version')
    throw new AppError('unsupported', 'Fernet 0x81 is not supported; export with 0x80.', { cause })
  }
  if (bytes[0] !== fernetVersion) throw refused('version')
  const isWhole =
    bytes.length >= tokenBytesMin && (bytes.length - ciphertextOffset - macBytes) % blockBytes === 0
  if (!isWhole) throw refused('format')
  const body = bytes.subarray(0, -macBytes)
  if (!timingSafeEqual(authenticationCode(key, body), bytes.subarray(-macBytes))) {
    throw refused('authentication')
  }
  assertAge(bytes.readBigUInt64BE(1), options)
  const iv = bytes.subarray(ivOffset, ciphertextOffset)
  const decipher = createDecipheriv('aes-128-cbc', createSecretKey(key.subarray(16)), iv)
  try {
    return Buffer.concat([decipher.update(body.subarray(ciphertextOffset)), decipher.final()])
  } catch {
    throw refused('padding')
  }
}

/** The specification checks the age before the MAC; after it, the time checked is a genuine one. */
function assertAge(timestamp: bigint, options: FernetOpenOptions): void {
  if (options.ttlSeconds === undefined) return
  const now = BigInt(options.nowSeconds ?? Math.floor(Date.now() / 1000))
  const isExpired = timestamp + BigInt(options.ttlSeconds) < now
  if (isExpired || timestamp > now + BigInt(clockSkewSecondsMax)) throw refused('expired')
}
