/** Sessions of one's own: listed, ended one by one and everywhere; and keys that the operator replaces. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { createApp } from '../../src/app.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { testEngine } from '../support/database.ts'
import { until } from '../support/until.ts'

// Each step hashes a password, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 120_000 })

const password = 'correct horse battery'

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp()
}, 120_000)
afterAll(() => running.close())

const statusOf = async (token: string) => (await running.get('', { token })).status
const listed = z.object({
  sessions: z.array(
    z.object({
      id: z.uuid(),
      created_at: z.iso.datetime(),
      expires_at: z.iso.datetime(),
      current: z.boolean(),
    }),
  ),
})
const sessionsOf = async (token: string) =>
  listed.parse(await (await running.get('/sessions', { token })).json()).sessions
const logOut = async (token: string, body: object) => {
  const answer = await running.post('/log-out', body, { token })
  return [answer.status, answer.headers.has('set-cookie')] as const
}

describe('sessions', () => {
  test('are listed, the newest first, and one is ended from another', async () => {
    const email = 'two-devices@example.org'
    await running.signUp(email, password)
    const [old, mine] = [await running.logIn(email, password), await running.logIn(email, password)]
    const sessions = await sessionsOf(mine)
    expect(sessions.map(({ current }) => current)).toEqual([true, false])
    expect(await logOut(mine, { session: sessions[1]?.id })).toEqual([204, false])
    expect([await statusOf(old), await statusOf(mine)]).toEqual([401, 200])
    expect(await sessionsOf(mine)).toHaveLength(1)
  })

  test('all end at once, the own one as well, and nobody else’s', async () => {
    const [email, other] = ['everywhere@example.org', 'untouched@example.org']
    await running.signUp(email, password)
    await running.signUp(other, password)
    const tokens = [await running.logIn(email, password), await running.logIn(email, password)]
    const theirs = await running.logIn(other, password)
    const [session] = await sessionsOf(theirs)
    expect(await logOut(tokens[0] ?? '', { session: session?.id })).toEqual([204, false])
    expect(await logOut(tokens[0] ?? '', { everywhere: true })).toEqual([204, true])
    expect(await Promise.all([...tokens, theirs].map(statusOf))).toEqual([401, 401, 200])
  })
})

test('a changed password is told by letter, a first one is not', async () => {
  const email = 'told@example.org'
  await running.signUp(email, password)
  const isTold = () =>
    running.letters(email).filter((text) => text.includes('password of your account was changed'))
  const token = await running.logIn(email, password)
  const body = { password, new_password: 'a better one' }
  expect((await running.post('/password/change', body, { token })).status).toBe(200)
  await until(() => isTold().length === 1, { timeoutMs: 15_000 })
  await running.post('/reset', { email })
  await running.post('/password', { code: await running.code(email), password })
  await until(() => isTold().length === 2, { timeoutMs: 15_000 })
})

test.runIf(testEngine === 'postgres')(
  'a higher generation of keys ends every token of before, and nothing else of the accounts',
  async () => {
    const email = 'rotated@example.org'
    await running.signUp(email, password)
    const token = await running.logIn(email, password)
    const config = { ...running.app.config, databasePoolMax: 2, signingKeyGeneration: 1 }
    const next = await createApp(config)
    try {
      const idsOf = async (app: typeof next) =>
        (await app.accounts?.signingKeys.known())?.map(({ id }) => id) ?? []
      const [before, after] = [await idsOf(running.app), await idsOf(next)]
      expect(new Set([...before, ...after]).size).toBe(6)
      expect(await next.accounts?.accounts.session(token)).toBeUndefined()
      const renewed = await next.accounts?.accounts.logIn({ email, password }, '203.0.113.1')
      expect(await next.accounts?.accounts.session(renewed ?? '')).toBeDefined()
    } finally {
      await next.close()
    }
  },
)
