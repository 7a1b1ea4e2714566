/** What tells a real credential or number from a lookalike: checksums, entropy, structure. Pure. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** Bits a character, by the frequencies in the text itself (Shannon). */
export function entropyOf(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values())
    bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}

/** The last six digits are the CRC-32 of what stands before them in base 62, as in our own API keys. */
export function endsWithCrc(text: string): boolean {
  const body = text.slice(0, -6)
  let value = crc32(body)
  let digits = ''
  for (let count = 0; count < 6; count += 1) {
    digits = (base62[value % 62] ?? '') + digits
    value = Math.floor(value / 62)
  }
  return text.endsWith(digits)
}

/** Luhn's formula (ISO/IEC 7812-1, annex B) over a run of digits. */
export function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index += 1) {
    const digit = Number(digits[digits.length - 1 - index])
    const doubled = index % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

/** Remainder of a decimal number that may be longer than a double holds exactly. */
export function remainder(digits: string, modulus: number): number {
  let rest = 0
  for (const digit of digits) rest = (rest * 10 + Number(digit)) % modulus
  return rest
}

/** Base58Check (Bitcoin): the last four bytes are those of a double SHA-256 of the rest. */
export function passesBase58Check(text: string): boolean {
  let value = 0n
  for (const character of text) {
    const digit = base58.indexOf(character)
    if (digit < 0) return false
    value = value * 58n + BigInt(digit)
  }
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  const hash = (data: Buffer) => createHash('sha256').update(data).digest()
  return (
    bytes.length > 5 &&
    hash(hash(bytes.subarray(0, -4)))
      .subarray(0, 4)
      .equals(bytes.subarray(-4))
  )
}

/** The first part of a JSON Web Token or of its like is JSON with an algorithm or a kind (RFC 7515 §4). */
export function hasJoseHeader(token: string): boolean {
  try {
    const header: unknown = JSON.parse(
      Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString('utf8'),
    )
    return typeof header === 'object' && header !== null && ('alg' in header || 'typ' in header)
  } catch {
    return false // no JSON, so no token
  }
}

/** Base64 of `name:password`, as HTTP's basic authentication sends it (RFC 7617). */
export function isBasicPair(encoded: string): boolean {
  const text = Buffer.from(encoded, 'base64').toString('latin1')
  return /^[\u0020-\u007e]+$/u.test(text) && /^[^:]*:[^:]{3}/u.test(text)
}
