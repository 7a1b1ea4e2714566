/** Our own authorization server, by forms: what a client gets by a person's consent, and what ends it. */
import { decodeJwt, SignJWT, type JWTPayload } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { agentScopes } from '../../src/principal.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import {
  authorize,
  authorizeUrl,
  backTo,
  Browser,
  joined,
  password,
  pkce,
  redeem,
  refresh,
  register,
  ticked,
  tokensOf,
} from '../support/authorization.ts'
import { callTool, structuredOf } from '../support/keys.ts'
import { until } from '../support/until.ts'

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
  await joined(running, 'ada@example.org', 'lab')
  await joined(running, 'ray@example.org', 'lab', 'reader')
}, 120_000)
afterAll(() => running.close())

/** Where Ada is logged in: a password takes a second to check. */
const browser = new Browser()
const ada = { email: 'ada@example.org', namespace: 'lab', browser }
const origin = () => running.origin
const statusOf = async (token: string, tool = 'recall', input: object = {}) => {
  const answer = await callTool(running, token, tool, input)
  await answer.text()
  return answer.status
}
const errorShape = z.object({ error: z.string() })
const errorOf = async (answer: Response) => {
  const { error } = errorShape.parse(await answer.json())
  return [answer.status, error]
}

describe('the metadata', () => {
  test('says what a client of the protocol must find, at both well-known places', async () => {
    for (const place of ['oauth-authorization-server', 'openid-configuration']) {
      const answer = await fetch(`${origin()}/.well-known/${place}`)
      expect(answer.status).toBe(200)
      expect(await answer.json()).toMatchObject({
        issuer: origin(),
        authorization_endpoint: `${origin()}/oauth/authorize`,
        token_endpoint: `${origin()}/oauth/token`,
        registration_endpoint: `${origin()}/oauth/register`,
        revocation_endpoint: `${origin()}/oauth/revoke`,
        response_types_supported: ['code'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['none'],
        response_modes_supported: ['query'],
        scopes_supported: [...agentScopes, 'offline_access'],
        authorization_response_iss_parameter_supported: true,
        client_id_metadata_document_supported: true,
      })
    }
  })

  test('of the resource names this server as its own issuer', async () => {
    const answer = await fetch(`${origin()}/.well-known/oauth-protected-resource/mcp`)
    expect(await answer.json()).toMatchObject({
      resource: `${origin()}/mcp`,
      authorization_servers: [origin()],
      scopes_supported: ['memory:read', 'memory:write'],
    })
  })
})

test('behind a proxy everything is said, and kept, as at the public address', async () => {
  const app = await startAccountsApp({ MINDGLUE_PUBLIC_URL: 'https://memory.example' })
  try {
    const ask = async (path: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers)
      headers.set('host', 'memory.example')
      headers.set('x-forwarded-proto', 'https')
      headers.set('x-forwarded-for', '203.0.113.5')
      const url = `${app.listener.origin}${path}`
      return await fetch(url, { ...init, headers, redirect: 'manual' })
    }
    const metadata = await ask('/.well-known/oauth-authorization-server')
    expect(await metadata.json()).toMatchObject({
      issuer: 'https://memory.example',
      authorization_endpoint: 'https://memory.example/oauth/authorize',
      token_endpoint: 'https://memory.example/oauth/token',
    })
    const redirectUri = 'https://claude.ai/api/mcp/auth_callback'
    const registered = await ask('/oauth/register', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: [redirectUri] }),
    })
    const { client_id: client } = z.object({ client_id: z.string() }).parse(await registered.json())
    const { pathname, search } = authorizeUrl('https://memory.example', {
      client_id: client,
      redirect_uri: redirectUri,
      code_challenge: pkce().challenge,
    })
    const asked = await ask(`${pathname}${search}`)
    expect([asked.status, asked.headers.get('location')?.startsWith('/oauth/consent/')]).toEqual([
      303,
      true,
    ])
    const cookies = asked.headers.getSetCookie()
    expect(cookies.length).toBeGreaterThan(0)
    for (const line of cookies) expect(line).toMatch(/; samesite=lax; secure; httponly$/u)
  } finally {
    await app.close()
  }
}, 120_000)

