/** Sealed files: round trips over chunk borders, every kind of damage, an independent opening by hand. */
import { createHash, randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import nacl from 'tweetnacl'
import { describe, expect, test } from 'vitest'
import {
  chunkBytes,
  formatPublicKey,
  formatSecretKey,
  generateKeyPair,
  openSealed,
  parsePublicKey,
  parseSecretKey,
  sealedHeaderBytes,
  sealTo,
  type ByteSource,
} from '../../src/crypto/sealed-box.ts'
import { AppError } from '../../src/errors.ts'

const recipient = generateKeyPair()
const boxedBytes = chunkBytes + 16

async function collect(source: ByteSource): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

const seal = (plain: Uint8Array): Promise<Buffer> => collect(sealTo(recipient.publicKey, [plain]))
const open = (sealed: Uint8Array): Promise<Buffer> =>
  collect(openSealed(recipient.secretKey, [sealed]))

async function outcome(sealed: Uint8Array): Promise<string> {
  try {
    await open(sealed)
    return 'accepted'
  } catch (error) {
    return error instanceof AppError ? error.code : 'untyped'
  }
}

function* inParts(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

describe('round trips', () => {
  const lengths = [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes, 200_000]

  test.each(lengths)('%i bytes come back, however the stream is cut', async (length) => {
    const plain = randomBytes(length)
    const sealed = await seal(plain)
    const chunks = Math.max(1, Math.ceil(length / chunkBytes))
    expect(sealed.length).toBe(sealedHeaderBytes + length + 16 * chunks)
    for (const size of [997, chunkBytes, 1_000_000]) {
      const parts = inParts(sealed, size)
      expect((await collect(openSealed(recipient.secretKey, parts))).equals(plain)).toBe(true)
    }
  })

  test('any cut of the input gives the same plaintext', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 400 }),
        async (parts, size) => {
          const sealed = await collect(sealTo(recipient.publicKey, parts))
          const opened = await collect(openSealed(recipient.secretKey, inParts(sealed, size)))
          expect(opened.equals(Buffer.concat(parts))).toBe(true)
        },
      ),
    )
  })

  test('a long stream is opened as it arrives, holding little of it', async () => {
    let produced = 0
    function* source(): Generator<Buffer> {
      for (let part = 0; part < 80; part += 1) {
        produced += chunkBytes
        yield Buffer.alloc(chunkBytes, part)
      }
    }
    let opened = 0
    let furthestAhead = 0
    for await (const part of openSealed(
      recipient.secretKey,
      sealTo(recipient.publicKey, source()),
    )) {
      opened += part.length
      furthestAhead = Math.max(furthestAhead, produced - opened)
    }
    expect(opened).toBe(80 * chunkBytes)
    expect(furthestAhead).toBeLessThanOrEqual(3 * chunkBytes)
  })
})

describe('damage', () => {
  const plain = randomBytes(2 * chunkBytes + 500)

  test('a cut file is refused wherever it is cut, also between chunks', async () => {
    const sealed = await seal(plain)
    const ends = [0, 5, 10, sealedHeaderBytes - 1, sealedHeaderBytes, sealedHeaderBytes + 15]
    ends.push(sealedHeaderBytes + boxedBytes, sealedHeaderBytes + 2 * boxedBytes, sealed.length - 1)
    for (const end of ends) expect(await outcome(sealed.subarray(0, end))).toBe('invalid_input')
  })

  test('reordered, repeated, dropped and foreign chunks are refused', async () => {
    const sealed = await seal(plain)
    const other = await seal(plain)
    const header = sealed.subarray(0, sealedHeaderBytes)
    const chunk = (from: Buffer, index: number) =>
      from.subarray(sealedHeaderBytes + index * boxedBytes).subarray(0, boxedBytes)
    const [one, two, last] = [chunk(sealed, 0), chunk(sealed, 1), chunk(sealed, 2)]
    const mixtures = [
      [two, one, last],
      [one, one, last],
      [one, last],
      [one, two],
      [one, two, two],
      [one, chunk(other, 1), last],
      [one, two, last, Buffer.of(0)],
      [one, two, last, last],
    ]
    expect(await outcome(Buffer.concat([header, one, two, last]))).toBe('accepted')
    for (const parts of mixtures) {
      expect(await outcome(Buffer.concat([header, ...parts]))).toBe('invalid_input')
    }
  })

  test('a changed bit in any byte of a small file is refused', async () => {
    const sealed = await seal(Buffer.from('hello'))
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at & 7))
      expect(['invalid_input', 'unsupported']).toContain(await outcome(changed))
    }
    // X25519 ignores this bit of a public key; the nonce prefix does not.
    const spelled = Buffer.from(sealed)
    spelled[sealedHeaderBytes - 1] = (spelled[sealedHeaderBytes - 1] ?? 0) ^ 0x80
    expect(await outcome(spelled)).toBe('invalid_input')
  })

  test('another key opens nothing, and the error is the same as for damage', async () => {
    const sealed = await seal(plain)
    const stranger = generateKeyPair()
    await expect(collect(openSealed(stranger.secretKey, [sealed]))).rejects.toThrow('another key')
  })

  test('a later format is named as such', async () => {
    const sealed = await seal(plain)
    sealed[9] = 2
    expect(await outcome(sealed)).toBe('unsupported')
  })

  test('a public key of small order is refused instead of sealing to everyone', async () => {
    for (const start of [0, 1]) {
      const weak = new Uint8Array(32)
      weak[0] = start
      await expect(collect(sealTo(weak, [plain]))).rejects.toThrow('not usable')
    }
  })
})

test('the documented layout opens with nothing but NaCl and SHA-256', async () => {
  const sealed = await seal(Buffer.from('by hand'))
  const header = sealed.subarray(0, 42)
  expect(header.subarray(0, 9).toString('latin1')).toBe('mindglue\xb1')
  expect(header[9]).toBe(1)
  const prefix = createHash('sha256')
    .update('mindglue/sealed-file/v1')
    .update(header)
    .update(recipient.publicKey)
    .digest()
    .subarray(0, 19)
  const nonce = Buffer.concat([prefix, Buffer.of(0, 0, 0, 0, 1)])
  const opened = nacl.box.open(sealed.subarray(42), nonce, header.subarray(10), recipient.secretKey)
  expect(Buffer.from(opened ?? []).toString()).toBe('by hand')
})

describe('text forms of keys', () => {
  test('come back as the same keys', () => {
    expect(parsePublicKey(formatPublicKey(recipient.publicKey))).toEqual(
      Buffer.from(recipient.publicKey),
    )
    expect(parseSecretKey(formatSecretKey(recipient.secretKey))).toEqual(
      Buffer.from(recipient.secretKey),
    )
  })

  test('a secret key is never taken for a public one, nor anything else for a key', () => {
    expect(() => parsePublicKey(formatSecretKey(recipient.secretKey))).toThrow('secret key')
    const good = formatPublicKey(recipient.publicKey)
    for (const text of ['', good.slice(0, -1), `${good}A`, good.slice(3), `${good}=`]) {
      expect(() => parsePublicKey(text)).toThrow('mindglue-public-')
    }
  })
})
