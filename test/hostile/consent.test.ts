/** Attacks on the pages where a person lets a program in: forged, framed, led astray, guessed, outgrown. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { totpCode } from '../../src/accounts/totp.ts'
import { fromBase32, startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import {
  authorize,
  authorizeUrl,
  backTo,
  Browser,
  field,
  joined,
  password,
  pkce,
  redeem,
  register,
  tokensOf,
} from '../support/authorization.ts'
import { callTool } from '../support/keys.ts'

const redirectUri = 'https://app.example/callback'
const email = 'ada@example.org'

let running: AccountsApp
/** Where Ada is logged in. */
const home = new Browser()
let client: string
beforeAll(async () => {
  running = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
  await joined(running, email, 'lab')
  await joined(running, 'eve@example.org', 'den')
  client = await register(running.origin, redirectUri)
  await ask()
  await home.logIn(email)
}, 120_000)
afterAll(() => running.close())

const ask = (browser = home, more: Record<string, string> = {}) =>
  browser.open(
    authorizeUrl(running.origin, {
      client_id: client,
      redirect_uri: redirectUri,
      code_challenge: pkce().challenge,
      scope: 'memory:read memory:write',
      ...more,
    }),
  )
const agreed = { namespace: 'lab', scope: ['memory:read'] }

describe('consent cannot be forged', () => {
  test.each<[string, Record<string, string>, number]>([
    ['from another page', { origin: 'https://evil.example' }, 403],
    ['from a page without an origin', { origin: 'null' }, 403],
    ['from a program on this machine', { origin: 'http://127.0.0.1:1' }, 403],
  ])('%s', async (_, headers, status) => {
    await ask()
    const page = await home.submit('allow', agreed, headers)
    expect([page.status, page.url.origin]).toEqual([status, running.origin])
    expect(page.text).not.toContain('code=')
  })

  test('by a form that says nothing of where it comes from', async () => {
    const { url } = await ask()
    const body = new URLSearchParams({ do: 'allow', namespace: 'lab', scope: 'memory:read' })
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: { cookie: home.cookieFor(url) },
      redirect: 'manual',
    })
    expect([answer.status, answer.headers.get('location')]).toEqual([403, null])
  })

  test.each(['', 'x', 'a'.repeat(43)])('with the form token %j', async (token) => {
    await ask()
    const { url, text } = home.page ?? { url: new URL(running.url), text: '' }
    const form = { token, do: 'allow', namespace: 'lab', scope: 'memory:read' }
    const answer = await fetch(url, {
      method: 'POST',
      body: new URLSearchParams(form),
      headers: { cookie: home.cookieFor(url), origin: running.origin },
      redirect: 'manual',
    })
    expect(field(text, 'token')).not.toBe(token)
    expect([answer.status, answer.headers.get('location')]).toEqual([200, null])
  })

  test('in a browser that did not come from the client itself', async () => {
    const { url } = await ask()
    const other = new Browser()
    const page = await other.open(url)
    expect(page.status).toBe(400)
    expect(page.text).not.toContain('value="allow"')
  })

  test('by what was shown to somebody else at the same page', async () => {
    const eve = new Browser()
    await ask(eve)
    const shown = await eve.logIn('eve@example.org')
    await eve.submit('leave')
    await eve.logIn('eve@example.org')
    // Her form is from the session before: it only shows what there is to decide now.
    eve.page = shown
    const page = await eve.submit('allow', { namespace: 'den', scope: ['memory:read'] })
    expect(page.text).toContain('value="allow"')
    expect(() => backTo(page)).toThrow('no way back')
  })

  test('for a namespace, a scope or a role that is not there to choose', async () => {
    await ask()
    const foreign = await home.submit('allow', { namespace: 'den', scope: ['memory:read'] })
    expect([foreign.status, foreign.text.includes('Choose which')]).toEqual([400, true])
    const nothing = await home.submit('allow', { namespace: 'lab', scope: ['memory:forget'] })
    expect([nothing.status, nothing.text.includes('Tick what')]).toEqual([400, true])
    const wanted = { email, namespace: 'lab', browser: home, scope: 'memory:read' }
    const more = ['memory:read', 'memory:forget', 'memory:export', 'admin']
    const authorized = await authorize(running.origin, { ...wanted, allow: more })
    const { scope, access_token: token } = await tokensOf(await redeem(running.origin, authorized))
    expect(scope).toBe('memory:read')
    expect((await callTool(running, token, 'forget', { everything: true })).status).toBe(403)
  })

  test('twice: an answered question is gone', async () => {
    const { url } = await ask()
    backTo(await home.submit('allow', agreed))
    expect((await home.open(url)).status).toBe(400)
  })
})

