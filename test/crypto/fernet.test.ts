/** Fernet 0x80: the specification's cases, cross-checks with other programs, strictness. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EnvelopeError } from '../../src/crypto/envelope.ts'
import {
  generateFernetKey,
  openFernet,
  parseFernetKey,
  sealFernet,
} from '../../src/crypto/fernet.ts'
import { AppError } from '../../src/errors.ts'
import { oracleOpen, oracleSeal } from './fernet-oracle.ts'
import { isFullRun, seededRandom } from './mutants.ts'
import vectors from './vectors/fernet.json' with { type: 'json' }

const key = parseFernetKey(vectors.secret)

function refusal(token: string, options: { ttlSeconds?: number; nowSeconds?: number } = {}) {
  try {
    openFernet(key, token, options)
  } catch (error) {
    if (error instanceof AppError && error.cause instanceof EnvelopeError) {
      return error.code === 'internal' ? 'untyped' : error.cause.failure
    }
    return 'untyped'
  }
  return 'accepted'
}

describe('the cases of the specification', () => {
  test.each(vectors.generate)('generate: $text', ({ token, now, iv, text }) => {
    const options = { nowSeconds: now, iv: Buffer.from(iv, 'hex') }
    expect(sealFernet(key, Buffer.from(text), options)).toBe(token)
  })

  test.each(vectors.verify)('verify: $text', ({ token, now, ttlSeconds, text }) => {
    expect(openFernet(key, token, { nowSeconds: now, ttlSeconds }).toString()).toBe(text)
  })

  test.each(vectors.invalid)('invalid: $why', ({ token, now, ttlSeconds }) => {
    expect(['format', 'version', 'authentication', 'padding', 'expired']).toContain(
      refusal(token, { nowSeconds: now, ttlSeconds }),
    )
  })

  test('each kind of damage is named for the operator', () => {
    const reasons = new Map(
      vectors.invalid.map(({ why, token, now, ttlSeconds }) => [
        why,
        refusal(token, { nowSeconds: now, ttlSeconds }),
      ]),
    )
    expect(reasons.get('incorrect mac')).toBe('authentication')
    expect(reasons.get('expired time to live')).toBe('expired')
    expect(reasons.get('far-future timestamp (unacceptable clock skew)')).toBe('expired')
    expect(reasons.get('payload padding error')).toBe('padding')
    expect(reasons.get('invalid base64')).toBe('format')
  })
})

const crossChecks = isFullRun ? 10_000 : 200

test(`${crossChecks} tokens are read by npm fernet, and its tokens by us`, () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(text, fc.uint8Array({ minLength: 32, maxLength: 32 }), (message, secret) => {
      const secretText = Buffer.from(secret).toString('base64url') + '='
      const ours = parseFernetKey(secretText)
      expect(oracleOpen(secretText, sealFernet(ours, Buffer.from(message)))).toBe(message)
      expect(openFernet(ours, oracleSeal(secretText, message)).toString()).toBe(message)
    }),
    { numRuns: crossChecks },
  )
}, 240_000)

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

test.skipIf(!hasOpenssl)('the openssl command line decrypts a token (skipped without it)', () => {
  const bytes = Buffer.from(sealFernet(key, Buffer.from('interop')), 'base64url')
  const secret = key.subarray(16).toString('hex')
  const iv = bytes.subarray(9, 25).toString('hex')
  const args = ['enc', '-d', '-aes-128-cbc', '-K', secret, '-iv', iv]
  expect(execFileSync('openssl', args, { input: bytes.subarray(25, -32) }).toString()).toBe(
    'interop',
  )
  const mac = createHmac('sha256', key.subarray(0, 16)).update(bytes.subarray(0, -32)).digest()
  expect(mac).toEqual(bytes.subarray(-32))
})

test('any bytes come back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (plaintext) => {
      expect(openFernet(key, sealFernet(key, plaintext))).toEqual(Buffer.from(plaintext))
    }),
  )
})

test('a token of any age is read when no time to live is asked for', () => {
  for (const nowSeconds of [0, 1, 499_162_800, 2 ** 40]) {
    expect(openFernet(key, sealFernet(key, Buffer.from('x'), { nowSeconds })).toString()).toBe('x')
  }
})

test('a token ends exactly at its time to live and starts at most a minute early', () => {
  const token = sealFernet(key, Buffer.from('x'), { nowSeconds: 1000 })
  expect(refusal(token, { ttlSeconds: 60, nowSeconds: 1060 })).toBe('accepted')
  expect(refusal(token, { ttlSeconds: 60, nowSeconds: 1061 })).toBe('expired')
  expect(refusal(token, { ttlSeconds: 60, nowSeconds: 940 })).toBe('accepted')
  expect(refusal(token, { ttlSeconds: 60, nowSeconds: 939 })).toBe('expired')
})

test('a version 0x81 token is named as unsupported, an 0xC0 token as another version', () => {
  const bytes = Buffer.from(sealFernet(key, Buffer.from('x')), 'base64url')
  const as = (version: number): string => {
    bytes[0] = version
    const text = bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
    try {
      openFernet(key, text)
    } catch (error) {
      return error instanceof AppError ? error.code : 'untyped'
    }
    return 'accepted'
  }
  expect(as(0x81)).toBe('unsupported')
  expect(as(0xc0)).toBe('invalid_input')
})

test('none of 20,000 mutated tokens is accepted, and every refusal is typed', () => {
  const random = seededRandom(80)
  const token = vectors.verify[0]?.token ?? ''
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \n.\0é'
  const accepted: string[] = []
  for (let index = 0; index < 20_000; index += 1) {
    const at = random(token.length)
    const letter = alphabet[random(alphabet.length)] ?? ''
    const kinds = [
      token.slice(0, at) + letter + token.slice(at + 1),
      token.slice(0, at) + token.slice(at + 1),
      token.slice(0, at) + letter + token.slice(at),
      token.slice(0, at),
    ]
    const mutant = kinds[random(kinds.length)] ?? ''
    if (mutant === token) continue
    const outcome = refusal(mutant)
    if (outcome === 'accepted' || outcome === 'untyped') accepted.push(mutant)
  }
  expect(accepted).toEqual([])
})

test('a key in any other spelling or length is refused', () => {
  const good = generateFernetKey()
  expect(parseFernetKey(good)).toHaveLength(32)
  const standard = Buffer.alloc(32, 0xff).toString('base64')
  const others = [
    good.slice(0, -1),
    `${good}=`,
    ` ${good}`,
    standard,
    randomBytes(16).toString('base64url'),
  ]
  for (const text of others) {
    expect(() => parseFernetKey(text)).toThrow('Fernet key')
  }
})
