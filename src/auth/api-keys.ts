/** The text of an API key, the check of it that needs no database, and what of it is stored. */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * `mgk_<id>_<secret><checksum>`: the prefix for scanners of leaked secrets, the id as 22, the 256-bit
 * secret as 43 and the CRC-32 of everything before it as 6 digits of base 62. The checksum refuses what
 * was mistyped or cut off without a look into the database; it protects nothing.
 */
const pattern = /^mgk_(?<id>[0-9A-Za-z]{22})_[0-9A-Za-z]{43}(?<checksum>[0-9A-Za-z]{6})$/u
const idPattern = /^mgk_(?<id>[0-9A-Za-z]{22})(?:_|$)/u
const prefix = 'mgk_'
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const base = BigInt(digits.length)

/** Bytes of a secret: 2^256 values, more than can be tried. */
const secretBytes = 32
const idDigits = 22
const secretDigits = 43
const checksumDigits = 6

/** A new key for the record with this id (a UUID). The only moment at which its text exists here. */
export function createApiKey(id: string): string {
  const secret = BigInt(`0x${randomBytes(secretBytes).toString('hex')}`)
  const body = `${publicPart(id)}_${encode(secret, secretDigits)}`
  return body + checksumOf(body)
}

/** The part of a key that names it and is no secret: `mgk_` and the id. */
export function publicPart(id: string): string {
  return prefix + encode(BigInt(`0x${id.replaceAll('-', '')}`), idDigits)
}

/** True for what was meant as one of our keys, right or wrong. */
export function looksLikeApiKey(text: string): boolean {
  return text.startsWith(prefix)
}

/** Id in a key that is complete and free of typing errors; undefined for any other text. */
export function readApiKey(text: string): string | undefined {
  const { id, checksum } = pattern.exec(text)?.groups ?? {}
  if (id === undefined || checksumOf(text.slice(0, -checksumDigits)) !== checksum) return undefined
  return decodeId(id)
}

/** Id in a key or in its public part, as somebody who found it would paste it. */
export function idOfApiKey(text: string): string | undefined {
  const id = idPattern.exec(text)?.groups?.['id']
  return id === undefined ? undefined : decodeId(id)
}

/**
 * 32 bytes that are stored in place of a key: SHA-256, or HMAC-SHA256 under the pepper. A plain hash
 * is right for 256 random bits (nothing to guess); with a pepper whoever can write to the database
 * still cannot make a key. The id is part of the text, so a hash is worth nothing in another row.
 */
export function hashApiKey(text: string, pepper: string | undefined): Buffer {
  const hash = pepper === undefined ? createHash('sha256') : createHmac('sha256', pepper)
  return hash.update(text).digest()
}

function checksumOf(body: string): string {
  return encode(BigInt(crc32(body)), checksumDigits)
}

function encode(value: bigint, length: number): string {
  let text = ''
  for (let rest = value; text.length < length; rest /= base)
    text = digits[Number(rest % base)] + text
  return text
}

/** Undefined for a number that is larger than a UUID: such a text was never issued. */
function decodeId(text: string): string | undefined {
  let value = 0n
  for (const digit of text) value = value * base + BigInt(digits.indexOf(digit))
  const hex = value.toString(16).padStart(32, '0')
  if (hex.length > 32) return undefined
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
  return [...parts, hex.slice(20)].join('-')
}
