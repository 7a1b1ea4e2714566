/** Access tokens of a real issuer against a running server: what they open, and what clients are told. */
import { createLocalJWKSet } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createAccessTokens } from '../../src/auth/access-tokens.ts'
import { userNamespace } from '../../src/auth/user-namespace.ts'
import { loadConfig, type Environment } from '../../src/config.ts'
import { callTool, openStream, sendMessage, structuredOf } from '../support/keys.ts'
import { serveLoopback } from '../support/loopback.ts'
import { startOAuthApp, type OAuthApp } from '../support/oauth-app.ts'
import { oauthClient } from '../support/oauth-client.ts'
import { until } from '../support/until.ts'

const redirectUrl = 'http://127.0.0.1:33418/callback'

let running: OAuthApp
/** Tokens of a second, no skew, and a second wrong key is one too many. */
let short: OAuthApp
beforeAll(async () => {
  running = await startOAuthApp()
  short = await startOAuthApp({
    accessTokenSeconds: 1,
    environment: { MINDGLUE_OAUTH_CLOCK_SKEW_SECONDS: '0', MINDGLUE_FAILED_KEYS_PER_MINUTE: '1' },
  })
}, 120_000)
afterAll(async () => {
  await running.close()
  await short.close()
})

const origin = () => running.listener.origin
const metadataUrl = () => `${origin()}/.well-known/oauth-protected-resource/mcp`
const challengeOf = (response: Response) => response.headers.get('www-authenticate')
const results = z.object({ results: z.array(z.object({ owner_agent: z.string() })) })

describe('a client without a token', () => {
  test('is told who issues them, at the path form and at the root', async () => {
    const places = [metadataUrl(), `${origin()}/.well-known/oauth-protected-resource`]
    for (const place of places) {
      const answer = await fetch(place)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toContain('application/json')
      expect(await answer.json()).toEqual({
        resource: running.resource,
        authorization_servers: [running.issuer.issuer],
        scopes_supported: ['memory:read', 'memory:write'],
        bearer_methods_supported: ['header'],
        resource_name: 'MindGlue',
      })
      expect((await fetch(place, { headers: { origin: 'https://evil.example' } })).status).toBe(403)
    }
  })

  test('is told where to look in every 401, with an error code only when it sent something', async () => {
    const rest = `scope="memory:read memory:write", resource_metadata="${metadataUrl()}"`
    const none = await callTool(running, undefined, 'recall')
    expect([none.status, challengeOf(none)]).toEqual([401, `Bearer realm="MindGlue", ${rest}`])
    const token = await running.issuer.sign()
    for (const wrong of [`${token}x`, 'mgk_wrong', 'anything', 'eyJ.eyJ.']) {
      const answer = await callTool(running, wrong, 'recall')
      const expected = `Bearer realm="MindGlue", error="invalid_token", ${rest}`
      expect([answer.status, challengeOf(answer)]).toEqual([401, expected])
      expect(await answer.text()).not.toContain(token.slice(20, 60))
    }
  })

  test('gets nothing by a token in the address, right as it may be', async () => {
    const token = await running.issuer.sign()
    const address = new URL(`?access_token=${token}`, running.url)
    for (const authorization of [undefined, `Bearer ${token}`]) {
      const headers = { ...(authorization !== undefined && { authorization }) }
      const answer = await fetch(address, { method: 'POST', headers })
      expect(answer.status).toBe(401)
      expect(challengeOf(answer)).toContain('error="invalid_request"')
    }
  })
})

describe('the official client', () => {
  test('finds the issuer, registers, gets consent, calls, and asks for more when it needs it', async () => {
    const client = await oauthClient(running.url, redirectUrl)
    const call = (name: string, input: object) =>
      client.withConsent((caller) => caller.call(name, input))
    const stored = await call('store', { content: 'The boat is called Marjory.' })
    expect(stored.isError).toBe(false)
    expect(client.askedScopes).toEqual(['memory:read memory:write offline_access'])
    const exported = await call('export', {})
    expect(JSON.stringify(exported)).toContain('Marjory')
    const forgotten = await call('forget', { everything: true, dry_run: true })
    expect(forgotten.isError).toBe(false)
    const more = client.askedScopes.slice(1).map((scopes) => new Set(scopes.split(' ')))
    const first = ['memory:read', 'memory:write', 'offline_access', 'memory:export']
    expect(more).toEqual([new Set(first), new Set([...first, 'memory:forget'])])
    await client.close()
  })

  test('goes on by itself when its token has run out', async () => {
    const client = await oauthClient(short.url, redirectUrl)
    const first = client.provider.accessToken()
    await until(async () => (await callTool(short, first, 'recall')).status === 401)
    const listed = await client.withConsent((caller) => caller.toolNames())
    expect(listed.length).toBeGreaterThan(0)
    expect(client.provider.accessToken()).not.toBe(first)
    expect(client.askedScopes).toHaveLength(1)
    await client.close()
  })
})

