/** Programs that people let in: listed by who may end them, and out within five seconds wherever they are. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createClientTokens } from '../../src/accounts/client-tokens.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import {
  authorize,
  Browser,
  joined,
  password,
  redeem,
  refresh,
  register,
  tokensOf,
  type Tokens,
} from '../support/authorization.ts'
import { callTool, openStream } from '../support/keys.ts'
import { until } from '../support/until.ts'

const promisedMs = 5000

let running: AccountsApp
const browsers: Record<string, Browser> = {}
beforeAll(async () => {
  running = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
  await joined(running, 'ada@example.org', 'lab', 'admin')
  await joined(running, 'ben@example.org', 'lab')
}, 120_000)
afterAll(() => running.close())

async function letIn(email: string, client?: string): Promise<Tokens & { client: string }> {
  const browser = (browsers[email] ??= new Browser())
  const wanted = { email, namespace: 'lab', browser, ...(client !== undefined && { client }) }
  const authorized = await authorize(running.origin, wanted)
  const tokens = await tokensOf(await redeem(running.origin, authorized))
  return { ...tokens, client: authorized.client }
}
const statusOf = async (token: string) => {
  const answer = await callTool(running, token, 'recall')
  await answer.text()
  return answer.status
}
const ended = (token: string) =>
  until(async () => (await statusOf(token)) === 401, { timeoutMs: promisedMs, what: 'a refusal' })
const operator = (namespaceName = 'lab') =>
  running.app.principal({ namespaceName, agent: 'operator', channel: 'cli' })
const list = async (namespaceName?: string) => {
  const { execute, operations } = running.app
  return (await execute(operations.clientList, await operator(namespaceName), {})).clients
}
const log = async (action: string) => {
  const { execute, operations } = running.app
  return (await execute(operations.auditQuery, await operator(), { action })).events
}
const ownShape = z.object({ clients: z.array(z.looseObject({ client: z.string() })) })

describe('a person', () => {
  test('sees what is let in, where it leads to and what it may do, and shuts it out', async () => {
    const mine = await letIn('ben@example.org')
    const hers = await letIn('ada@example.org', mine.client)
    const account = await running.logIn('ben@example.org', password)
    const listed = await running.get('/clients', { token: account })
    expect(ownShape.parse(await listed.json()).clients).toMatchObject([
      {
        client: mine.client,
        name: 'A test',
        redirects: ['this computer (127.0.0.1)'],
        scopes: ['memory:read', 'memory:write'],
        namespace: 'lab',
      },
    ])
    const revoke = () =>
      running.post('/clients/revoke', { client: mine.client }, { token: account })
    const revoked = await revoke()
    expect(revoked.status).toBe(204)
    await ended(mine.access_token)
    const [event] = await log('client.end')
    expect(event).toMatchObject({
      agent: 'ben',
      request_id: revoked.headers.get('x-request-id'),
      counts: { clients: 1 },
    })
    const allowed = (await log('client.allow')).filter(({ agent }) => agent === 'ben')
    expect(allowed.flatMap(({ resource_ids: ids }) => ids)).toEqual(event?.resource_ids)
    expect((await refresh(running.origin, mine.client, mine.refresh_token)).status).toBe(400)
    // Of nobody else, and once.
    expect(await statusOf(hers.access_token)).toBe(200)
    expect((await revoke()).status).toBe(404)
  })

  test('without a session, or with the token of a client itself, sees and ends nothing', async () => {
    const { access_token: token, client } = await letIn('ben@example.org')
    for (const sent of [{}, { token }]) {
      expect((await running.get('/clients', sent)).status).toBe(401)
      expect((await running.post('/clients/revoke', { client }, sent)).status).toBe(401)
    }
    expect(await statusOf(token)).toBe(200)
  })
})

describe('an administrator', () => {
  test('sees who let in what, in this namespace alone, and ends it of one or of all', async () => {
    const client = await register(running.origin, 'http://127.0.0.1:33418/callback')
    const ben = await letIn('ben@example.org', client)
    const ada = await letIn('ada@example.org', client)
    const entries = (await list()).filter((entry) => entry.client === client)
    expect(entries.map(({ email, agent }) => [email, agent])).toEqual([
      ['ada@example.org', 'ada'],
      ['ben@example.org', 'ben'],
    ])
    expect(await list('elsewhere')).toEqual([])
    const { execute, operations } = running.app
    const one = { client, email: 'ben@example.org' }
    const elsewhere = execute(operations.clientRevoke, await operator('elsewhere'), one)
    await expect(elsewhere).rejects.toMatchObject({ code: 'not_found' })
    expect(await execute(operations.clientRevoke, await operator(), one)).toEqual({
      client,
      revoked: 1,
    })
    await ended(ben.access_token)
    expect(await statusOf(ada.access_token)).toBe(200)
    await execute(operations.clientRevoke, await operator(), { client })
    await ended(ada.access_token)
  })

  test('does the same over REST, and a member may not', async () => {
    const { client, access_token: token } = await letIn('ben@example.org')
    const tokenFor = async (email: string) => {
      const account = await running.logIn(email, password)
      const answer = await running.post('/token', { namespace: 'lab' }, { token: account })
      return z.object({ access_token: z.string() }).parse(await answer.json()).access_token
    }
    const ask = async (as: string, path: string, body?: object) => {
      const headers = { authorization: `Bearer ${as}`, 'content-type': 'application/json' }
      const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
      return await fetch(`${running.origin}${path}`, { headers, ...init })
    }
    const [admin, member] = [await tokenFor('ada@example.org'), await tokenFor('ben@example.org')]
    expect((await ask(member, '/clients')).status).toBe(403)
    expect((await ask(token, '/clients')).status).toBe(403)
    const page = await ask(admin, '/clients?limit=1')
    expect(page.headers.get('link')).toContain('after_client=')
    const all = ownShape.parse(await (await ask(admin, '/clients')).json())
    expect(all.clients.map((entry) => entry.client)).toContain(client)
    expect((await ask(admin, '/clients/revoke', { client })).status).toBe(200)
    await ended(token)
  })
})

test('a client does what the role of its person says now, whatever was agreed to', async () => {
  await joined(running, 'cleo@example.org', 'lab')
  const { access_token: token } = await letIn('cleo@example.org')
  const stores = async () => {
    const answer = await callTool(running, token, 'store', { content: 'Tea at five.' })
    await answer.text()
    return answer.status
  }
  expect(await stores()).toBe(200)
  const { execute, operations } = running.app
  const input = { email: 'cleo@example.org', role: 'reader' } as const
  await execute(operations.memberSet, await operator(), input)
  await until(async () => (await stores()) === 403, { timeoutMs: promisedMs, what: 'a refusal' })
  expect(await statusOf(token)).toBe(200)
})

test('taking back acts on streams that are open, and in a process that had just looked', async () => {
  const { client, access_token: token } = await letIn('ben@example.org')
  const { app } = running
  const other = createClientTokens({
    issuer: running.origin,
    audience: `${running.origin}/mcp`,
    signingKeys: app.accounts?.signingKeys ?? never(),
    inDirectory: (work) => app.scope.withDirectory(work),
    scopes: ['memory:read'],
  })
  const stream = await openStream(running, token)
  expect([stream.status, (await other.verify(token)).agent]).toEqual([200, 'ben'])
  const started = performance.now()
  await app.execute(app.operations.clientRevoke, await operator(), { client })
  const isOut = () =>
    other.verify(token).then(
      () => false,
      () => true,
    )
  await until(isOut, { timeoutMs: promisedMs, what: 'the other process' })
  await stream.text()
  expect(performance.now() - started).toBeLessThan(promisedMs + 1000)
})

function never(): never {
  throw new Error('there are no accounts')
}
