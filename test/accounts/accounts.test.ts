/** Accounts over HTTP with real letters: made, entered, left, recovered, and told apart by nothing. */
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createAttempts } from '../../src/accounts/attempts.ts'
import { createSessionTokens, createSigningKeys } from '../../src/accounts/session-tokens.ts'
import { totpCode } from '../../src/accounts/totp.ts'
import { createApp } from '../../src/app.ts'
import { fromBase32, startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { testEngine } from '../support/database.ts'
import { callTool } from '../support/keys.ts'
import { until } from '../support/until.ts'

const password = 'correct horse battery'
const promisedMs = 5000

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp()
}, 120_000)
afterAll(() => running.close())

const statusOf = async (token: string) => (await running.get('', { token })).status
describe('an account', () => {
  test('is made with a code from the mailbox, entered with a password, and left', async () => {
    await running.signUp('ada@example.org', password)
    const token = await running.logIn('Ada@Example.org', password)
    const described = await running.get('', { token })
    expect(await described.json()).toMatchObject({
      email: 'ada@example.org',
      second_factor: false,
    })
    expect((await running.post('/log-out', {}, { token })).status).toBe(204)
    expect(await statusOf(token)).toBe(401)
  })

  test('belongs to who reads the mailbox: a code works once, and the newest one alone', async () => {
    const email = 'once@example.org'
    await running.post('/sign-up', { email })
    const first = await running.code(email)
    await running.post('/reset', { email })
    await running.post('/sign-up', { email })
    const second = await running.code(email)
    const use = async (code: string) => (await running.post('/password', { code, password })).status
    expect(await use(first)).toBe(401)
    expect(await use(second)).toBe(204)
    expect(await use(second)).toBe(401)
    expect(await use(second.slice(0, -1))).toBe(401)
  })

  test('does not exist until its code was used: nobody waits in it for the owner of the mailbox', async () => {
    const email = 'early@example.org'
    await running.post('/sign-up', { email })
    expect((await running.post('/log-in', { email, password })).status).toBe(401)
  })

  test('a mailbox gets a few letters an hour, whoever asks for them', async () => {
    const email = 'flooded@example.org'
    for (let asked = 0; asked < 8; asked++) {
      const answer = await running.post('/sign-up', { email }, { from: `203.0.113.${asked}` })
      expect(answer.status).toBe(202)
    }
    await until(() => running.letters(email).length === 4)
    await running.signUp('after@example.org', password)
    expect(running.letters(email)).toHaveLength(4)
  })

  test('keeps its password and codes out of the database', async () => {
    await running.post('/reset', { email: 'ada@example.org' })
    const code = await running.code('ada@example.org')
    await running.app.scope.withDirectory(async (sql) => {
      const rows = await sql`select account_find('ada@example.org', null)::text as row`
      expect(JSON.stringify(rows)).not.toContain(password)
      expect(JSON.stringify(rows)).toContain('$mg-bcrypt$$2b$12$')
      expect(JSON.stringify(rows)).not.toContain(code)
    })
  })
})

describe('what others learn', () => {
  test('known and unknown addresses get the same answers', async () => {
    const answers = async (email: string) => {
      const from = '198.51.100.7'
      const body = async (response: Response) => {
        const { request_id: _, ...rest } = z.looseObject({}).parse(await response.json())
        return [response.status, rest]
      }
      return [
        await body(await running.post('/sign-up', { email }, { from })),
        await body(await running.post('/reset', { email }, { from })),
        await body(await running.post('/log-in', { email, password: 'wrong password' }, { from })),
      ]
    }
    await running.signUp('known@example.org', password)
    expect(await answers('known@example.org')).toEqual(await answers('unknown@example.org'))
  })

  test('an unknown address takes the time of a wrong password', async () => {
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
    for (let pair = 0; pair < 6; pair++) {
      for (const kind of ['known', 'unknown'] as const) {
        const body = { email: `${kind}@example.org`, password: 'wrong password' }
        const started = performance.now()
        await running.post('/log-in', body, { from: `198.51.100.${20 + pair}` })
        times[kind].push(performance.now() - started)
      }
    }
    const fastest = (kind: 'known' | 'unknown') => Math.min(...times[kind])
    // A quarter of a second of hashing is in both, or this is a factor of ten.
    expect(fastest('unknown')).toBeGreaterThan(0.5 * fastest('known'))
    expect(fastest('known')).toBeGreaterThan(0.5 * fastest('unknown'))
  })
})

