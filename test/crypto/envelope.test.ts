/** Token format 0xC0: vectors, an independent implementation, mutants, swaps, round trips. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  EnvelopeError,
  EnvelopeKey,
  envelopeOverheadBytes,
  open,
  preAuthenticationEncoding,
  seal,
  tokenKeyId,
  type EnvelopeContext,
} from '../../src/crypto/envelope.ts'
import { AppError } from '../../src/errors.ts'
import { isFullRun, mutate, seededRandom, type SealedRow } from './mutants.ts'
import vectors from './vectors/envelope.json' with { type: 'json' }

const id = '01935b7e-0000-7000-8000-000000000001'
const place: EnvelopeContext = { namespace: 7n, id, version: 1, column: 'content' }

function contextOf(json: (typeof vectors.cases)[number]['context']): EnvelopeContext {
  return { ...json, namespace: BigInt(json.namespace) }
}

/** Why `open` refused: the typed cause, or a failure of the test for anything else. */
function refusal(key: EnvelopeKey, context: EnvelopeContext, token: Uint8Array): string {
  try {
    open(key, context, token)
  } catch (error) {
    if (!(error instanceof AppError)) return 'untyped'
    if (error.code !== 'internal' || !(error.cause instanceof EnvelopeError)) return 'untyped'
    return error.cause.failure
  }
  return 'accepted'
}

describe('vectors', () => {
  const key = new EnvelopeKey(0, Buffer.from(vectors.contentKey, 'hex'))

  test.each(vectors.cases)('sealing and opening "$name" gives the published bytes', (vector) => {
    const context = contextOf(vector.context)
    const plaintext = Buffer.from(vector.plaintext, 'hex')
    const options = { nowSeconds: vector.timestamp, iv: Buffer.from(vector.iv, 'hex') }
    expect(seal(key, context, plaintext, options).toString('hex')).toBe(vector.token)
    const token = Buffer.from(vector.token, 'hex')
    expect(open(key, context, token)).toEqual(plaintext)
    expect(tokenKeyId(token)).toBe(vector.keyId)
  })

  test('the specification page shows the tested vector', async () => {
    const page = await readFile(new URL('../../docs/encryption-format.md', import.meta.url), 'utf8')
    const shown = page.replaceAll(/\s+/g, '')
    const [first] = vectors.cases
    const keys = [vectors.contentKey.slice(0, 64), vectors.contentKey.slice(64)]
    const values = [...keys, vectors.pae, first?.iv ?? '', first?.token ?? '']
    for (const value of values) expect(shown).toContain(value)
  })

  test('the context encoding gives the vectors of PASETO PAE', () => {
    const encode = (...pieces: string[]) =>
      preAuthenticationEncoding(pieces.map((piece) => Buffer.from(piece))).toString('latin1')
    expect(encode()).toBe('\0'.repeat(8))
    expect(encode('')).toBe(`\x01${'\0'.repeat(15)}`)
    expect(encode('test')).toBe(`\x01${'\0'.repeat(7)}\x04${'\0'.repeat(7)}test`)
    expect(encode('Paragon')).toBe(`\x01${'\0'.repeat(7)}\x07${'\0'.repeat(7)}Paragon`)
  })
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

test.skipIf(!hasOpenssl)(
  'the openssl command line decrypts a fresh token (skipped without openssl)',
  () => {
    const bytes = randomBytes(64)
    const token = seal(new EnvelopeKey(0, bytes), place, Buffer.from('read by another program'))
    const iv = token.subarray(13, 29).toString('hex')
    const secret = bytes.subarray(32).toString('hex')
    const args = ['enc', '-d', '-aes-256-cbc', '-K', secret, '-iv', iv]
    const plain = execFileSync('openssl', args, { input: token.subarray(29, -32) })
    expect(plain.toString()).toBe('read by another program')
    const context = preAuthenticationEncoding(
      ['7', id, '1', 'content'].map((piece) => Buffer.from(piece)),
    )
    const macKey = bytes.subarray(0, 32).toString('hex')
    const mac = execFileSync(
      'openssl',
      ['dgst', '-sha256', '-mac', 'HMAC', '-macopt', `hexkey:${macKey}`, '-binary'],
      { input: Buffer.concat([context, token.subarray(0, -32)]) },
    )
    expect(mac).toEqual(token.subarray(-32))
  },
)

describe('round trips', () => {
  const key = new EnvelopeKey(0, randomBytes(64))

  test('any bytes come back, at any place', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 5000 }),
        fc.record({
          namespace: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
          id: fc.string({ maxLength: 40 }),
          version: fc.nat(),
          column: fc.string({ maxLength: 20 }),
        }),
        (plaintext, context) => {
          expect(open(key, context, seal(key, context, plaintext))).toEqual(Buffer.from(plaintext))
        },
      ),
      { numRuns: 300 },
    )
  })

  test('text with NUL, emoji and combining marks comes back as it was', () => {
    for (const text of ['', 'a\0b', '\0', '👍🏽 é', 'x'.repeat(65_536), '﷽']) {
      expect(open(key, place, seal(key, place, Buffer.from(text))).toString('utf8')).toBe(text)
    }
  })

  test('a token is 61 bytes and padding longer than its plaintext', () => {
    for (const length of [0, 1, 15, 16, 17, 4096]) {
      const padded = (Math.floor(length / 16) + 1) * 16
      expect(seal(key, place, Buffer.alloc(length)).length).toBe(envelopeOverheadBytes + padded)
    }
  })

  test('a token read from the middle of a larger buffer opens', () => {
    const token = seal(key, place, Buffer.from('offset'))
    const larger = Buffer.concat([randomBytes(13), token, randomBytes(7)])
    const view = new Uint8Array(larger.buffer, larger.byteOffset + 13, token.length)
    expect(open(key, place, view).toString()).toBe('offset')
  })

  test('the same text never makes the same token twice', () => {
    const tokens = Array.from({ length: 200 }, () => seal(key, place, Buffer.from('again')))
    expect(new Set(tokens.map((token) => token.subarray(13, 29).toString('hex'))).size).toBe(200)
    expect(new Set(tokens.map((token) => token.subarray(29, 45).toString('hex'))).size).toBe(200)
  })
})

