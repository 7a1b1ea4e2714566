/** A client that is a page in a browser: which answers it may read on its way to a token, and which never. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp()
}, 120_000)
afterAll(() => running.close())

/** Where an inspector on this machine serves its page. */
const inspector = 'http://localhost:6274'

/** The origin whose pages may read the answer. */
const readers = (answer: Response) => answer.headers.get('access-control-allow-origin')

/** What a browser asks before a page of another origin may send JSON or a header of its own. */
async function preflight(path: string, method: string, from = inspector): Promise<Response> {
  return await fetch(`${running.origin}${path}`, {
    method: 'OPTIONS',
    headers: {
      origin: from,
      'access-control-request-method': method,
      'access-control-request-headers': 'content-type,mcp-protocol-version',
    },
  })
}

describe('a page of this machine', () => {
  test('finds where tokens come from, registers, and asks for one', async () => {
    for (const path of [
      '/.well-known/oauth-protected-resource/mcp',
      '/.well-known/oauth-protected-resource',
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
    ]) {
      expect([path, readers(await preflight(path, 'GET'))]).toEqual([path, inspector])
      const found = await fetch(`${running.origin}${path}`, { headers: { origin: inspector } })
      expect([found.status, readers(found)]).toEqual([200, inspector])
    }
    for (const path of ['/oauth/register', '/oauth/token', '/oauth/revoke', '/mcp']) {
      const allowed = await preflight(path, 'POST')
      expect([path, allowed.status, readers(allowed)]).toEqual([path, 204, inspector])
      expect(allowed.headers.get('access-control-allow-headers')).toContain('content-type')
    }
    const registered = await fetch(`${running.origin}/oauth/register`, {
      method: 'POST',
      headers: { origin: inspector, 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: [`${inspector}/callback`] }),
    })
    expect([registered.status, readers(registered)]).toEqual([201, inspector])
  })

  test('reads no page for people and nothing of accounts or REST', async () => {
    for (const path of [
      '/account',
      '/account/log-in',
      '/oauth/clients',
      '/oauth/consent/x',
      '/memory',
    ]) {
      for (const method of ['GET', 'POST']) {
        expect([path, readers(await preflight(path, method))]).toEqual([path, null])
      }
      const answer = await fetch(`${running.origin}${path}`, { headers: { origin: inspector } })
      expect([path, readers(answer)]).toEqual([path, null])
    }
  })
})

test('a page of anywhere else is refused at each of these addresses', async () => {
  for (const path of ['/.well-known/oauth-protected-resource', '/oauth/register', '/oauth/token']) {
    const answer = await preflight(path, 'POST', 'https://evil.example')
    expect([path, answer.status, readers(answer)]).toEqual([path, 403, null])
  }
})