describe('a token', () => {
  test('acts for its subject in a namespace of its own, which nobody else sees', async () => {
    const tokens = await Promise.all(['anna', 'ben'].map((sub) => running.issuer.sign({ sub })))
    const [anna = '', ben = ''] = tokens
    await structuredOf(await callTool(running, anna, 'store', { content: 'Anna rows at dawn.' }))
    const owners = async (token: string) =>
      results.parse(await structuredOf(await callTool(running, token, 'recall'))).results
    expect(await owners(anna)).toEqual([{ owner_agent: 'anna' }])
    expect(await owners(ben)).toEqual([])
    expect(await owners(running.apiKey)).toEqual([])
  })

  test.each([
    ['forget', 'memory:forget', { everything: true }],
    ['export', 'memory:export', {}],
  ])(
    '%s without its scope: 403 before anything runs, with all that the client needs to go on',
    async (tool, needed, input) => {
      const token = await running.issuer.sign({ sub: `without-${tool}` })
      const answer = await callTool(running, token, tool, input)
      expect(answer.status).toBe(403)
      expect(challengeOf(answer)).toBe(
        `Bearer realm="MindGlue", error="insufficient_scope", ` +
          `scope="memory:read memory:write ${needed}", resource_metadata="${metadataUrl()}"`,
      )
      const allowed = await running.issuer.sign({ sub: `without-${tool}`, scope: needed })
      expect((await callTool(running, allowed, tool, { ...input, dry_run: true })).status).toBe(200)
    },
  )

  test('forget by a question without the scope to read: 403 that names both scopes', async () => {
    const asked = { query: 'rowing' }
    const forgetting = await running.issuer.sign({ sub: 'no-reader', scope: 'memory:forget' })
    const answer = await callTool(running, forgetting, 'forget', asked)
    expect(answer.status).toBe(403)
    expect(challengeOf(answer)).toContain('scope="memory:forget memory:read"')
    const writing = await running.issuer.sign({ sub: 'no-reader', scope: 'memory:write' })
    const neither = await callTool(running, writing, 'forget', asked)
    expect(challengeOf(neither)).toContain('scope="memory:write memory:read memory:forget"')
    // What needs no look at memories does not ask for it.
    const dry = await callTool(running, forgetting, 'forget', { everything: true, dry_run: true })
    expect(dry.status).toBe(200)
    const both = await running.issuer.sign({ sub: 'reader', scope: 'memory:forget memory:read' })
    expect((await callTool(running, both, 'forget', asked)).status).toBe(200)
  })

  test('a prompt without its scope: 403 with a challenge, as for a tool', async () => {
    const token = await running.issuer.sign({ sub: 'without-read', scope: 'memory:write' })
    const message = { method: 'prompts/get', params: { name: 'continue' } }
    const answer = await sendMessage(running, token, message)
    expect(answer.status).toBe(403)
    expect(challengeOf(answer)).toContain('scope="memory:write memory:read"')
  })

  test('opens REST as it opens the protocol, with the same challenges', async () => {
    const get = async (token: string | undefined, path: string) => {
      const authorization = token === undefined ? undefined : `Bearer ${token}`
      const headers = { ...(authorization !== undefined && { authorization }) }
      return await fetch(`${origin()}${path}`, { headers })
    }
    const token = await running.issuer.sign({ sub: 'rest' })
    const none = await get(undefined, '/memory/export')
    expect(none.status).toBe(401)
    expect(challengeOf(none)).toContain(`resource_metadata="${metadataUrl()}"`)
    const lacking = await get(token, '/memory/export')
    expect(lacking.status).toBe(403)
    expect(challengeOf(lacking)).toContain('scope="memory:read memory:write memory:export"')
    const allowed = await running.issuer.sign({ sub: 'rest', scope: 'memory:export' })
    expect((await get(allowed, '/memory/export')).status).toBe(200)
  })

  test('never allows more than the configuration does, whatever it says', async () => {
    const token = await running.issuer.sign({ scope: 'admin memory:read everything' })
    const request = { channel: 'mcp-http', requestId: '' } as const
    const principal = await running.app.authenticator.authenticate(token, request)
    expect([...principal.scopes]).toEqual(['memory:read'])
    expect(principal.credential).toMatchObject({ kind: 'access-token', tools: undefined })
  })

  test('of a client that asked for no scope opens nothing, and says what to ask for', async () => {
    const token = await running.issuer.sign({ scope: undefined })
    const answer = await callTool(running, token, 'recall')
    expect(answer.status).toBe(403)
    expect(challengeOf(answer)).toContain('scope="memory:read", resource_metadata=')
  })

  test('may name the resource with a slash at its end, and no other', async () => {
    const status = async (aud: string | string[]) =>
      (await callTool(running, await running.issuer.sign({ aud }), 'recall')).status
    expect(await status(`${running.resource}/`)).toBe(200)
    expect(await status(['https://other.example', running.resource])).toBe(200)
    const others = [origin(), `${origin()}/`, `${running.resource}//`, `${running.resource}/x`]
    for (const aud of [...others, running.resource.toUpperCase(), [], '']) {
      expect([aud, await status(aud)]).toEqual([aud, 401])
    }
  })

  test('ends the streams it opened when it ends itself', async () => {
    const token = await short.issuer.sign({ exp: Math.floor(Date.now() / 1000) + 2 })
    const stream = await openStream(short, token)
    expect(stream.status).toBe(200)
    const started = performance.now()
    await stream.text()
    expect(performance.now() - started).toBeLessThan(7000)
  })

  test('of another client of the same person does not enter its session', async () => {
    const [mine = '', theirs = ''] = await Promise.all(
      ['one', 'two'].map((client_id) => running.issuer.sign({ client_id })),
    )
    const initialize = {
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'test', version: '1.0.0' },
      },
    }
    const opened = await sendMessage(running, mine, initialize)
    await opened.text()
    const headers = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
    const list = { method: 'tools/list', params: {} }
    expect((await sendMessage(running, theirs, list, { headers })).status).toBe(404)
    const refreshed = await running.issuer.sign({ client_id: 'one' })
    expect((await sendMessage(running, refreshed, list, { headers })).status).toBe(200)
  })

  test('that ran out never shuts out who has a right key at the same address', async () => {
    const expired = await short.issuer.sign({ exp: Math.floor(Date.now() / 1000) - 3600 })
    for (let sent = 0; sent < 5; sent++) {
      expect((await callTool(short, expired, 'recall')).status).toBe(401)
    }
    expect((await callTool(short, short.apiKey, 'recall')).status).toBe(200)
    expect((await callTool(short, await short.issuer.sign(), 'recall')).status).toBe(200)
  })

  test('goes nowhere: neither the issuer nor the embedder is sent it', async () => {
    const seen: string[] = []
    const embedder = await serveLoopback((request, response) => {
      seen.push(JSON.stringify([request.url, request.rawHeaders]))
      request.on('data', (part: Buffer) => seen.push(part.toString()))
      request.on('end', () => {
        const data = [{ index: 0, embedding: [1, 0, 0] }]
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ data }))
      })
    })
    const remote = await startOAuthApp({
      environment: {
        MINDGLUE_EMBEDDER: 'openai',
        MINDGLUE_EMBEDDER_URL: embedder.url,
        MINDGLUE_EMBEDDER_MODEL: 'm',
        MINDGLUE_EMBEDDER_DIMENSION: '3',
      },
    })
    try {
      const token = await remote.issuer.sign()
      const answer = await callTool(remote, token, 'recall', { query: 'boats at dawn' })
      expect(answer.status).toBe(200)
      expect(await answer.text()).not.toContain(token)
      expect(seen.join('\n')).toContain('boats at dawn')
      expect([...seen, ...remote.issuer.asked].join('\n')).not.toContain(token.slice(-40))
    } finally {
      await remote.close()
    }
  })
})

