/** The official client against our own authorization server, with a person at the forms or in a real browser. */
import type { Browser as Chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { backTo, Browser, joined, password } from '../support/authorization.ts'
import { chromiumPath, launchChromium } from '../support/chromium.ts'
import type { Connection } from '../support/clients.ts'
import { callTool } from '../support/keys.ts'
import { serveLoopback } from '../support/loopback.ts'
import { oauthClient, type Person } from '../support/oauth-client.ts'
import { until } from '../support/until.ts'

const email = 'ada@example.org'
const revokedMs = 5000

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
  await joined(running, email, 'lab')
}, 120_000)
afterAll(() => running.close())

/** Ticks all that is asked for, and agrees. */
function byForms(): Person {
  const browser = new Browser()
  return async (page) => {
    const { text } = await browser.open(page)
    if (text.includes('type="password"')) await browser.logIn(email)
    const scope = (page.searchParams.get('scope') ?? '').split(' ')
    return backTo(await browser.submit('allow', { namespace: 'lab', scope }))
  }
}

const clientsShape = z.object({ clients: z.array(z.object({ client: z.string() })) })

/** From the first call to the last: what every client goes through, whoever is at the page. */
async function wholeFlow(
  redirectUrl: string,
  person: Person,
  era: Connection['era'] = 'modern',
): Promise<void> {
  const client = await oauthClient(running.url, redirectUrl, person, era)
  const call = (name: string, input: object) =>
    client.withConsent((caller) => caller.call(name, input))
  expect((await call('store', { content: 'The kettle is blue.' })).isError).toBe(false)
  expect(JSON.stringify(await call('recall', { query: 'kettle' }))).toContain('blue')
  // Step-up: refused before anything runs, asked for, done.
  const needsMore = async (name: string, input: object) => {
    if (era === 'modern') return await call(name, input)
    // v1 refreshes in place of asking, and stops at the second 403. Without a refresh token it asks, once
    // something else has gone well.
    await expect(call(name, input)).rejects.toThrow('403 after trying upscoping')
    client.provider.dropRefreshToken()
    await call('recall', {})
    return await call(name, input)
  }
  expect(JSON.stringify(await needsMore('export', {}))).toContain('kettle')
  expect((await needsMore('forget', { everything: true, dry_run: true })).isError).toBe(false)
  const asked = client.askedScopes.map((scopes) => new Set(scopes.split(' ')))
  // v1 asks for what the challenge names alone, and gets a refresh token all the same.
  const first = ['memory:read', 'memory:write', ...(era === 'modern' ? ['offline_access'] : [])]
  expect(asked).toEqual([
    new Set(first),
    new Set([...first, 'memory:export']),
    new Set([...first, 'memory:export', 'memory:forget']),
  ])
  client.provider.spoilAccessToken()
  expect((await call('recall', {})).isError).toBe(false)
  expect(client.askedScopes).toHaveLength(3)
  const token = client.provider.accessToken()
  const account = await running.logIn(email, password)
  const listed = await running.get('/clients', { token: account })
  const { clients } = clientsShape.parse(await listed.json())
  // The last that was used is the first.
  const { client: id = '' } = clients[0] ?? {}
  const revoked = await running.post('/clients/revoke', { client: id }, { token: account })
  expect(revoked.status).toBe(204)
  const isOut = async () => (await callTool(running, token, 'recall')).status === 401
  await until(isOut, { timeoutMs: revokedMs, what: 'the refusal of the token' })
  // The refresh token is gone with it: a person would have to let it in again.
  await client.withConsent((caller) => caller.toolNames())
  expect(client.askedScopes).toHaveLength(4)
  await client.close()
}

test('the official client: discovery, registration, consent, call, step-up, refresh, revocation', async () => {
  await wholeFlow('http://127.0.0.1:33418/callback', byForms())
}, 120_000)

test('the client before it (v1): the same, but it asks for more only without a refresh token', async () => {
  await wholeFlow('http://127.0.0.1:33418/callback', byForms(), 'legacy')
}, 120_000)

describe.skipIf(chromiumPath === undefined)('in a real browser', () => {
  let browser: Chromium
  beforeAll(async () => {
    browser = await launchChromium()
  }, 120_000)
  afterAll(() => browser.close())

  test('the same, and nothing on the way is blocked by its policies', async () => {
    const answers: URL[] = []
    const listener = await serveLoopback((request, response) => {
      answers.push(new URL(request.url ?? '', 'http://127.0.0.1'))
      response.end('You may close this page.')
    })
    const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    const person: Person = async (url) => {
      const before = answers.length
      await page.goto(url.href)
      if ((await page.getByLabel('Password').count()) > 0) {
        await page.getByLabel('E-mail address').fill(email)
        await page.getByLabel('Password').fill(password)
        await page.getByRole('button', { name: 'Log in' }).click()
      }
      await page.getByRole('radio', { name: 'lab' }).check()
      for (const box of await page.getByRole('checkbox').all()) await box.check()
      await page.getByRole('button', { name: 'Allow' }).click()
      const isBack = () => answers.slice(before).find(({ pathname }) => pathname === '/callback')
      return await until(isBack, { timeoutMs: 10_000, what: 'the browser coming back' })
    }
    await wholeFlow(`${listener.url}/callback`, person)
    // The icon that browsers ask for by themselves is refused as everything unknown is.
    expect(complaints.filter((line) => !line.includes('401'))).toEqual([])
    await context.close()
  }, 120_000)
})
