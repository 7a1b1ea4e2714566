/** How many wrong keys an address may send in a minute before it is not listened to. */
import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { AppError } from '../errors.ts'
import type { RateLimiter } from './rate-limit.ts'

export interface FailedKeys {
  /** Throws AppError `rate_limited` for an address that sent too many. Asks nobody. */
  refuse(address: string | undefined): void
  /** Counts one wrong key. */
  count(address: string | undefined): Promise<void>
}

/**
 * Where nobody's address is known everybody shares one limit, so many times as wide: no guesser goes on without end,
 * and it takes more to shut the others out for a minute than one mistyped script.
 */
const everybodyFactor = 10

/** `perMinute`: wrong keys of one address; an IPv6 network of 64 bits is one address. */
export function createFailedKeys(
  limiter: RateLimiter,
  perMinute: number,
  onRefusal: () => void = () => undefined,
): FailedKeys {
  const one = { name: 'address', id: '', requests: perMinute } as const
  const everybody = { ...one, requests: everybodyFactor * perMinute }
  const groupOf = (address: string | undefined) =>
    address === undefined ? 'everybody' : addressGroup(address)
  return {
    refuse(address) {
      const waitMs = limiter.refusedForMs(groupOf(address), one)
      if (waitMs === 0) return
      onRefusal()
      const retryAfterSeconds = Math.ceil(waitMs / 1000)
      throw new AppError(
        'rate_limited',
        `Too many wrong keys from your address. Wait ${retryAfterSeconds} s, and check the key.`,
        { retryAfterSeconds, details: { limit: 'address' } },
      )
    },
    async count(address) {
      await limiter.take(groupOf(address), [address === undefined ? everybody : one])
    },
  }
}

/** Who counts as one place. A digest, since an address is a person's: it stays in memory and in stores. */
export function addressGroup(address: string): string {
  return createHash('sha256').update(networkOf(address)).digest('base64url').slice(0, 22)
}

/** Who has an IPv6 address has 2^64 of them. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  const zeros = address.includes('::') ? Math.max(0, 8 - left.length - right.length) : 0
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