describe('the mapping', () => {
  const verify = async (environment: Environment, claims: object, header: object = {}) => {
    const { issuer, publicKey } = running.issuer
    const config = loadConfig({
      MINDGLUE_PUBLIC_URL: origin(),
      MINDGLUE_OAUTH_ISSUER: issuer,
      MINDGLUE_NAMESPACE: 'team',
      ...environment,
    })
    const keys = createLocalJWKSet({ keys: [{ kty: 'EC', ...publicKey }] })
    const tokens = createAccessTokens({ ...config, issuer, audience: running.resource }, keys)
    return await tokens.verify(await running.issuer.sign({ ...claims }, { ...header }))
  }

  test('to one namespace for everybody, as the agent that a claim names', async () => {
    const environment = {
      MINDGLUE_OAUTH_NAMESPACE: 'configured',
      MINDGLUE_OAUTH_AGENT_CLAIM: 'https://claims.example/agent',
    }
    const claims = { 'https://claims.example/agent': 'Clara Ø' }
    const holder = await verify(environment, claims)
    expect(holder).toMatchObject({ namespaceName: 'team', agent: 'Clara Ø' })
  })

  test('to the namespace that a claim names', async () => {
    const environment = { MINDGLUE_OAUTH_NAMESPACE: 'claim' }
    const holder = await verify(environment, { mindglue_namespace: 'blue.team' })
    expect(holder.namespaceName).toBe('blue.team')
    for (const name of ['Blue', '', '../x', 'a'.repeat(64), 7, null, ['blue'], undefined]) {
      const refused = verify(environment, { mindglue_namespace: name })
      await expect(refused).rejects.toMatchObject({ code: 'insufficient_scope' })
    }
  })

  test('to a namespace that is one subject of one issuer, and tells neither', async () => {
    const { namespaceName } = await verify({}, { sub: 'anna@example.org' })
    expect(namespaceName).toBe(userNamespace(running.issuer.issuer, 'anna@example.org'))
    expect(namespaceName).toMatch(/^user-[0-9a-f]{40}$/u)
    expect(userNamespace('https://a.example', 'x')).not.toBe(
      userNamespace('https://b.example', 'x'),
    )
    expect(userNamespace('a","b', 'c')).not.toBe(userNamespace('a', 'b","c'))
  })

  test('refuses the name of the jobs of the server as agent', async () => {
    const refused = { code: 'insufficient_scope' }
    await expect(verify({}, { sub: 'mindglue' })).rejects.toMatchObject(refused)
    expect((await verify({}, { sub: 'Mindglue' })).agent).toBe('Mindglue')
  })

  test('refuses an agent that is no name', async () => {
    for (const sub of [' a', 'a\nb', 'a'.repeat(129), 'a\u0085b']) {
      await expect(verify({}, { sub })).rejects.toMatchObject({ code: 'insufficient_scope' })
    }
  })

  test("of scopes by the issuer's names, from a claim that lists them", async () => {
    const environment = {
      MINDGLUE_OAUTH_SCOPE_CLAIM: 'scp',
      MINDGLUE_OAUTH_SCOPE_NAMES: 'Memory.Read=memory:read, Memory.Forget=memory:forget',
    }
    const scp = ['Memory.Read', 'memory:forget', 'memory:write', '__proto__']
    const { scopes } = await verify(environment, { scp })
    expect([...scopes]).toEqual(['memory:read', 'memory:write'])
  })

  test('accepts other types of token only where that was configured, and ID tokens never', async () => {
    const lenient = { MINDGLUE_OAUTH_TOKEN_TYPE: 'any' }
    const refused = { code: 'unauthenticated' }
    for (const typ of ['JWT', undefined]) {
      await expect(verify({}, {}, { typ })).rejects.toMatchObject(refused)
      expect((await verify(lenient, { jti: undefined }, { typ })).agent).toBe('ada')
    }
    for (const claims of [{ nonce: 'n' }, { at_hash: 'h' }, { token_use: 'id' }, { typ: 'ID' }]) {
      await expect(verify(lenient, claims, { typ: 'JWT' })).rejects.toMatchObject(refused)
    }
    await expect(verify(lenient, {}, { typ: 'logout+jwt' })).rejects.toMatchObject(refused)
    const noScopes = verify(lenient, { scope: undefined }, { typ: 'JWT' })
    await expect(noScopes).rejects.toMatchObject({ code: 'insufficient_scope' })
  })
})
