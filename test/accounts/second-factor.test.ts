/** The second factor over HTTP: never guessed, never the same again, and recovered by who lost it. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { totpCode } from '../../src/accounts/totp.ts'
import { fromBase32, startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { until } from '../support/until.ts'

// Each step hashes a password, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 120_000 })

const password = 'correct horse battery'

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp()
}, 120_000)
afterAll(() => running.close())

const begun = z.object({ secret: z.string(), url: z.string() })
const confirmed = z.object({ recovery_codes: z.array(z.string()) })
async function begin(token: string): Promise<string> {
  const answer = await running.post('/second-factor', { password }, { token })
  return begun.parse(await answer.json()).secret
}
const codeOf = (secret: string, around: number) =>
  totpCode(fromBase32(secret), Math.floor(Date.now() / 30_000) + around)

/** Somebody who is logged in and asked for codes from now on. */
async function guarded(email: string) {
  await running.signUp(email, password)
  const token = await running.logIn(email, password)
  const secret = await begin(token)
  const code = codeOf(secret, -1)
  const answer = await running.post('/second-factor/confirm', { code }, { token })
  return { token, secret, codes: confirmed.parse(await answer.json()).recovery_codes }
}
const logIn = async (email: string, code?: string, from?: string) => {
  const body = { email, password, ...(code !== undefined && { code }) }
  return await running.post('/log-in', body, from === undefined ? {} : { from })
}
const remove = async (token: string, code: string) =>
  (await running.post('/second-factor/remove', { password, code }, { token })).status
const changed = (email: string, what: string) =>
  until(() => running.letters(email).some((text) => text.includes(what)), { timeoutMs: 15_000 })

describe('a code', () => {
  test('is asked for in a second step that counts as no wrong attempt', async () => {
    const email = 'two-steps@example.org'
    await guarded(email)
    for (let step = 0; step < 8; step++) {
      const answer = await logIn(email)
      expect(answer.status).toBe(401)
      expect(await answer.json()).toMatchObject({ details: { second_factor: 'required' } })
    }
  })

  test(
    'cannot be guessed by who has the password and a session',
    { timeout: 120_000 },
    async () => {
      const { token } = await guarded('guessed-codes@example.org')
      const statuses: number[] = []
      while (statuses.length < 50 && statuses.at(-1) !== 429) {
        statuses.push(await remove(token, '000000'))
      }
      expect(statuses.at(-1)).toBe(429)
      expect(statuses.slice(0, 6)).toEqual([401, 401, 401, 401, 401, 401])
    },
  )

  test('nor by who has the password and comes from another place each time', async () => {
    const email = 'many-places@example.org'
    await guarded(email)
    const statuses: number[] = []
    while (statuses.length < 50 && statuses.at(-1) !== 429) {
      const answer = await logIn(email, '000000', `198.51.100.${statuses.length}`)
      statuses.push(answer.status)
    }
    expect(statuses.at(-1)).toBe(429)
    expect(statuses.length).toBeGreaterThan(10)
  })

  test('is of another secret each time that one is set up', async () => {
    const email = 'again@example.org'
    const { token, secret, codes } = await guarded(email)
    expect(await remove(token, codes[0] ?? '')).toBe(204)
    const next = await begin(token)
    expect(next).not.toBe(secret)
    expect(await begin(token)).toBe(next)
  })
})

describe('a recovery code', () => {
  test('stands for a code once, however it is typed, and its use is told by letter', async () => {
    const email = 'lost-phone@example.org'
    const { codes } = await guarded(email)
    expect(codes).toHaveLength(10)
    expect(new Set(codes).size).toBe(10)
    const [first = '', second = ''] = codes
    expect(first).toMatch(/^[A-Z2-7]{5}-[A-Z2-7]{5}$/u)
    expect((await logIn(email, first)).status).toBe(200)
    expect((await logIn(email, first)).status).toBe(401)
    await changed(email, 'A recovery code was used')
    const token = await running.logIn(email, password, {
      code: ` ${second.toLowerCase().replace('-', ' ')}`,
    })
    const described = await running.get('', { token })
    expect(await described.json()).toMatchObject({ second_factor: true, recovery_codes: 8 })
  })

  test('of somebody else, or of a factor of before, is none', async () => {
    const [mine, other] = [await guarded('mine@example.org'), await guarded('other@example.org')]
    expect((await logIn('mine@example.org', other.codes[0])).status).toBe(401)
    expect(await remove(mine.token, codeOf(mine.secret, 0))).toBe(204)
    const secret = await begin(mine.token)
    const code = codeOf(secret, 1)
    const answer = await running.post('/second-factor/confirm', { code }, { token: mine.token })
    expect(answer.status).toBe(200)
    expect((await logIn('mine@example.org', mine.codes[0])).status).toBe(401)
  })
})

test('the owner of the mailbox is told of a factor that was set up and taken away', async () => {
  const email = 'told@example.org'
  const { token, codes } = await guarded(email)
  await changed(email, 'A second factor was set up')
  expect(await remove(token, codes[0] ?? '')).toBe(204)
  await changed(email, 'was taken away')
})

describe('the operator', () => {
  test('takes the factor of who lost it away', async () => {
    const email = 'locked-out@example.org'
    await guarded(email)
    await running.app.accounts?.accounts.recover(email)
    expect((await logIn(email)).status).toBe(200)
    await changed(email, 'by who runs this server')
  })

  test('is told of an account that has none, or that is not there', async () => {
    await running.signUp('plain@example.org', password)
    for (const email of ['plain@example.org', 'nobody@example.org']) {
      const recovered = running.app.accounts?.accounts.recover(email)
      await expect(recovered).rejects.toMatchObject({ code: 'not_found' })
    }
  })
})
