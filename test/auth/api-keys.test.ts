/** The text of a key: what scanners find, what typing errors do, what is stored of it. */
import { randomInt } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { describe, expect, test } from 'vitest'
import {
  createApiKey,
  hashApiKey,
  idOfApiKey,
  publicPart,
  readApiKey,
} from '../../src/auth/api-keys.ts'
import { createRedactor } from '../../src/telemetry/redact.ts'

/** As SECURITY.md gives it to secret scanners. */
const scannerPattern = /\bmgk_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}\b/gu
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

test('a scanner finds a key in any text, with few false alarms', () => {
  const key = createApiKey(uuidv7())
  const text = `curl -H "Authorization: Bearer ${key}" https://memory.example/mcp # mgk_notakey`
  expect(text.match(scannerPattern)).toEqual([key])
})

test('a key leads back to its record, and its public part holds nothing of its secret', () => {
  for (const id of [uuidv7(), '00000000-0000-0000-0000-000000000000', 'f'.repeat(32)]) {
    const uuid = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/u, '$1-$2-$3-$4-$5')
    const key = createApiKey(uuid)
    expect(readApiKey(key)).toBe(uuid)
    expect(idOfApiKey(key)).toBe(uuid)
    expect(idOfApiKey(publicPart(uuid))).toBe(uuid)
    expect(key.startsWith(`${publicPart(uuid)}_`)).toBe(true)
    expect(readApiKey(publicPart(uuid))).toBeUndefined()
  }
})

test('no two keys are alike, not even of one record', () => {
  const id = uuidv7()
  const keys = new Set(Array.from({ length: 10_000 }, () => createApiKey(id)))
  expect(keys.size).toBe(10_000)
  // Each of the 43 digits varies: nothing of the 256 bits is fixed.
  for (let digit = 28; digit < 70; digit++) {
    expect(new Set([...keys].map((key) => key[digit])).size).toBe(digit === 27 ? 8 : 62)
  }
})

describe('without a look into the database', () => {
  const key = createApiKey(uuidv7())

  test('every wrong character is noticed', () => {
    for (let at = 0; at < key.length; at++) {
      for (const digit of Array.from(`${alphabet}_ é`)) {
        if (digit === key[at]) continue
        expect(readApiKey(key.slice(0, at) + digit + key.slice(at + 1))).toBeUndefined()
      }
    }
  })

  test('swapped neighbours, and what is cut off, doubled or added, are noticed', () => {
    for (let at = 0; at < key.length - 1; at++) {
      const [first = '', second = ''] = [key[at], key[at + 1]]
      const swapped = key.slice(0, at) + second + first + key.slice(at + 2)
      if (swapped !== key) expect(readApiKey(swapped)).toBeUndefined()
      expect(readApiKey(key.slice(0, at))).toBeUndefined()
      expect(readApiKey(key.slice(at + 1))).toBeUndefined()
      expect(readApiKey(key.slice(0, at) + first + key.slice(at))).toBeUndefined()
    }
    for (const more of ['0', ' ', '\n', '=', '\u0000']) {
      expect(readApiKey(key + more)).toBeUndefined()
      expect(readApiKey(more + key)).toBeUndefined()
    }
  })

  test('of random texts in the form of a key none passes', () => {
    const digits = (length: number) =>
      Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
    for (let run = 0; run < 20_000; run++) {
      expect(readApiKey(`mgk_${digits(22)}_${digits(49)}`)).toBeUndefined()
    }
  })
})

test('what is stored of a key is no key, and differs with the pepper', () => {
  const key = createApiKey(uuidv7())
  const plain = hashApiKey(key, undefined)
  const peppered = hashApiKey(key, 'pepper-one')
  expect(plain).toHaveLength(32)
  expect(hashApiKey(key, undefined)).toEqual(plain)
  expect(peppered).not.toEqual(plain)
  expect(hashApiKey(key, 'pepper-two')).not.toEqual(peppered)
})

test('a key that slips into a log line is masked', () => {
  const key = createApiKey(uuidv7())
  expect(createRedactor()(`refused ${key} from 192.0.2.1`)).not.toContain(key.slice(-20))
})
