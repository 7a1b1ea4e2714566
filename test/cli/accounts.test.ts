/** `mindglue accounts` as a person runs it, beside a server with accounts. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { totpCode } from '../../src/accounts/totp.ts'
import { fromBase32 } from '../support/accounts.ts'
import { testEngine } from '../support/database.ts'
import { serveAccounts, type ServedAccounts } from '../support/serve-accounts.ts'
import { until } from '../support/until.ts'

// Each run of a command starts a whole process, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

const [email, password] = ['ada@example.org', 'correct horse battery']

let running: ServedAccounts
beforeAll(async () => {
  running = await serveAccounts('open')
})
afterAll(() => running.close())

describe(testEngine === 'embedded' ? 'through the daemon' : 'in a process of its own', () => {
  test('a second factor that was lost is taken away, once, told by letter and logged', async () => {
    const { mindglue, post, server } = running
    await post('/sign-up', { email })
    const code = await until(() => /^[\w-]{27}$/mu.exec(server.stderr())?.[0], {
      timeoutMs: 15_000,
    })
    await post('/password', { code, password })
    const loggedIn = z.object({ access_token: z.string() })
    const { access_token: token } = loggedIn.parse(
      await (await post('/log-in', { email, password })).json(),
    )
    const begun = z.object({ secret: z.string() })
    const { secret } = begun.parse(await (await post('/second-factor', { password }, token)).json())
    const first = totpCode(fromBase32(secret), Math.floor(Date.now() / 30_000))
    expect((await post('/second-factor/confirm', { code: first }, token)).status).toBe(200)
    expect((await post('/log-in', { email, password })).status).toBe(401)

    const done = await mindglue('accounts', 'recover', 'Ada@Example.org')
    expect(done.code).toBe(0)
    expect(done.stdout).toContain('logs in with the password alone')
    expect((await post('/log-in', { email, password })).status).toBe(200)
    // Where there is no program for letters they are printed by whoever sends them.
    await until(() => `${server.stderr()}${done.stderr}`.includes('by who runs this server'))
    const shown = await mindglue('audit', '--action', 'account.recover', '--json')
    expect(JSON.parse(shown.stdout)).toMatchObject([{ action: 'account.recover', outcome: 'ok' }])

    const again = await mindglue('accounts', 'recover', email)
    expect(again.code).not.toBe(0)
    expect(again.stderr).toContain('There is no account of this address with a second factor.')
  })
})