describe('guessing', () => {
  const attempts = () => createAttempts((work) => running.app.scope.withDirectory(work))
  const outcome = (made: Promise<unknown>) =>
    made.then(
      () => 0,
      (error: { retryAfterSeconds?: number }) => error.retryAfterSeconds ?? -1,
    )

  const slow = { timeout: 120_000 }
  test(
    'waits longer with each wrong password, and a right one has to wait as well',
    slow,
    async () => {
      await running.signUp('guessed@example.org', password, '192.0.2.1')
      const from = '192.0.2.2'
      const guess = (word: string) =>
        running.post('/log-in', { email: 'guessed@example.org', password: word }, { from })
      const statuses: number[] = []
      for (let wrong = 0; wrong < 6; wrong++) statuses.push((await guess('wrong password')).status)
      expect(statuses).toEqual([401, 401, 401, 401, 401, 401])
      // Each that comes through doubles the wait, until it is one that a busy machine does not miss.
      const isLong = async () =>
        Number((await guess('wrong password')).headers.get('retry-after')) >= 4
      await until(isLong, { timeoutMs: 100_000, intervalMs: 100 })
      const waiting = await guess(password)
      expect(waiting.status).toBe(429)
      expect(Number(waiting.headers.get('retry-after'))).toBeGreaterThan(0)
      // The owner is somewhere else.
      await running.logIn('guessed@example.org', password, { from: '192.0.2.1' })
    },
  )

  test('at once gets no further than one after the other', async () => {
    const all = Array.from({ length: 40 }, () =>
      outcome(attempts().forLogIn('crowd@example.org', '192.0.2.3', false)),
    )
    const waits = await Promise.all(all)
    expect(waits.filter((wait) => wait === 0)).toHaveLength(6)
  })

  test('from a thousand places slows guessing down, and never the owner', async () => {
    const tries = attempts()
    const email = 'besieged@example.org'
    await running.signUp(email, password, '192.0.2.10')
    await running.logIn(email, password, { from: '192.0.2.10' })
    for (let place = 0; place < 130; place++) {
      await outcome(tries.forLogIn(email, `10.0.${place}.1`, false))
    }
    const stranger = await outcome(tries.forLogIn(email, '10.1.0.1', false))
    expect(stranger).toBeGreaterThan(0)
    expect(stranger).toBeLessThanOrEqual(60)
    await running.logIn(email, password, { from: '192.0.2.10' })
    await running.post('/reset', { email }, { from: '192.0.2.10' })
    const code = await running.code(email)
    const sent = { from: '192.0.2.99' }
    expect((await running.post('/password', { code, password }, sent)).status).toBe(204)
    expect(tries.network('192.0.2.10')).toEqual(tries.network('::ffff:192.0.2.10'.slice(7)))
  })

  test('an account of one’s own does not clear the way to others', async () => {
    const tries = attempts()
    const from = '192.0.2.20'
    const waits: number[] = []
    for (let round = 0; round < 40; round++) {
      waits.push(await outcome(tries.forLogIn(`victim-${round}@example.org`, from, false)))
      if (waits.at(-1) !== 0) break
      const mine = tries.forLogIn('mine@example.org', from, true)
      await mine.then((attempt) => attempt.right()).catch(() => undefined)
    }
    expect(waits.at(-1)).toBeGreaterThan(0)
    expect(waits.length).toBeLessThan(40)
  })

  test('an IPv6 network is one place', () => {
    const tries = attempts()
    expect(tries.network('2001:db8::1')).toEqual(tries.network('2001:db8:0:0:ffff::9'))
    expect(tries.network('2001:db8::1')).not.toEqual(tries.network('2001:db8:0:1::1'))
  })
})

describe('a new password', () => {
  test('ends every session, and the token of the one that changed it goes on', async () => {
    const email = 'changing@example.org'
    await running.signUp(email, password)
    const [mine, other] = [
      await running.logIn(email, password),
      await running.logIn(email, password),
    ]
    const change = (old: string, token: string) =>
      running.post('/password/change', { password: old, new_password: 'a better one' }, { token })
    expect((await change('wrong password', mine)).status).toBe(401)
    const changed = await change(password, mine)
    const { access_token: next } = z
      .object({ access_token: z.string() })
      .parse(await changed.json())
    expect(await Promise.all([mine, other, next].map(statusOf))).toEqual([401, 401, 200])
    expect((await running.post('/log-in', { email, password })).status).toBe(401)
  })

  test('from a letter ends every session too', async () => {
    const email = 'lost@example.org'
    await running.signUp(email, password)
    const token = await running.logIn(email, password)
    await running.post('/reset', { email })
    const code = await running.code(email)
    expect((await running.post('/password', { code, password: 'another one' })).status).toBe(204)
    expect(await statusOf(token)).toBe(401)
    await running.logIn(email, 'another one')
  })

  test.runIf(testEngine === 'postgres')(
    'is known to every process within five seconds',
    async () => {
      const email = 'everywhere@example.org'
      await running.signUp(email, password)
      const token = await running.logIn(email, password)
      const other = await createApp({ ...running.app.config, databasePoolMax: 2 })
      try {
        const isKnown = async () => (await other.accounts?.accounts.session(token)) !== undefined
        expect(await isKnown()).toBe(true)
        await running.post('/log-out', {}, { token })
        await until(async () => !(await isKnown()), { timeoutMs: promisedMs })
      } finally {
        await other.close()
      }
    },
  )
})

