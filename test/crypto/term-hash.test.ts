/** Keyed term hashes and blind indexes: stable values, separation by key and label, cost. */
import { createHmac, randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { blindIndex, blindIndexBytes, hashTerm, hashTerms } from '../../src/crypto/term-hash.ts'

const key = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex')

test('a term hash is the value that Python hmac computes', () => {
  // int.from_bytes(hmac.new(bytes(range(32)), ('term|'+t).encode(), 'sha256').digest()[:8], 'big', signed=True)
  expect(hashTerm(key, 'paris')).toBe(-5314223477151615880n)
  expect(hashTerm(key, 'кофе')).toBe(2825131387770286815n)
  expect(hashTerm(key, '')).toBe(3305393390391166189n)
})

test('a blind index is the value that Python hmac computes', () => {
  // hmac.new(bytes(range(32)), b'blind|speaker|Ada', 'sha256').hexdigest()[:32]
  expect(blindIndex(key, 'speaker', 'Ada').toString('hex')).toBe('6754772d75423cee46ce3c1b8c7bdf67')
})

test('every term hash fits a signed 64-bit column', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.string(), (anyKey, term) => {
      const hash = hashTerm(anyKey, term)
      expect(BigInt.asIntN(64, hash)).toBe(hash)
    }),
  )
})

test('a batch gives the same hashes as single calls, in order', () => {
  const terms = ['one', 'two', 'one', '三', 'naïve', 'one|two']
  expect(hashTerms(key, terms)).toEqual(terms.map((term) => hashTerm(key, term)))
})

test('two namespaces share no hash of the same words', () => {
  const terms = Array.from({ length: 500 }, (_, index) => `word${index}`)
  const mine = new Set(hashTerms(randomBytes(32), terms))
  expect(hashTerms(randomBytes(32), terms).filter((hash) => mine.has(hash))).toEqual([])
})

test('the same value under two labels, or as a term, gives unrelated indexes', () => {
  const labels = ['speaker', 'session', 'tag', 'entity', 'dedupe']
  const indexes = labels.map((label) => blindIndex(key, label, 'Ada'))
  const asTerm = createHmac('sha256', key).update('term|Ada').digest().subarray(0, blindIndexBytes)
  const all = [...indexes, asTerm].map((index) => index.toString('hex'))
  expect(new Set(all).size).toBe(labels.length + 1)
})

test('a label that could imitate another domain is refused', () => {
  for (const label of ['', 'tag|x', 'Tag', 'a b', '1tag', 'x'.repeat(33)]) {
    expect(() => blindIndex(key, label, 'v')).toThrow('label')
  }
})

test('a blind index of a string equals that of its UTF-8 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      expect(blindIndex(key, 'tag', value)).toEqual(blindIndex(key, 'tag', Buffer.from(value)))
    }),
  )
})

test('a key of another length is refused', () => {
  for (const length of [0, 16, 31, 33, 64]) {
    expect(() => hashTerm(Buffer.alloc(length), 'x')).toThrow('32 bytes')
    expect(() => blindIndex(Buffer.alloc(length), 'tag', 'x')).toThrow('32 bytes')
  }
})

test('a thousand terms cost about as much as a thousand bare HMACs', () => {
  const terms = Array.from({ length: 1000 }, (_, index) => `term${index}`)
  const bare = () => terms.map((term) => createHmac('sha256', key).update(term).digest())
  const best = (work: () => unknown): number => {
    const times = Array.from({ length: 15 }, () => {
      const start = performance.now()
      work()
      return performance.now() - start
    })
    return Math.min(...times)
  }
  // A ratio, since the machine is shared; the figure in milliseconds is printed by bench/crypto.ts.
  expect(best(() => hashTerms(key, terms)) / best(bare)).toBeLessThan(2)
})
