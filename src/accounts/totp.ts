/** The second factor: time-based one-time codes (RFC 6238) from a secret that is derived, never stored. */
import { createHmac, timingSafeEqual } from 'node:crypto'

const stepSeconds = 30
const digits = 6
/** RFC 4226 §4: at least 128 bits, 160 recommended; what every authenticator takes. */
const secretBytes = 20
/** RFC 6238 §5.2: one step back and forth for clocks that differ and people who type. */
const stepsAround = 1
const base32Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Secret of an account's `generation`-th second factor; `key`: 32 secret bytes of the installation. */
export function totpSecret(key: Uint8Array, account: string, generation: number): Buffer {
  return createHmac('sha256', key)
    .update(`${account}|${generation}`)
    .digest()
    .subarray(0, secretBytes)
}

/** The code of one time step (RFC 4226 §5.3 with SHA-1, which every authenticator knows). */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const offset = (mac.at(-1) ?? 0) & 0x0f
  const number = (mac.readUInt32BE(offset) & 0x7fff_ffff) % 10 ** digits
  return String(number).padStart(digits, '0')
}

/** The time step whose code this is; undefined for a wrong one. `now` in milliseconds since 1970. */
export function totpStep(secret: Uint8Array, code: string, now: number): number | undefined {
  const current = Math.floor(now / 1000 / stepSeconds)
  let found: number | undefined
  for (let step = current - stepsAround; step <= current + stepsAround; step++) {
    const expected = Buffer.from(totpCode(secret, step))
    const given = Buffer.from(code)
    if (given.length === expected.length && timingSafeEqual(given, expected)) found = step
  }
  return found
}

/** Base 32 without padding (RFC 4648 §6), as people type it. */
export function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
  const groups = bits.match(/.{1,5}/gu) ?? []
  return groups.map((group) => base32Digits[Number.parseInt(group.padEnd(5, '0'), 2)]).join('')
}

/** What an authenticator reads from a picture. */
export function totpAddress(secret: Uint8Array, email: string): string {
  const parameters = `secret=${base32(secret)}&issuer=MindGlue`
  return `otpauth://totp/${encodeURIComponent(`MindGlue:${email}`)}?${parameters}`
}