describe('a second factor', () => {
  test('is asked for once it was confirmed, takes each code once, and can be taken away', async () => {
    const email = 'twice@example.org'
    await running.signUp(email, password)
    const token = await running.logIn(email, password)
    expect(
      (await running.post('/second-factor', { password: 'wrong word' }, { token })).status,
    ).toBe(401)
    const begun = await running.post('/second-factor', { password }, { token })
    const { secret } = z.object({ secret: z.string(), url: z.string() }).parse(await begun.json())
    const codeAt = (around: number) =>
      totpCode(fromBase32(secret), Math.floor(Date.now() / 30_000) + around)
    const confirm = (code: string) => running.post('/second-factor/confirm', { code }, { token })
    expect((await confirm('000000x')).status).toBe(401)
    const first = codeAt(-1)
    expect((await confirm(first)).status).toBe(200)
    const bare = await running.post('/log-in', { email, password })
    expect(bare.status).toBe(401)
    expect(await bare.json()).toMatchObject({ details: { second_factor: 'required' } })
    const logIn = async (code: string) =>
      (await running.post('/log-in', { email, password, code })).status
    expect(await logIn(first)).toBe(401)
    const second = codeAt(0)
    expect(await Promise.all([logIn(second), logIn(second)])).toContain(401)
    const removal = { password, code: codeAt(1) }
    expect((await running.post('/second-factor/remove', removal, { token })).status).toBe(204)
    expect(
      (await running.post('/log-in', { email, password }, { from: '192.0.2.77' })).status,
    ).toBe(200)
  })
})

describe('other pages', () => {
  test('can do nothing with the cookie of who is logged in', async () => {
    const email = 'browser@example.org'
    await running.signUp(email, password)
    const entered = await running.post('/log-in', { email, password })
    const line = entered.headers.get('set-cookie') ?? ''
    expect(line).toMatch(/^mindglue=[^;]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=86400$/u)
    const cookie = line.split(';')[0] ?? ''
    const read = await running.get('', { headers: { cookie } })
    expect(read.status).toBe(200)
    const send = async (headers: Record<string, string>) =>
      (await running.post('/log-out', {}, { headers: { cookie, ...headers } })).status
    expect(await send({})).toBe(403)
    expect(await send({ origin: 'https://evil.example' })).toBe(403)
    expect(await send({ origin: 'http://localhost:5173' })).toBe(403)
    expect(await send({ origin: running.origin, 'content-type': 'text/plain' })).toBe(400)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    expect(await send({ origin: running.origin, ...form })).toBe(400)
    expect((await running.get('', { headers: { cookie } })).status).toBe(200)
    expect(await send({ origin: running.origin })).toBe(204)
    expect((await running.get('', { headers: { cookie } })).status).toBe(401)
  })

  test('bodies that are not as they must be are refused without a word of them', async () => {
    for (const body of [
      { email: 'no address', password },
      { email: 'ada@example.org', password, secret_field: 'canary-1f3870' },
      { password: 'canary-1f3870' },
      ['canary-1f3870'],
      { email: 'a@b.example\nBcc: x@y.example', password },
    ]) {
      const answer = await running.post('/log-in', body)
      expect(answer.status).toBe(400)
      expect(await answer.text()).not.toMatch(/canary|secret_field|Bcc/u)
    }
    expect((await running.post('/nothing', {})).status).toBe(404)
    expect((await running.get('/log-in')).status).toBe(404)
  })
})

describe('tokens', () => {
  test('open the account and nothing else, and verify with the published keys', async () => {
    const email = 'tokens@example.org'
    await running.signUp(email, password)
    const token = await running.logIn(email, password)
    expect((await callTool(running, token, 'recall')).status).toBe(401)
    const published = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) })
    const keys = createLocalJWKSet(published.parse(await (await running.get('/jwks')).json()))
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer: running.origin,
      audience: `${running.origin}/account`,
      algorithms: ['EdDSA'],
      typ: 'at+jwt',
    })
    expect(protectedHeader.alg).toBe('EdDSA')
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(86_400)
    expect(await statusOf(`${token.slice(0, -4)}AAAA`)).toBe(401)
    expect(await statusOf(running.apiKey)).toBe(401)
  })

  test('keys change by themselves; tokens of the last one live on, older and foreign ones do not', async () => {
    const secret = Buffer.alloc(32, 7)
    const day = 86_400_000
    let now = 30 * day * 700 - 1000
    const clock = () => now
    const tokens = createSessionTokens('https://a.example', createSigningKeys(secret, clock), clock)
    const session = {
      id: '01890000-0000-7000-8000-000000000001',
      account: '01890000-0000-7000-8000-000000000002',
    }
    const token = await tokens.sign(session)
    const before = (await createSigningKeys(secret, clock).current()).id
    now += 2000
    expect((await createSigningKeys(secret, clock).current()).id).not.toBe(before)
    expect(await tokens.verify(token)).toEqual(session)
    now += day + 10_000
    expect(await tokens.verify(token)).toBeUndefined()
    now -= day + 10_000
    const others = [
      createSessionTokens('https://b.example', createSigningKeys(secret, clock), clock),
      createSessionTokens('https://a.example', createSigningKeys(Buffer.alloc(32), clock), clock),
    ]
    for (const other of others) {
      expect(await tokens.verify(await other.sign(session))).toBeUndefined()
    }
  })
})
