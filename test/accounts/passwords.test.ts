/** Passwords and second factors by themselves: nothing is cut, nothing fast, and the vectors of the RFC. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createPasswords, loadBcrypt, type Bcrypt } from '../../src/accounts/passwords.ts'
import { base32, totpCode, totpSecret, totpStep } from '../../src/accounts/totp.ts'

const pepper = createHash('sha256').update('pepper').digest()

async function native(): Promise<Bcrypt> {
  const bcrypt = await loadBcrypt()
  if (bcrypt === undefined) throw new Error('the native module does not load here')
  return bcrypt
}

describe.each([
  ['bcrypt', native],
  ['scrypt, where bcrypt does not load', () => Promise.resolve(undefined)],
] as const)('%s', (_, load) => {
  test('no byte of a password is left out, and a NUL ends nothing', async () => {
    const passwords = createPasswords(pepper, await load())
    const long = 'A'.repeat(72)
    for (const [right, wrong] of [
      [`${long}1`, `${long}2`],
      ['with\u0000nul', 'with\u0000other'],
    ] as const) {
      const hash = await passwords.hash(right)
      expect(await passwords.verify(right, hash)).toBe(true)
      expect(await passwords.verify(wrong, hash)).toBe(false)
    }
  })

  test('the same letters are the same password, however the keyboard wrote them', async () => {
    const passwords = createPasswords(pepper, await load())
    const hash = await passwords.hash('caf\u00e9 au lait')
    expect(await passwords.verify('cafe\u0301 au lait', hash)).toBe(true)
  })

  test('nobody has no password, not even an empty one', async () => {
    const passwords = createPasswords(pepper, await load())
    expect(await passwords.verify('', undefined)).toBe(false)
    for (const hash of ['', 'x', '$mg-scrypt$AAAA$']) {
      expect(await passwords.verify('', hash)).toBe(false)
    }
  })
})

test('a hash is worth nothing without the secret of the installation', async () => {
  const hash = await createPasswords(pepper, await native()).hash('correct horse')
  const other = createPasswords(Buffer.alloc(32), await native())
  expect(await other.verify('correct horse', hash)).toBe(false)
})

test('bcrypt is made with cost 12, and weaker or other hashes are made anew at the next log in', async () => {
  const bcrypt = await native()
  const passwords = createPasswords(pepper, bcrypt)
  const hash = await passwords.hash('correct horse')
  expect(hash).toMatch(/^\$mg-bcrypt\$\$2b\$12\$/u)
  expect(passwords.isOutdated(hash)).toBe(false)
  expect(passwords.isOutdated(hash.replace('$12$', '$10$'))).toBe(true)
  const scrypt = await createPasswords(pepper, undefined).hash('correct horse')
  expect(passwords.isOutdated(scrypt)).toBe(true)
  expect(await passwords.verify('correct horse', scrypt)).toBe(true)
})

test('where bcrypt does not load, its hashes are as wrong a password as any, and that is told once', async () => {
  const hash = await createPasswords(pepper, await native()).hash('correct horse')
  let told = 0
  const without = createPasswords(pepper, undefined, () => void told++)
  const timed = async (of: string | undefined) => {
    const started = performance.now()
    expect(await without.verify('correct horse', of)).toBe(false)
    return performance.now() - started
  }
  await timed(undefined)
  expect(told).toBe(0)
  const [known, unknown] = [
    Math.min(await timed(hash), await timed(hash)),
    Math.min(await timed(undefined), await timed(undefined)),
  ]
  // Hundreds of milliseconds of scrypt are in both, or this is a factor of a thousand.
  expect(known).toBeGreaterThan(0.01 * unknown)
  expect(told).toBe(1)
})

test('at most two are hashed at once, and a crowd is sent away instead of piling up', async () => {
  let running = 0
  let most = 0
  const slow: Bcrypt = {
    hash: async () => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      return 'x'
    },
    compare: () => Promise.resolve(false),
  }
  const passwords = createPasswords(pepper, slow)
  const all = await Promise.allSettled(Array.from({ length: 50 }, () => passwords.hash('x')))
  expect(most).toBe(2)
  expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(34)
  const refused = all.find((each) => each.status === 'rejected')
  expect(refused?.reason).toMatchObject({ code: 'unavailable', retryAfterSeconds: 2 })
  await expect(passwords.hash('x')).resolves.toBe('$mg-bcrypt$x')
})

describe('codes of an authenticator', () => {
  /** RFC 6238 appendix B, SHA-1; its eight digits end in our six. */
  test.each([
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
    [20_000_000_000, '353130'],
  ])('at second %d: %s, as the RFC says', (seconds, expected) => {
    const secret = Buffer.from('12345678901234567890')
    expect(totpCode(secret, Math.floor(seconds / 30))).toBe(expected)
    expect(totpStep(secret, expected, seconds * 1000)).toBe(Math.floor(seconds / 30))
  })

  test('a code holds for one step around its own and no longer', () => {
    const secret = totpSecret(pepper, 'account', 1)
    const code = totpCode(secret, 1000)
    const at = (step: number) => totpStep(secret, code, step * 30_000)
    expect([998, 999, 1000, 1001, 1002].map(at)).toEqual([undefined, 1000, 1000, 1000, undefined])
    for (const wrong of ['', '12345', `${code}0`, ` ${code}`]) {
      expect(totpStep(secret, wrong, 30_000_000)).toBeUndefined()
    }
  })

  test('secrets differ by account and by generation, and are written as RFC 4648 does', () => {
    const secrets = [
      totpSecret(pepper, 'a', 1),
      totpSecret(pepper, 'a', 2),
      totpSecret(pepper, 'b', 1),
      totpSecret(Buffer.alloc(32), 'a', 1),
    ].map((secret) => base32(secret))
    expect(new Set(secrets).size).toBe(4)
    expect(secrets[0]).toMatch(/^[A-Z2-7]{32}$/u)
    expect(base32(Buffer.from('foobar'))).toBe('MZXW6YTBOI')
  })
})
