/** The key hierarchy: vectors, separation of uses, rotation, shredding, wrong root keys, the bounded cache. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { deriveKey, keyInfo } from '../../src/crypto/derive.ts'
import { EnvelopeError, open, seal } from '../../src/crypto/envelope.ts'
import { Keyring } from '../../src/crypto/keyring.ts'
import {
  contentKeySlot,
  indexKeySlot,
  type EpochSecret,
  type NamespaceKeyMaterial,
} from '../../src/crypto/namespace-keys.ts'
import { rootKeyId, type RootRing } from '../../src/crypto/root-ring.ts'
import { SecretCache } from '../../src/crypto/secret-cache.ts'
import { AppError } from '../../src/errors.ts'
import sentences from './vectors/envelope.json' with { type: 'json' }
import vectors from './vectors/hierarchy.json' with { type: 'json' }

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

function newRing(...keys: Buffer[]): RootRing {
  const [first = randomBytes(32), ...rest] = keys
  const entry = (bytes: Buffer) => ({ keyId: rootKeyId(bytes), bytes: Buffer.from(bytes) })
  return [entry(first), ...rest.map(entry)]
}

function newMaterial(namespace = 7n): NamespaceKeyMaterial {
  return { namespace, salt: randomBytes(32), epochs: [newEpoch(1)] }
}

function newEpoch(epoch: number): EpochSecret {
  return { epoch, secret: randomBytes(32) }
}

const slot = contentKeySlot('01935b7e-0000-7000-8000-000000000001', 1)

const field = { profile: 'field', plain_below: null }

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

describe('vectors computed by another program', () => {
  const ring = newRing(hex(vectors.rootKey))
  const keys = new Keyring(ring).namespace({
    namespace: BigInt(vectors.namespace),
    salt: hex(vectors.namespaceSalt),
    epochs: [{ epoch: 1, secret: hex(vectors.epochSecret) }],
  })

  test('the id of the root key', () => {
    expect(ring[0].keyId).toBe(vectors.rootKeyId)
  })

  test('a wrapped content key opens to the key that reads the content', () => {
    const { id, version } = vectors.context
    const key = keys.openContentKey(contentKeySlot(id, version), hex(vectors.wrapped))
    const [sentence] = sentences.cases
    const place = { ...vectors.context, namespace: 7n, column: 'content' }
    expect(open(key, place, hex(sentence?.token ?? '')).toString('hex')).toBe(sentence?.plaintext)
  })

  test('a wrapped index key opens to the index key', () => {
    const token = hex(vectors.wrappedIndexKey)
    expect(keys.openIndexKey(field, token).toString('hex')).toBe(vectors.indexKey)
  })

  test('record and installation keys', () => {
    const record = keys.recordKey('connector', vectors.connectorRecord)
    expect(record.bytes.toString('hex')).toBe(vectors.connectorKey)
    const cursor = deriveKey(hex(vectors.installationSecret), keyInfo.installation('cursor'), 32)
    expect(cursor.toString('hex')).toBe(vectors.cursorKey)
  })
})

test('what one process stores another one with the same keys reads', () => {
  const root = randomBytes(32)
  const material = newMaterial()
  const place = { namespace: 7n, id: slot.id, version: 1, column: 'content' }
  const writer = new Keyring(newRing(root)).namespace(material)
  const { key, wrapped } = writer.newContentKey(slot)
  const token = seal(key, place, Buffer.from('hello'))
  const reader = new Keyring(newRing(root)).namespace(material)
  expect(open(reader.openContentKey(slot, wrapped.token), place, token).toString()).toBe('hello')
})

test('a wrapped key opens in its own slot and namespace only', () => {
  const keyring = new Keyring(newRing())
  const material = newMaterial()
  const keys = keyring.namespace(material)
  const { token } = keys.newContentKey(slot).wrapped
  const others = [
    contentKeySlot(slot.id, 2),
    contentKeySlot('01935b7e-0000-7000-8000-000000000002', 1),
    { ...indexKeySlot(field), id: slot.id, version: 1 },
  ]
  for (const other of others) {
    expect(failureOf(() => keys.openContentKey(other, token))).toBe('authentication')
  }
  const neighbour = keyring.namespace({ ...material, namespace: 8n })
  expect(failureOf(() => neighbour.openContentKey(slot, token))).toBe('authentication')
})

test('an index key opens for the form that its namespace is stored in, and for no other', () => {
  const keys = new Keyring(newRing()).namespace(newMaterial())
  const forms = ['field', 'sealed', 'off', ''].flatMap((profile) =>
    [null, 1, 7, 71].map((below) => ({ profile, plain_below: below })),
  )
  for (const form of forms) {
    const { token } = keys.wrapIndexKey(form, randomBytes(32))
    const opened = forms.filter(
      (other) => failureOf(() => keys.openIndexKey(other, token)) === 'accepted',
    )
    expect(opened).toEqual([form])
  }
})

test('without the root key, the salt or the epoch secret nothing opens', () => {
  const root = randomBytes(32)
  const material = newMaterial()
  const { token } = new Keyring(newRing(root)).namespace(material).newContentKey(slot).wrapped
  const opened = (ring: RootRing, changed: Partial<NamespaceKeyMaterial>) =>
    failureOf(() =>
      new Keyring(ring).namespace({ ...material, ...changed }).openContentKey(slot, token),
    )
  expect(opened(newRing(root), {})).toBe('accepted')
  expect(opened(newRing(), {})).toBe('key')
  expect(opened(newRing(root), { salt: randomBytes(32) })).toBe('authentication')
  expect(opened(newRing(root), { epochs: [newEpoch(1)] })).toBe('authentication')
})

test('a wrong root key with the id of the right one still opens nothing', () => {
  const [right] = newRing()
  const material = newMaterial()
  const { token } = new Keyring([right]).namespace(material).newContentKey(slot).wrapped
  const impostor = new Keyring([{ keyId: right.keyId, bytes: randomBytes(32) }])
  expect(failureOf(() => impostor.namespace(material).openContentKey(slot, token))).toBe(
    'authentication',
  )
})

describe('rotation', () => {
  test('a new root key first in the ring takes over by rewrapping; content is untouched', () => {
    const [older, newer] = [randomBytes(32), randomBytes(32)]
    const material = newMaterial()
    const place = { namespace: 7n, id: slot.id, version: 1, column: 'content' }
    const before = new Keyring(newRing(older)).namespace(material)
    const { key, wrapped } = before.newContentKey(slot)
    const content = seal(key, place, Buffer.from('stays'))

    const both = new Keyring(newRing(newer, older)).namespace(material)
    const rewrapped = both.rewrap(slot, wrapped.token)
    expect(rewrapped?.keyId).toBe(rootKeyId(newer))

    const after = new Keyring(newRing(newer)).namespace(material)
    const token = rewrapped?.token ?? Buffer.alloc(0)
    expect(open(after.openContentKey(slot, token), place, content).toString()).toBe('stays')
    expect(failureOf(() => after.openContentKey(slot, wrapped.token))).toBe('key')
  })

  test('a key that is wrapped as it should be is left alone', () => {
    const keys = new Keyring(newRing()).namespace(newMaterial())
    expect(keys.rewrap(slot, keys.newContentKey(slot).wrapped.token)).toBeUndefined()
  })

  test('the index key survives rotation, so nothing is reindexed', () => {
    const [older, newer] = [randomBytes(32), randomBytes(32)]
    const material = newMaterial()
    const key = randomBytes(32)
    const wrapped = new Keyring(newRing(older)).namespace(material).wrapIndexKey(field, key)
    const both = new Keyring(newRing(newer, older)).namespace(material)
    const token = both.rewrap(indexKeySlot(field), wrapped.token)?.token ?? Buffer.alloc(0)
    const after = new Keyring(newRing(newer)).namespace(material)
    expect(after.openIndexKey(field, token)).toEqual(key)
  })

  test('after the old epoch secret is gone, only rewrapped keys open', () => {
    const keyring = new Keyring(newRing())
    const material = newMaterial()
    const [first] = material.epochs
    const keys = keyring.namespace(material)
    const kept = keys.newContentKey(slot).wrapped
    const forgotten = keys.newContentKey(slot).wrapped

    const second = newEpoch(2)
    const during = keyring.namespace({ ...material, epochs: [second, first] })
    const rewrapped = during.rewrap(slot, kept.token)
    expect(rewrapped?.epoch).toBe(2)
    expect(failureOf(() => during.openContentKey(slot, forgotten.token))).toBe('accepted')

    const after = keyring.namespace({ ...material, epochs: [second] })
    const token = rewrapped?.token ?? Buffer.alloc(0)
    expect(failureOf(() => after.openContentKey(slot, token))).toBe('accepted')
    expect(failureOf(() => after.openContentKey(slot, kept.token))).toBe('authentication')
    expect(failureOf(() => after.openContentKey(slot, forgotten.token))).toBe('authentication')
  })
})

test('every use has a key of its own, even from one secret', () => {
  const root = randomBytes(32)
  const keyring = new Keyring(newRing(root))
  const keys = keyring.namespace(newMaterial())
  const other = keyring.namespace(newMaterial(8n))
  const all = [
    ...(['connector', 'webhook'] as const).flatMap((purpose) => [
      keys.recordKey(purpose, 'a').bytes,
      keys.recordKey(purpose, 'b').bytes,
      other.recordKey(purpose, 'a').bytes,
    ]),
    ...(['context', 'cursor', 'confirmation', 'password', 'token', 'totp'] as const).map(
      (purpose) => deriveKey(root, keyInfo.installation(purpose), 32),
    ),
  ]
  expect(new Set(all.map((key) => key.toString('hex'))).size).toBe(12)
  expect(all.every((key) => key.length === 32)).toBe(true)
})

describe('the key-check value', () => {
  test('recognises the root key, also when a newer one writes', () => {
    const root = randomBytes(32)
    const check = new Keyring(newRing(root)).createKeyCheck()
    expect(() => new Keyring(newRing(root)).verifyKeyCheck(check)).not.toThrow()
    expect(() => new Keyring(newRing(randomBytes(32), root)).verifyKeyCheck(check)).not.toThrow()
  })

  test('refuses a wrong root key and a damaged value with what to do about it', () => {
    const check = new Keyring(newRing()).createKeyCheck()
    const damaged = Buffer.from(check)
    damaged[40] = (damaged[40] ?? 0) ^ 1
    const keyring = new Keyring(newRing())
    const own = keyring.createKeyCheck()
    own[own.length - 1] = (own[own.length - 1] ?? 0) ^ 1
    for (const value of [check, damaged, own, Buffer.alloc(0), Buffer.from('plain')]) {
      try {
        keyring.verifyKeyCheck(value)
        expect.unreachable()
      } catch (error) {
        expect(error).toMatchObject({ code: 'misconfigured' })
        expect(String(error)).toContain('root key')
      }
    }
  })
})

describe('the cache of derived keys', () => {
  test('is bounded and overwrites what it drops', () => {
    const cache = new SecretCache(2)
    const made = Array.from({ length: 3 }, (_, index) =>
      cache.get(`${index}`, 'key', Buffer.from('salt'), () => Buffer.alloc(32, index + 1)),
    )
    expect(cache.size).toBe(2)
    expect(made[0]).toEqual(Buffer.alloc(32))
    expect(made[2]).toEqual(Buffer.alloc(32, 3))
  })

  test('keeps what was used last', () => {
    const cache = new SecretCache(2)
    const get = (group: string) =>
      cache.get(group, 'key', Buffer.from('salt'), () => Buffer.alloc(32, 9))
    const first = get('a')
    get('b')
    get('a')
    get('c')
    expect(first[0]).toBe(9)
  })

  test('never answers for another salt or epoch secret', () => {
    const cache = new SecretCache(8)
    const get = (source: string, value: number) =>
      Buffer.from(cache.get('7', 'wrap', Buffer.from(source), () => Buffer.alloc(32, value)))
    expect(get('one', 1)[0]).toBe(1)
    expect(get('two', 2)[0]).toBe(2)
    expect(get('two', 3)[0]).toBe(2)
  })

  test('a thousand namespaces through a cache of two all read their own keys', () => {
    const keyring = new Keyring(newRing(), { cachedKeysMax: 2 })
    const stored = Array.from({ length: 1000 }, (_, index) => {
      const material = newMaterial(BigInt(index))
      const key = randomBytes(32)
      return { material, key, ...keyring.namespace(material).wrapIndexKey(field, key) }
    })
    for (const { material, key, token } of stored) {
      expect(keyring.namespace(material).openIndexKey(field, token)).toEqual(key)
    }
  })

  test('forgetting a namespace overwrites its keys and leaves the others', () => {
    const cache = new SecretCache(8)
    const get = (group: string) =>
      cache.get(group, 'key', Buffer.from('salt'), () => Buffer.alloc(32, 5))
    const [one, two] = [get('1'), get('2')]
    cache.evictGroup('1')
    expect(one).toEqual(Buffer.alloc(32))
    expect(two).toEqual(Buffer.alloc(32, 5))
  })

  test('a closed keyring derives nothing more', () => {
    const keyring = new Keyring(newRing())
    const material = newMaterial()
    keyring.namespace(material).newContentKey(slot)
    keyring.close()
    expect(() => keyring.namespace(material).newContentKey(slot)).toThrow('closed')
    expect(() => keyring.createKeyCheck()).toThrow('closed')
  })
})

test('key material of the wrong size is refused at once', () => {
  const keyring = new Keyring(newRing())
  const material = newMaterial()
  expect(() => keyring.namespace({ ...material, salt: Buffer.alloc(16, 1) })).toThrow('salt')
  for (const secret of [Buffer.alloc(32), Buffer.alloc(31, 1)]) {
    expect(() => keyring.namespace({ ...material, epochs: [{ epoch: 1, secret }] })).toThrow(
      'epoch secret',
    )
  }
})
