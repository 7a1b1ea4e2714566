/** What no client gets: tokens for another resource, without a challenge, or with what is not its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import {
  askTokens,
  authorize,
  authorizeUrl,
  Browser,
  joined,
  pkce,
  redeem,
  refresh,
  register,
  tokensOf,
} from '../support/authorization.ts'

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
  await joined(running, 'ada@example.org', 'lab')
}, 120_000)
afterAll(() => running.close())

const ada = { email: 'ada@example.org', namespace: 'lab', browser: new Browser() }
const origin = () => running.origin
const errorShape = z.object({ error: z.string() })
const errorOf = async (answer: Response) => {
  const { error } = errorShape.parse(await answer.json())
  return [answer.status, error]
}

describe('a request for tokens is refused', () => {
  test('for another resource, at the page and at the token endpoint', async () => {
    const client = await register(origin(), 'http://127.0.0.1/callback')
    const parameters = {
      client_id: client,
      redirect_uri: 'http://127.0.0.1:1234/callback',
      code_challenge: pkce().challenge,
    }
    for (const resource of ['https://other.example/mcp', origin(), `${origin()}/mcp/x`]) {
      const { url } = await new Browser().open(authorizeUrl(origin(), { ...parameters, resource }))
      expect([resource, url.searchParams.get('error')]).toEqual([resource, 'invalid_target'])
    }
    const authorized = await authorize(origin(), { ...ada, client })
    const other = await redeem(origin(), authorized, { resource: 'https://other.example/mcp' })
    expect(await errorOf(other)).toEqual([400, 'invalid_target'])
  })

  test('without a challenge, with a plain one, and with a wrong verifier', async () => {
    const redirectUri = 'http://127.0.0.1:33418/callback'
    const client = await register(origin(), redirectUri)
    const { verifier, challenge } = pkce()
    const parameters = { client_id: client, redirect_uri: redirectUri }
    const ways = [
      { code_challenge_method: undefined },
      { code_challenge: verifier, code_challenge_method: 'plain' },
      { code_challenge: verifier, code_challenge_method: undefined },
    ]
    for (const way of ways) {
      const { url } = await new Browser().open(authorizeUrl(origin(), { ...parameters, ...way }))
      expect([way, url.searchParams.get('error')]).toEqual([way, 'invalid_request'])
    }
    const authorized = await authorize(origin(), { ...ada, client })
    const wrong = await redeem(origin(), { ...authorized, verifier: challenge })
    expect(await errorOf(wrong)).toEqual([400, 'invalid_grant'])
  })

  test('and leads nobody to a site that anybody may have registered, before they log in', async () => {
    const redirectUri = 'https://phish.example/callback'
    const client = await register(origin(), redirectUri)
    const right = { client_id: client, redirect_uri: redirectUri, code_challenge: pkce().challenge }
    const wrong = [
      [{ code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
      [{ resource: 'https://other.example/mcp' }, 'invalid_target'],
      [{ response_type: 'token' }, 'unsupported_response_type'],
      [{ prompt: 'none' }, 'consent_required'],
    ] as const
    for (const [way, error] of wrong) {
      const asked = authorizeUrl(origin(), { ...right, ...way })
      const { url, status, headers, text } = await new Browser().open(asked)
      expect([way, status, url.href, headers.get('location')]).toEqual([way, 400, asked.href, null])
      expect(text).not.toMatch(/http-equiv|<script/u)
      const href = /href="(?<href>https:[^"]+)"/u.exec(text)?.groups?.['href'] ?? ''
      const link = new URL(href.replaceAll('&amp;', '&'))
      expect(link.origin).toBe('https://phish.example')
      expect(`${link.search}${link.hash}`).toMatch(new RegExp(`[?#&]error=${error}&`, 'u'))
      expect(text).toContain('<strong>phish.example</strong>')
    }
  })

  test('by another client, for a code and for a refresh token that are not its own', async () => {
    const authorized = await authorize(origin(), ada)
    const other = await register(origin(), authorized.redirectUri)
    const stolen = await redeem(origin(), { ...authorized, client: other })
    expect(await errorOf(stolen)).toEqual([400, 'invalid_grant'])
    const { refresh_token: token } = await tokensOf(await redeem(origin(), authorized))
    expect(await errorOf(await refresh(origin(), other, token))).toEqual([400, 'invalid_grant'])
    const unknown = await askTokens(origin(), {
      grant_type: 'refresh_token',
      client_id: 'nobody',
      refresh_token: token,
    })
    expect(await errorOf(unknown)).toEqual([401, 'invalid_client'])
  })
})