describe('a page', () => {
  test('is never framed, runs nothing, sends its forms to itself and is not kept', async () => {
    for (const page of [await ask(new Browser()), await ask(), await home.submit('deny')]) {
      const policy = page.headers.get('content-security-policy') ?? ''
      for (const part of ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"]) {
        expect(policy).toContain(part)
      }
      expect(policy).not.toMatch(/unsafe|script-src|https?:/u)
      expect(page.headers.get('x-frame-options')).toBe('DENY')
      expect(page.headers.get('cache-control')).toContain('no-store')
      expect(page.headers.get('referrer-policy')).toBe('same-origin')
      expect(page.text).not.toMatch(/<script|\son\w+=/u)
    }
  })

  test('shows what a client calls itself as text', async () => {
    const name = '</title><script>alert(1)</script>“\u202Etxt" onload="x'
    const named = await register(running.origin, redirectUri, { client_name: name })
    const { text } = await ask(home, { client_id: named })
    expect(text).not.toContain('<script')
    expect(text).not.toContain('\u202E')
    expect(text).toContain('&lt;script&gt;')
  })

  test('says nothing of what was typed wrong but that it was', async () => {
    const known = new Browser()
    await ask(known)
    const wrong = await known.logIn(email, { password: 'not the password' })
    const unknown = new Browser()
    await ask(unknown)
    const nobody = await unknown.logIn('nobody@example.org', { password: 'not the password' })
    const said = (text: string) => /role="alert">([^<]*)</u.exec(text)?.[1]
    expect([wrong.status, nobody.status]).toEqual([401, 401])
    expect(said(wrong.text)).toBe(said(nobody.text))
  })

  test('asks for the second factor, and takes no code twice', async () => {
    await joined(running, 'toni@example.org', 'lab')
    const token = await running.logIn('toni@example.org', password)
    const begun = await running.post('/second-factor', { password }, { token })
    const { secret } = z.object({ secret: z.string() }).parse(await begun.json())
    const codeAt = (step: number) => totpCode(fromBase32(secret), step)
    const now = Math.floor(Date.now() / 30_000)
    const confirmed = { code: codeAt(now - 1) }
    expect((await running.post('/second-factor/confirm', confirmed, { token })).status).toBe(200)
    const toni = new Browser()
    await ask(toni)
    expect((await toni.logIn('toni@example.org')).text).toContain('authenticator')
    expect((await toni.logIn('toni@example.org', confirmed)).status).toBe(401)
    const entered = await toni.logIn('toni@example.org', { code: codeAt(now) })
    expect(entered.text).toContain('value="allow"')
  })

  test('makes who guesses wait, and nobody else', async () => {
    const guesser = new Browser('198.51.100.20')
    await ask(guesser)
    const statuses: number[] = []
    for (let guess = 0; guess < 8; guess++) {
      const page = await guesser.logIn('eve@example.org', { password: `guess number ${guess}` })
      statuses.push(page.status)
      if (page.status !== 429) continue
      expect(Number(page.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(page.text).toContain('Too many attempts')
    }
    expect(statuses).toContain(429)
    const owner = new Browser('203.0.113.99')
    await ask(owner)
    expect((await owner.logIn('eve@example.org')).text).toContain('value="allow"')
  })
})

describe('nobody is led astray', () => {
  test.each([
    'https://app.example/callback/',
    'https://app.example/callback?x=1',
    'https://app.example/callback#x',
    'https://app.example/Callback',
    'https://app.example/callback/../other',
    'https://app.example:8443/callback',
    'https://app.example.evil.example/callback',
    'https://app.example@evil.example/callback',
    'http://app.example/callback',
    'https://evil.example/',
    '//evil.example',
    'javascript:alert(1)',
    'http://127.0.0.1:1/callback',
    '',
  ])('by a redirect to %j, which the client did not register', async (wrong) => {
    const page = await ask(home, { redirect_uri: wrong })
    expect([page.status, page.url.origin]).toEqual([400, running.origin])
    expect(page.headers.get('location')).toBeNull()
    expect(page.text).not.toContain('http-equiv="refresh"')
  })

  test('by a way back of the library that was tampered with', async () => {
    for (const path of ['/oauth/authorize/x', '/oauth/consent/x', '/oauth/consent/']) {
      const page = await home.open(new URL(path, running.origin))
      expect([path, page.status >= 400, page.url.origin]).toEqual([path, true, running.origin])
    }
  })

  test.each([
    'javascript:alert(1)',
    'JavaScript://x/%0aalert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://app.example/x',
    'about:blank',
    'http://app.example/callback',
    'http://localhost.evil.example/callback',
    'https://localhost/callback',
    'https://user:pass@app.example/callback',
    'https://app.example/callback#fragment',
    'https://app.example/call back',
    'smb://evil.example/share',
    'ms-msdt:/id',
    'mailto:eve@example.org',
    'ftp://app.example/',
    'ws://app.example/',
    'app.example/callback',
    '/callback',
    '',
  ])('into %j: it cannot be registered', async (uri) => {
    const answer = await fetch(`${running.origin}/oauth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: [redirectUri, uri] }),
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: 'invalid_redirect_uri' })
  })
})

test('a foreign page may not even ask, on any of the endpoints', async () => {
  const paths = ['authorize', 'token', 'register', 'revoke', 'jwks', 'consent/x', 'clients']
  for (const path of paths) {
    for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }]) {
      const answer = await fetch(`${running.origin}/oauth/${path}`, { method: 'POST', headers })
      expect([path, answer.status]).toEqual([path, 403])
    }
  }
})

test('who registers clients without end has to wait', async () => {
  const statuses = new Set<number>()
  for (let count = 0; count < 110 && !statuses.has(429); count++) {
    const answer = await fetch(`${running.origin}/oauth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': '198.51.100.77' },
      body: JSON.stringify({ redirect_uris: [redirectUri] }),
    })
    await answer.text()
    statuses.add(answer.status)
  }
  expect([...statuses]).toEqual([201, 429])
  await register(running.origin, redirectUri)
}, 120_000)
