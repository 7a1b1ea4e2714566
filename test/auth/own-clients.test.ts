/** The page of the programs that a person let in: shows them, shuts them out, and does so for nobody else. */
import type { Browser as Chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import {
  authorize,
  authorizeUrl,
  Browser,
  field,
  joined,
  password,
  pkce,
  redeem,
  register,
  tokensOf,
  type Page,
} from '../support/authorization.ts'
import { chromiumPath, launchChromium } from '../support/chromium.ts'
import { callTool } from '../support/keys.ts'
import { until } from '../support/until.ts'

const redirectUri = 'https://app.example/callback'
const ada = 'ada@example.org'
const eve = 'eve@example.org'

let running: AccountsApp
/** Where each of them is logged in: a password takes a second to check. */
const browsers = { [ada]: new Browser(), [eve]: new Browser() }
let address: URL
beforeAll(async () => {
  running = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
  address = new URL('/oauth/clients', running.origin)
  await joined(running, ada, 'lab')
  await joined(running, eve, 'lab')
  await inNamespace(ada, 'den')
  for (const email of [ada, eve] as const) {
    await browsers[email].open(address)
    await browsers[email].logIn(email)
  }
}, 120_000)
afterAll(() => running.close())

/** Makes somebody who has an account a member of one more namespace. */
async function inNamespace(email: string, namespaceName: string): Promise<void> {
  const { app } = running
  const operator = await app.principal({ namespaceName, agent: 'operator', channel: 'cli' })
  const invited = { email, role: 'member' } as const
  const { code } = await app.execute(app.operations.memberInvite, operator, invited)
  const token = await running.logIn(email, password)
  await running.post('/invitations/accept', { code }, { token })
}

interface LetIn {
  readonly client: string
  readonly token: string
}

async function letIn(
  email: keyof typeof browsers,
  more: { client?: string; namespace?: string } = {},
) {
  const { namespace = 'lab' } = more
  const client = more.client ?? (await register(running.origin, redirectUri))
  const wanted = { email, namespace, client, redirectUri, browser: browsers[email] }
  const tokens = await tokensOf(
    await redeem(running.origin, await authorize(running.origin, wanted)),
  )
  return { client, token: tokens.access_token } satisfies LetIn
}
const show = (email: keyof typeof browsers = ada) => browsers[email].open(address)
const isIn = async (client: string, email: keyof typeof browsers = ada) =>
  (await show(email)).text.includes(`value="${client}"`)
const statusOf = async (token: string) => {
  const answer = await callTool(running, token, 'recall')
  await answer.text()
  return answer.status
}
const ended = (token: string) =>
  until(async () => (await statusOf(token)) === 401, { timeoutMs: 5000, what: 'a refusal' })
/** Of the namespace, the newest first. */
async function logged(namespaceName: string, action: string) {
  const { app } = running
  const operator = await app.principal({ namespaceName, agent: 'operator', channel: 'cli' })
  return (await app.execute(app.operations.auditQuery, operator, { action })).events
}

describe('a person', () => {
  test('who is not logged in is asked to, and then sees the page', async () => {
    const browser = new Browser()
    const asked = await browser.open(address)
    expect(asked.text).toContain('which programs you let in')
    expect(asked.text).not.toContain('value="end"')
    const wrong = await browser.logIn(ada, { password: 'not the password' })
    expect([wrong.status, wrong.text.includes('role="alert"')]).toEqual([401, true])
    await browser.open(address)
    const seen = await browser.logIn(ada)
    expect([seen.status, seen.url.pathname]).toEqual([200, '/oauth/clients'])
    expect(seen.text).toContain(ada)
  })

  test('sees of each program where it leads, and what it may do in which memories', async () => {
    const name = '</title><script>alert(1)</script>" onload="x'
    const client = await register(running.origin, redirectUri, { client_name: name })
    await letIn(ada, { client })
    await letIn(ada, { client, namespace: 'den' })
    const { text } = await show()
    const [section = ''] = text.split('<section>').filter((part) => part.includes(client))
    for (const part of [
      'Nobody has checked it',
      'app.example',
      'In lab',
      'In den',
      'Read memories',
    ]) {
      expect(section).toContain(part)
    }
    const today = new Date().toISOString().slice(0, 10)
    expect(section).toContain(`datetime="${today}`)
    expect(section).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&quot;x')
    expect(await isIn(client, eve)).toBe(false)
  })

  test('shuts one out of every namespace, for themselves alone, and it is logged', async () => {
    const { client, token } = await letIn(ada)
    const inDen = await letIn(ada, { client, namespace: 'den' })
    const hers = await letIn(eve, { client })
    await show()
    const page = await browsers[ada].submit('end', { client })
    expect([page.status, page.text.includes('role="status"')]).toEqual([200, true])
    expect(page.text).not.toContain(`value="${client}"`)
    await ended(token)
    await ended(inDen.token)
    expect(await statusOf(hers.token)).toBe(200)
    const requestId = page.headers.get('x-request-id')
    for (const namespace of ['lab', 'den']) {
      const [event] = await logged(namespace, 'client.end')
      expect(event).toMatchObject({ agent: 'ada', request_id: requestId })
    }
    const again = await browsers[ada].submit('end', { client })
    expect([again.status, again.text.includes('role="alert"')]).toEqual([404, true])
  })

  test('who let nothing in is told so', async () => {
    const email = 'new@example.org'
    await joined(running, email, 'lab')
    const browser = new Browser()
    await browser.open(address)
    const { text } = await browser.logIn(email)
    expect(text).toContain('None. A program')
    expect(text).not.toContain('value="end"')
  })

  test('can go on with another account', async () => {
    const browser = new Browser()
    await browser.open(address)
    await browser.logIn(ada)
    expect((await browser.submit('leave')).text).toContain('type="password"')
    expect((await browser.open(address)).text).toContain('type="password"')
  })

  test('finds the way here where they let a program in', async () => {
    const client = await register(running.origin, redirectUri)
    const parameters = { client_id: client, redirect_uri: redirectUri }
    const url = authorizeUrl(running.origin, { ...parameters, code_challenge: pkce().challenge })
    expect((await browsers[ada].open(url)).text).toContain('href="/oauth/clients"')
  })
})

/** Sends what Ada's browser would be made to send. */
async function forge(
  form: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = { origin: running.origin },
): Promise<Response> {
  return await fetch(address, {
    method: 'POST',
    body: new URLSearchParams(form),
    headers: { cookie: browsers[ada].cookieFor(address), ...headers },
    redirect: 'manual',
  })
}
const tokenOn = ({ text }: Page) => field(text, 'token') ?? ''

describe('nobody shuts a program out with a form', () => {
  test.each<[string, Record<string, string>]>([
    ['of another page', { origin: 'https://evil.example' }],
    ['of a page without an origin', { origin: 'null' }],
    ['of a program on this machine', { origin: 'http://127.0.0.1:1' }],
    ['that does not say where it comes from', {}],
  ])('%s', async (_, headers) => {
    const { client } = await letIn(ada)
    const token = tokenOn(await show())
    expect((await forge({ token, do: 'end', client }, headers)).status).toBe(403)
    expect(await isIn(client)).toBe(true)
    // The very same form from our own page does it.
    expect((await forge({ token, do: 'end', client })).status).toBe(200)
  })

  test('without a token, with one that was made up, or one that was shown to somebody else', async () => {
    const { client } = await letIn(ada)
    const asks = { client_id: client, redirect_uri: redirectUri }
    const consent = authorizeUrl(running.origin, { ...asks, code_challenge: pkce().challenge })
    const tokens = [
      undefined,
      '',
      'x',
      'a'.repeat(43),
      tokenOn(await show(eve)),
      tokenOn(await new Browser().open(address)),
      tokenOn(await browsers[ada].open(consent)),
    ]
    for (const token of tokens) {
      const form = { ...(token !== undefined && { token }), do: 'end', client }
      const answer = await forge(form)
      expect([answer.status, (await answer.text()).includes('nothing was changed')]).toEqual([
        409,
        true,
      ])
    }
    expect(await isIn(client)).toBe(true)
  })

  test('that was shown before they logged in anew', async () => {
    const { client } = await letIn(ada)
    const browser = new Browser()
    await browser.open(address)
    const before = await browser.logIn(ada)
    await browser.submit('leave')
    await browser.logIn(ada)
    browser.page = before
    expect((await browser.submit('end', { client })).status).toBe(409)
    expect(await isIn(client)).toBe(true)
  })

  test('without being logged in, or of somebody else', async () => {
    const { client, token } = await letIn(ada)
    const stranger = new Browser()
    await stranger.open(address)
    expect((await stranger.submit('end', { client })).text).toContain('type="password"')
    await show(eve)
    expect((await browsers[eve].submit('end', { client })).status).toBe(404)
    expect(await statusOf(token)).toBe(200)
  })
})

test('the page is never framed, runs nothing, sends its forms to itself and is not kept', async () => {
  for (const page of [await show(), await new Browser().open(address)]) {
    const policy = page.headers.get('content-security-policy') ?? ''
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"]) {
      expect(policy).toContain(part)
    }
    expect(policy).not.toMatch(/unsafe|script-src|https?:/u)
    expect(page.headers.get('x-frame-options')).toBe('DENY')
    expect(page.headers.get('cache-control')).toContain('no-store')
    expect(page.text).not.toContain('<script')
  }
})

describe.skipIf(chromiumPath === undefined)('in a real browser', () => {
  let browser: Chromium
  beforeAll(async () => {
    browser = await launchChromium()
  }, 120_000)
  afterAll(() => browser.close())

  test('on a phone: logs in, reads, shuts out; nothing is blocked or wider than the screen', async () => {
    const client = await register(running.origin, redirectUri, { client_name: 'A'.repeat(60) })
    const { token } = await letIn(ada, { client })
    const context = await browser.newContext({ viewport: { width: 320, height: 700 } })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    await page.goto(address.href)
    await page.getByLabel('E-mail address').fill(ada)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Log in' }).click()
    const button = page.getByRole('button', { name: `Shut out “${'A'.repeat(60)}”` })
    const [wide] = await page.getByRole('main').all()
    expect((await wide?.boundingBox())?.width).toBeLessThanOrEqual(320)
    await button.click()
    await page.getByRole('status').waitFor()
    expect(await button.count()).toBe(0)
    await ended(token)
    // The icon that browsers ask for by themselves is refused as everything unknown is.
    expect(complaints.filter((line) => !line.includes('401'))).toEqual([])
    await context.close()
  }, 120_000)
})