describe('refusals', () => {
  const keyBytes = randomBytes(64)
  const key = new EnvelopeKey(0, keyBytes)
  const token = seal(key, place, Buffer.from('Ada moved to Lisbon'))

  test('a plaintext row is an error, never passed through', () => {
    for (const plain of ['Ada moved to Lisbon', '', '{"content":"x"}', 'À la carte'.repeat(10)]) {
      expect(refusal(key, place, Buffer.from(plain))).toBe('version')
    }
  })

  test('other versions of Fernet are refused', () => {
    for (const version of [0x80, 0x81, 0xa0, 0xc1]) {
      const changed = Buffer.from(token)
      changed[0] = version
      expect(refusal(key, place, changed)).toBe('version')
    }
  })

  test('a wrong length is refused before any key is used', () => {
    for (const length of [1, 28, 60, 61, 76, 78, token.length - 1]) {
      const cut = Buffer.alloc(length)
      token.copy(cut)
      expect(refusal(key, place, cut)).toBe('format')
    }
  })

  test('another key id is refused although the key is right', () => {
    expect(refusal(new EnvelopeKey(5, keyBytes), place, token)).toBe('key')
  })

  test('the MAC is checked before the padding, so padding tells nothing', () => {
    for (let bit = 0; bit < 256; bit += 1) {
      const changed = Buffer.from(token)
      // The last byte before the last block decides what the padding decrypts to.
      changed[changed.length - 32 - 17] = bit
      if (changed.equals(token)) continue
      expect(refusal(key, place, changed)).toBe('authentication')
    }
  })

  test('bad padding under a good MAC is a typed error too', () => {
    const changed = Buffer.from(token)
    changed[changed.length - 32 - 17] = (changed[changed.length - 32 - 17] ?? 0) ^ 0x7f
    const pieces = ['7', id, '1', 'content'].map((piece) => Buffer.from(piece))
    const mac = createHmac('sha256', keyBytes.subarray(0, 32))
      .update(preAuthenticationEncoding(pieces))
      .update(changed.subarray(0, -32))
      .digest()
    changed.set(mac, changed.length - 32)
    expect(refusal(key, place, changed)).toBe('padding')
  })

  test('an error carries no plaintext, key or token', () => {
    try {
      open(key, { ...place, version: 2 }, token)
      expect.unreachable()
    } catch (error) {
      const text = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String(error)
      for (const secret of ['Lisbon', token.toString('hex'), keyBytes.toString('base64')]) {
        expect(text).not.toContain(secret)
      }
    }
  })

  test('a destroyed key seals and opens nothing', () => {
    const doomed = new EnvelopeKey(0, randomBytes(64))
    const sealed = seal(doomed, place, Buffer.from('x'))
    doomed.destroy()
    expect(() => seal(doomed, place, Buffer.from('y'))).toThrow('destroyed')
    expect(() => open(doomed, place, sealed)).toThrow('destroyed')
  })
})

