/** Sealed credentials: round trip, binding to record, purpose and namespace, mutants, rotation. */
import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { credentialKeyId, openCredential, sealCredential } from '../../src/crypto/credentials.ts'
import { EnvelopeError } from '../../src/crypto/envelope.ts'
import { Keyring } from '../../src/crypto/keyring.ts'
import { rootKeyId, type RootRing } from '../../src/crypto/root-ring.ts'
import { AppError } from '../../src/errors.ts'
import { seededRandom } from './mutants.ts'

const salt = randomBytes(32)
const epochs = [{ epoch: 1, secret: randomBytes(32) }] as const

function ringOf(first: Buffer, ...rest: Buffer[]): RootRing {
  const entry = (bytes: Buffer) => ({ keyId: rootKeyId(bytes), bytes: Buffer.from(bytes) })
  return [entry(first), ...rest.map(entry)]
}

const root = randomBytes(32)
const keyring = new Keyring(ringOf(root))
const keys = keyring.namespace({ namespace: 7n, salt, epochs })
const secret = Buffer.from('ghp_refresh_token')

function failureOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return error instanceof AppError && error.cause instanceof EnvelopeError
      ? error.cause.failure
      : 'untyped'
  }
  return 'accepted'
}

test('any bytes come back for the same record', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.string({ maxLength: 60 }), (bytes, id) => {
      const sealed = sealCredential(keys, 'connector', id, bytes)
      expect(openCredential(keys, 'connector', id, sealed)).toEqual(Buffer.from(bytes))
    }),
  )
})

test('a credential opens for its own record, purpose and namespace only', () => {
  const sealed = sealCredential(keys, 'connector', 'connection-1', secret)
  const other = keyring.namespace({ namespace: 8n, salt, epochs })
  const attempts = [
    () => openCredential(keys, 'connector', 'connection-2', sealed),
    () => openCredential(keys, 'webhook', 'connection-1', sealed),
    () => openCredential(other, 'connector', 'connection-1', sealed),
  ]
  expect(attempts.map(failureOf)).toEqual(['authentication', 'authentication', 'authentication'])
})

test('none of 10,000 mutants opens, and every refusal is typed', () => {
  const random = seededRandom(91)
  const sealed = sealCredential(keys, 'webhook', 'endpoint-1', secret)
  const outcomes = new Set<string>()
  for (let index = 0; index < 10_000; index += 1) {
    const mutant = Buffer.from(sealed)
    const at = random(sealed.length)
    mutant[at] = (mutant[at] ?? 0) ^ (1 << random(8))
    const cut = mutant.subarray(0, random(sealed.length + 1))
    const bytes = random(3) === 0 ? cut : mutant
    outcomes.add(failureOf(() => openCredential(keys, 'webhook', 'endpoint-1', bytes)))
  }
  expect([...outcomes].toSorted()).toEqual(['authentication', 'format', 'key', 'version'])
})

test('a plaintext credential is an error, never passed through', () => {
  expect(failureOf(() => openCredential(keys, 'connector', 'a', secret))).toBe('version')
})

test('after a root rotation it still opens and says under which key it was sealed', () => {
  const newer = randomBytes(32)
  const sealed = sealCredential(keys, 'connector', 'a', secret)
  const both = new Keyring(ringOf(newer, root)).namespace({ namespace: 7n, salt, epochs })
  expect(credentialKeyId(sealed)).toBe(rootKeyId(root))
  expect(openCredential(both, 'connector', 'a', sealed)).toEqual(secret)
  const again = sealCredential(both, 'connector', 'a', secret)
  expect(credentialKeyId(again)).toBe(rootKeyId(newer))
})