test('where another issuer is configured, that one is named and nothing is issued here', async () => {
  const issuer = 'http://127.0.0.1:9/realm'
  const other = await startAccountsApp({ MINDGLUE_OAUTH_ISSUER: issuer })
  try {
    const place = `${other.origin}/.well-known/oauth-protected-resource/mcp`
    expect(await (await fetch(place)).json()).toMatchObject({ authorization_servers: [issuer] })
    for (const path of ['/.well-known/oauth-authorization-server', '/oauth/authorize']) {
      expect((await fetch(`${other.origin}${path}`)).status).toBe(401)
    }
  } finally {
    await other.close()
  }
}, 120_000)

describe('a client that was let in', () => {
  test('acts as the person in the namespace and with the scopes that the person chose', async () => {
    const authorized = await authorize(origin(), { ...ada, scope: 'memory:read memory:write' })
    expect(authorized.back.searchParams.get('state')).toBe('a state')
    expect(authorized.back.searchParams.get('iss')).toBe(origin())
    const tokens = await tokensOf(await redeem(origin(), authorized))
    expect(tokens.scope.split(' ').toSorted()).toEqual(['memory:read', 'memory:write'])
    const { access_token: token } = tokens
    await structuredOf(await callTool(running, token, 'store', { content: 'Tea at four.' }))
    const found = z.object({ results: z.array(z.object({ owner_agent: z.string() })) })
    const { results } = found.parse(await structuredOf(await callTool(running, token, 'recall')))
    expect(results).toEqual([{ owner_agent: 'ada' }])
    expect(await statusOf(token, 'forget', { everything: true })).toBe(403)
  })

  test('gets no more than was ticked, and no more than the role of the person allows', async () => {
    const scope = 'memory:read memory:write memory:forget'
    const some = await authorize(origin(), { ...ada, scope, allow: ['memory:read'] })
    const { access_token: less, scope: given } = await tokensOf(await redeem(origin(), some))
    expect(given).toBe('memory:read')
    expect(await statusOf(less, 'store', { content: 'x' })).toBe(403)
    const reader = { email: 'ray@example.org', namespace: 'lab', scope }
    const { access_token: token } = await tokensOf(
      await redeem(origin(), await authorize(origin(), reader)),
    )
    expect(await statusOf(token)).toBe(200)
    expect(await statusOf(token, 'store', { content: 'x' })).toBe(403)
  })

  test('goes on with a refresh token, each of which works once', async () => {
    const authorized = await authorize(origin(), ada)
    const first = await tokensOf(await redeem(origin(), authorized))
    const second = await tokensOf(await refresh(origin(), authorized.client, first.refresh_token))
    expect(second.refresh_token).not.toBe(first.refresh_token)
    expect(await statusOf(second.access_token)).toBe(200)
  })

  test('loses everything when a refresh token comes back that was used', async () => {
    const authorized = await authorize(origin(), ada)
    const { client } = authorized
    const first = await tokensOf(await redeem(origin(), authorized))
    const second = await tokensOf(await refresh(origin(), client, first.refresh_token))
    expect(await statusOf(second.access_token)).toBe(200)
    const replayed = await refresh(origin(), client, first.refresh_token)
    expect(await errorOf(replayed)).toEqual([400, 'invalid_grant'])
    const next = await refresh(origin(), client, second.refresh_token)
    expect(await errorOf(next)).toEqual([400, 'invalid_grant'])
    await ended(second.access_token)
  })

  test('and asks twice at once gets one new token, whichever comes first', async () => {
    const authorized = await authorize(origin(), ada)
    const { refresh_token: token } = await tokensOf(await redeem(origin(), authorized))
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => refresh(origin(), authorized.client, token)),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('loses everything when its code comes a second time', async () => {
    const authorized = await authorize(origin(), ada)
    const { access_token: token, refresh_token: next } = await tokensOf(
      await redeem(origin(), authorized),
    )
    const again = await redeem(origin(), authorized)
    expect(await errorOf(again)).toEqual([400, 'invalid_grant'])
    const refreshed = await refresh(origin(), authorized.client, next)
    expect(await errorOf(refreshed)).toEqual([400, 'invalid_grant'])
    await ended(token)
  })

  test('may give back what it holds', async () => {
    const authorized = await authorize(origin(), ada)
    const tokens = await tokensOf(await redeem(origin(), authorized))
    const form = { client_id: authorized.client, token: tokens.refresh_token }
    const body = new URLSearchParams(form)
    expect((await fetch(`${origin()}/oauth/revoke`, { method: 'POST', body })).status).toBe(200)
    await ended(tokens.access_token)
  })

  test('is out when its person is no member any longer, or has a new password', async () => {
    await joined(running, 'gone@example.org', 'lab')
    const gone = { email: 'gone@example.org', namespace: 'lab' }
    const { access_token: token } = await tokensOf(
      await redeem(origin(), await authorize(origin(), gone)),
    )
    expect(await statusOf(token)).toBe(200)
    const { app } = running
    const operator = await app.principal({ namespaceName: 'lab', agent: 'op', channel: 'cli' })
    await app.execute(app.operations.memberRemove, operator, { email: gone.email })
    await ended(token)
    await joined(running, 'new@example.org', 'lab')
    const fresh = { email: 'new@example.org', namespace: 'lab' }
    const { access_token: other } = await tokensOf(
      await redeem(origin(), await authorize(origin(), fresh)),
    )
    await running.post('/reset', { email: fresh.email })
    const code = await running.code(fresh.email)
    await running.post('/password', { code, password: 'another horse battery' })
    await ended(other)
  })
})

/** Within the five seconds that taking back may take. */
async function ended(token: string): Promise<void> {
  await until(async () => (await statusOf(token)) === 401, { timeoutMs: 5000, what: 'refusal' })
}

describe('a person', () => {
  test('who says no sends the client away with nothing', async () => {
    const redirectUri = 'https://claude.ai/api/mcp/auth_callback'
    const client = await register(origin(), redirectUri)
    const stranger = new Browser()
    const parameters = { client_id: client, redirect_uri: redirectUri }
    await stranger.open(authorizeUrl(origin(), { ...parameters, code_challenge: pkce().challenge }))
    await stranger.logIn(ada.email)
    const back = backTo(await stranger.submit('deny'))
    expect(back.href.startsWith(`${redirectUri}?`)).toBe(true)
    expect(back.searchParams.get('error')).toBe('access_denied')
    expect(back.searchParams.get('code')).toBeNull()
  })

  test('finds ticked what everybody needs, and nothing that erases or takes out', async () => {
    const redirectUri = 'https://claude.ai/api/mcp/auth_callback'
    const client = await register(origin(), redirectUri)
    const scope = 'memory:read memory:write memory:forget memory:export admin'
    const parameters = { client_id: client, redirect_uri: redirectUri, scope }
    const url = authorizeUrl(origin(), { ...parameters, code_challenge: pkce().challenge })
    const { text } = await browser.open(url)
    expect(ticked(text)).toEqual(['lab', 'memory:read', 'memory:write'])
    expect(text).toContain('value="memory:forget"')
    // No token of a client may allow it here.
    expect(text).not.toContain('value="admin"')
  })

  test('logs in once for several clients, and can change to another account', async () => {
    const shared = new Browser()
    await authorize(origin(), { ...ada, browser: shared })
    const client = await register(origin(), 'cursor://anysphere.cursor-mcp/oauth/callback')
    const parameters = {
      client_id: client,
      redirect_uri: 'cursor://anysphere.cursor-mcp/oauth/callback',
      code_challenge: pkce().challenge,
    }
    const { text } = await shared.open(authorizeUrl(origin(), parameters))
    expect(text).toContain('ada@example.org')
    const after = await shared.submit('leave')
    expect(after.text).toContain('type="password"')
  })
})

describe('somebody without an account', () => {
  const redirectUri = 'https://claude.ai/api/mcp/auth_callback'
  const open = async (app: AccountsApp, from: Browser) => {
    const client = await register(app.origin, redirectUri)
    const parameters = { client_id: client, redirect_uri: redirectUri }
    const { challenge } = pkce()
    return await from.open(authorizeUrl(app.origin, { ...parameters, code_challenge: challenge }))
  }

  test('who was invited makes one on the way, accepts, and lets the client in', async () => {
    const email = 'nora@example.org'
    const { app } = running
    const operator = await app.principal({ namespaceName: 'lab', agent: 'op', channel: 'cli' })
    const { code } = await app.execute(app.operations.memberInvite, operator, {
      email,
      role: 'member',
    })
    const nora = new Browser()
    await open(running, nora)
    await nora.submit('letter', { email })
    const wrong = await nora.submit('password', { email, code: 'wrong', password })
    expect([wrong.status, wrong.text.includes('not valid')]).toEqual([401, true])
    const letter = await running.code(email)
    expect((await nora.submit('password', { email, code: letter, password })).text).toContain(
      'Your password is set',
    )
    expect((await nora.logIn(email)).text).not.toContain('value="allow"')
    expect((await nora.submit('accept', { invitation: 'wrong' })).text).toContain('role="alert"')
    expect(ticked((await nora.submit('accept', { invitation: code })).text)).toContain('lab')
    const back = backTo(await nora.submit('allow', { namespace: 'lab', scope: 'memory:read' }))
    expect(back.searchParams.get('code')).not.toBeNull()
  })

  test('has memories of their own where accounts are open to all, and nowhere else', async () => {
    const everybody = await startAccountsApp()
    try {
      const email = 'olga@example.org'
      const olga = new Browser()
      await open(everybody, olga)
      await olga.submit('letter', { email })
      await olga.submit('password', { email, code: await everybody.code(email), password })
      const { text } = await olga.logIn(email)
      const [namespace = ''] = ticked(text)
      expect([namespace.slice(0, 5), text.includes('Memories of your own')]).toEqual([
        'user-',
        true,
      ])
      const wanted = { email, namespace, browser: olga, scope: 'memory:read memory:write' }
      for (const content of ['One.', 'Two.']) {
        const authorized = await authorize(everybody.origin, wanted)
        const { access_token: token } = await tokensOf(await redeem(everybody.origin, authorized))
        await structuredOf(await callTool(everybody, token, 'store', { content }))
        const found = z.object({ results: z.array(z.object({ owner_agent: z.string() })) })
        const { results } = found.parse(
          await structuredOf(await callTool(everybody, token, 'recall')),
        )
        expect(results[0]?.owner_agent).toBe('olga')
      }
      const other = { ...wanted, namespace: `user-${'0'.repeat(40)}` }
      await expect(authorize(everybody.origin, other)).rejects.toThrow('Choose which memories')

      await joined(everybody, 'partner@example.org', namespace, 'admin')
      const { app } = everybody
      const at = { namespaceName: namespace, agent: 'op', channel: 'cli' } as const
      const operator = await app.principal(at)
      await app.execute(app.operations.memberRemove, operator, { email })
      await expect(authorize(everybody.origin, wanted)).rejects.toThrow('You were removed')
    } finally {
      await everybody.close()
    }
  }, 120_000)
})

test('a token is refused that says anything else than what was agreed to, even signed by us', async () => {
  const authorized = await authorize(origin(), ada)
  const { access_token: token } = await tokensOf(await redeem(origin(), authorized))
  const other = await tokensOf(await redeem(origin(), await authorize(origin(), ada)))
  const { privateKey, id: kid } = (await running.app.accounts?.signingKeys.current()) ?? never()
  const right = decodeJwt(token)
  const sign = (claims: JWTPayload, header: object = {}) =>
    new SignJWT({ ...right, ...claims })
      .setProtectedHeader({ alg: 'EdDSA', kid, typ: 'at+jwt', ...header })
      .sign(privateKey)
  expect(await statusOf(await sign({}))).toBe(200)
  const wrong = [
    await sign({ aud: origin() }),
    await sign({ aud: `${origin()}/account` }),
    await sign({ iss: 'https://other.example' }),
    await sign({ sub: crypto.randomUUID() }),
    await sign({ client_id: 'another' }),
    await sign({ mindglue_grant: crypto.randomUUID() }),
    await sign({ mindglue_grant: undefined }),
    await sign({ client_id: undefined }),
    await sign({ exp: Math.floor(Date.now() / 1000) - 60 }),
    await sign({ iat: Math.floor(Date.now() / 1000) + 600 }),
    await sign({}, { typ: 'JWT' }),
    await sign({}, { kid: 'another' }),
    `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${token.split('.')[1]}.`,
    other.refresh_token,
  ]
  for (const one of wrong) expect(await statusOf(one)).toBe(401)
  const more = await sign({ scope: 'memory:read memory:write memory:forget admin' })
  expect(await statusOf(more, 'forget', { everything: true })).toBe(403)
  const account = await fetch(`${origin()}/account`, {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(account.status).toBe(401)
})

function never(): never {
  throw new Error('there are no accounts')
}