const mutantCount = isFullRun ? 100_000 : 20_000

test(`none of ${mutantCount} mutated tokens opens, and every refusal is typed`, () => {
  const key = new EnvelopeKey(0, randomBytes(64))
  const random = seededRandom(20_261_123)
  const rows: SealedRow[] = Array.from({ length: 64 }, (_, index) => {
    const context: EnvelopeContext = {
      namespace: BigInt(index % 8),
      id: `m${index}`,
      version: 1 + (index % 3),
      column: index % 2 === 0 ? 'content' : 'raw_content',
    }
    return { context, token: seal(key, context, randomBytes(random(900))) }
  })
  const outcomes = new Map<string, number>()
  let tried = 0
  for (let index = 0; tried < mutantCount; index += 1) {
    const mutant = mutate(random, rows, index)
    const original = rows[index % rows.length]
    // Some damage happens to change nothing; that is no mutant.
    if (original?.context === mutant.context && original.token.equals(mutant.token)) continue
    const outcome = refusal(key, mutant.context, mutant.token)
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    tried += 1
  }
  expect(outcomes.get('accepted')).toBeUndefined()
  expect(outcomes.get('untyped')).toBeUndefined()
  expect(outcomes.get('padding')).toBeUndefined()
  for (const reason of ['version', 'format', 'key', 'authentication']) {
    expect(outcomes.get(reason)).toBeGreaterThan(mutantCount / 1000)
  }
})

test('no token opens at the place of another row, version, column or namespace', () => {
  // 5 rows x 3 columns x 2 namespaces x 5 versions = 150 places under one key: 22,350 ordered pairs.
  const key = new EnvelopeKey(0, randomBytes(64))
  const places: EnvelopeContext[] = []
  for (let row = 0; row < 5; row += 1) {
    for (const column of ['content', 'raw_content', 'metadata']) {
      for (const namespace of [1n, 11n]) {
        for (let version = 1; version <= 5; version += 1) {
          places.push({ namespace, id: `row-${row}`, version, column })
        }
      }
    }
  }
  const tokens = places.map((context) => seal(key, context, Buffer.from(context.column)))
  let swaps = 0
  let accepted = 0
  for (const [from, token] of tokens.entries()) {
    for (const [to, context] of places.entries()) {
      if (from === to) continue
      swaps += 1
      if (refusal(key, context, token) !== 'authentication') accepted += 1
    }
  }
  expect(swaps).toBe(22_350)
  expect(accepted).toBe(0)
})
