/** REST over a running server: addresses, statuses, headers, pages, streams, and what is refused. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { allScopes } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { callTool, issueKey } from '../support/keys.ts'
import { restClient, sendRest, type RestReply } from '../support/rest.ts'

let app: TestApp
let call: ReturnType<typeof restClient>

beforeAll(async () => {
  app = await startTestApp({
    environment: {
      MINDGLUE_ALLOWED_ORIGINS: 'https://app.example',
      MINDGLUE_BODY_BYTES_MAX: '65536',
    },
  })
  call = restClient(app)
}, 120_000)
afterAll(() => app.close())

/** A client in a namespace of its own. */
async function freshClient(scopes: readonly (typeof allScopes)[number][] = allScopes) {
  const { key } = await issueKey(app, `rest-${randomUUID().slice(0, 8)}`, { scopes: [...scopes] })
  return restClient(app, key)
}

const stored = z.object({ results: z.array(z.object({ id: z.uuid(), status: z.string() })) })
const idOf = (reply: RestReply): string => stored.parse(reply.body).results[0]?.id ?? ''
const codeOf = ({ status, headers, body }: RestReply): unknown =>
  headers['content-type'] === 'application/problem+json' &&
  body['status'] === status &&
  body['code']

describe('a memory', () => {
  test('has an address, a version as its tag, a history, and is gone when it was deleted', async () => {
    const made = await call('POST', '/memory', { content: 'Ada keeps her skis in Bern.' })
    expect(made.status).toBe(201)
    const address = String(made.headers['location'])
    expect(address).toBe(`/memory/${idOf(made)}`)
    expect(made.headers['etag']).toBe('"1"')
    const read = await call('GET', address)
    expect(read).toMatchObject({ status: 200, body: { id: idOf(made), version: 1 } })
    expect(read.headers['etag']).toBe('"1"')
    expect(read.headers['link']).toBe(`<${address}/history>; rel="version-history"`)
    const history = await call('GET', `${address}/history`)
    expect(history.body).toMatchObject({ results: [{ id: idOf(made), is_current: true }] })
    const forgotten = await call('DELETE', address)
    expect(forgotten.body).toMatchObject({ status: 'forgotten', memories: 1 })
    for (const path of [address, `${address}/history`]) {
      expect(codeOf(await call('GET', path))).toBe('not_found')
    }
    expect(codeOf(await call('DELETE', address))).toBe('not_found')
  })

  test('is changed under If-Match, retired, restored and pinned, each with its new tag', async () => {
    const made = await call('POST', '/memory', { content: 'The sauna is booked for seven.' })
    const address = String(made.headers['location'])
    const change = { content: 'The sauna is booked for eight.' }
    const send = (tag: string) => call('PATCH', address, change, { 'if-match': tag })
    const edited = await send('"1"')
    expect(edited).toMatchObject({ status: 200, body: { results: [{ status: 'edited' }] } })
    expect(edited.headers['etag']).toBe('"2"')
    expect(codeOf(await send('"1"'))).toBe('precondition_failed')
    expect((await call('POST', `${address}/retire`, { retire: 'cancelled' })).status).toBe(200)
    expect(codeOf(await call('GET', address))).toBe('not_found')
    const restored = await call('POST', `${address}/restore`, { restore_version: 1 })
    expect(restored.headers['etag']).toBe('"4"')
    expect((await call('POST', `${address}/pin`, { pin: true })).headers['etag']).toBe('"4-pinned"')
    expect((await call('GET', address)).body).toMatchObject({ pinned: true, version: 4 })
    const history = await call('GET', `${address}/history`)
    expect(history.body).toHaveProperty('results.length', 4)
    expect((await call('DELETE', address)).body).toMatchObject({ memories: 1, versions: 4 })
  })

  test('that was there already is answered with 200 and its own address, and no tag', async () => {
    const content = 'Grace takes the 7:12 train.'
    const first = await call('POST', '/memory', { content })
    const second = await call('POST', '/memory', { content })
    expect([first.status, second.status]).toEqual([201, 200])
    expect(second.headers['location']).toBe(first.headers['location'])
    expect(second.headers['etag']).toBeUndefined()
  })

  test('is stored once for one Idempotency-Key, and the key is refused for another request', async () => {
    const send = (content: string, key: string) =>
      call('POST', '/memory', { content }, { 'idempotency-key': key })
    const first = await send('The boiler was serviced.', '"boiler-1"')
    const again = await send('The boiler was serviced.', 'boiler-1')
    expect(again.body).toMatchObject({ replayed: true, results: [{ id: idOf(first) }] })
    expect(codeOf(await send('The boiler is broken.', '"boiler-1"'))).toBe('conflict')
    const twice = { content: 'x', idempotency_key: 'a' }
    const differing = await call('POST', '/memory', twice, { 'idempotency-key': '"b"' })
    expect(codeOf(differing)).toBe('invalid_input')
  })

  test('of another namespace is not there', async () => {
    const other = await freshClient()
    const id = idOf(await other('POST', '/memory', { content: 'A secret of others.' }))
    for (const [method, path] of [
      ['GET', `/memory/${id}`],
      ['GET', `/memory/${id}/history`],
      ['DELETE', `/memory/${id}`],
    ] as const) {
      expect(codeOf(await call(method, path))).toBe('not_found')
    }
    expect((await other('GET', `/memory/${id}`)).status).toBe(200)
  })
})

describe('many memories', () => {
  test('are listed page by page along the links until there is none', async () => {
    const own = await freshClient()
    const memories = Array.from({ length: 5 }, (_, item) => ({ content: `Shelf ${item} is full.` }))
    expect((await own('POST', '/memory/batch', { memories })).body).toMatchObject({ stored: 5 })
    for (const [start, list] of [
      ['/memory?limit=2', 'results'],
      ['/memory/export?limit=2', 'count'],
      ['/audit?limit=2', 'events'],
    ] as const) {
      let [next, seen, pages]: [string | undefined, number, number] = [start, 0, 0]
      while (next !== undefined && pages < 20) {
        const reply: RestReply = await own('GET', next)
        expect(reply.status).toBe(200)
        const entries = reply.body[list]
        seen += Array.isArray(entries) ? entries.length : Number(entries)
        next = /^<(?<next>[^>]+)>; rel="next"$/u.exec(String(reply.headers['link'] ?? ''))
          ?.groups?.['next']
        pages += 1
      }
      expect(seen).toBeGreaterThanOrEqual(5)
      expect(pages).toBeGreaterThanOrEqual(3)
    }
  })

  test('are deleted only with the token of what was counted', async () => {
    const own = await freshClient()
    const memories = [1, 2, 3].map((item) => ({ content: `Note ${item}.`, session: 'kitchen' }))
    await own('POST', '/memory/batch', { memories })
    const counted = await own('DELETE', '/memory?session=kitchen&dry_run=true')
    expect(counted.body).toMatchObject({ status: 'dry_run', memories: 3 })
    const asked = await own('DELETE', '/memory?session=kitchen')
    expect(codeOf(asked)).toBe('confirmation_required')
    const details = z
      .object({ memories: z.literal(3), confirm_token: z.string() })
      .parse(asked.body['details'])
    expect((await own('GET', '/memory')).body['results']).toHaveLength(3)
    const path = `/memory?session=kitchen&confirm_token=${details.confirm_token}`
    expect((await own('DELETE', path)).body).toMatchObject({ status: 'forgotten', memories: 3 })
    expect(codeOf(await own('DELETE', path))).toBe('not_found')
  })

  test('named in a body are forgotten the same way', async () => {
    const own = await freshClient()
    const id = idOf(await own('POST', '/memory', { content: 'The Wi-Fi code is on the fridge.' }))
    const reply = await own('POST', '/memory/forget', { ids: [id] })
    expect(reply.body).toMatchObject({ status: 'forgotten', memories: 1 })
  })

  test('are exported in one streamed answer that can be imported elsewhere', async () => {
    const own = await freshClient()
    const memories = Array.from({ length: 7 }, (_, item) => ({ content: `Book ${item} is lent.` }))
    await own('POST', '/memory/batch', { memories })
    const accept = { accept: 'application/x-ndjson' }
    const reply = await own('GET', '/memory/export?limit=2', undefined, accept)
    expect(reply.headers['content-type']).toBe('application/x-ndjson; charset=utf-8')
    const lines = reply.text
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    const operator = await app.app.principal({
      namespaceName: 'elsewhere',
      agent: 'operator',
      channel: 'cli',
    })
    const { operations, execute } = app.app
    expect(await execute(operations.import, operator, { lines })).toMatchObject({ imported: 7 })
    const markdown = await own('GET', '/memory/export', undefined, { accept: 'text/markdown' })
    expect(markdown.text.match(/Book \d is lent/gu)).toHaveLength(7)
  })
})

describe('a streamed export', () => {
  test('that is refused has the status of the refusal', async () => {
    const reader = await freshClient(['memory:read'])
    const accept = { accept: 'application/x-ndjson' }
    const reply = await reader('GET', '/memory/export', undefined, accept)
    expect(codeOf(reply)).toBe('insufficient_scope')
    expect(reply.headers['www-authenticate']).toContain('scope="memory:export"')
  })
})

describe('requests that are refused', () => {
  test('say the media type, the method or the address that is wrong', async () => {
    const text = await call('POST', '/memory', 'content=x', { 'content-type': 'text/plain' })
    expect([text.status, codeOf(text)]).toEqual([415, 'unsupported_media_type'])
    const put = await call('PUT', '/memory')
    expect([put.status, codeOf(put)]).toEqual([405, 'method_not_allowed'])
    expect(put.headers['allow']).toBe('POST, GET, HEAD, DELETE')
    expect((await call('GET', '/memory/batch')).status).toBe(405)
    expect(codeOf(await call('GET', '/memories'))).toBe('not_found')
  })

  test.each([
    ['no JSON', 'POST', '/memory', '{"content":'],
    ['a list', 'POST', '/memory', []],
    ['nesting without end', 'POST', '/memory', '['.repeat(5000)],
    ['a field of another route', 'POST', '/memory', { memories: [{ content: 'x' }] }],
    ['an unknown field', 'POST', '/memory/recall', { question: 'x' }],
    ['no body', 'POST', '/memory', undefined],
    ['a query beside a body', 'POST', '/memory?content=x', { content: 'x' }],
    ['text for a number', 'GET', '/memory?limit=ten', undefined],
    ['a name twice', 'GET', '/memory?limit=1&limit=2', undefined],
    ['no id', 'GET', '/memory/nothing', undefined],
    ['an id in the query as well', 'DELETE', `/memory/${randomUUID()}?ids=x`, undefined],
  ])('%s is answered with 400 and the place', async (_what, method, path, body) => {
    const reply = await call(method, path, body)
    expect([reply.status, codeOf(reply)]).toEqual([400, 'invalid_input'])
    expect(reply.body['details']).toHaveProperty('issues')
  })

  test('a body that is no UTF-8 is refused, not stored with its bytes replaced', async () => {
    const response = await fetch(`${app.listener.origin}/memory`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app.apiKey}`, 'content-type': 'application/json' },
      body: Buffer.concat([Buffer.from('{"content":"'), Buffer.of(0xff, 0xfe), Buffer.from('"}')]),
    })
    expect(response.status).toBe(400)
  })

  test('a body above the limit is refused', async () => {
    const reply = await call('POST', '/memory', { content: 'x'.repeat(70_000) })
    expect([reply.status, codeOf(reply)]).toEqual([413, 'payload_too_large'])
  })

  test('a key that is narrowed to some tools does nothing else', async () => {
    const { key } = await issueKey(app, 'narrow', { scopes: [...allScopes], tools: ['recall'] })
    const narrow = restClient(app, key)
    expect((await narrow('GET', '/memory')).status).toBe(200)
    expect((await narrow('POST', '/memory/recall', {})).status).toBe(200)
    for (const [method, path, body] of [
      ['POST', '/memory', { content: 'x' }],
      ['GET', '/memory/export', undefined],
      ['GET', '/keys', undefined],
    ] as const) {
      expect((await narrow(method, path, body)).status).toBe(403)
    }
  })

  test("what a namespace holds is an administrator's to know: private memories count", async () => {
    const namespaceName = `counted-${randomUUID().slice(0, 8)}`
    const scopes = allScopes.filter((scope) => scope !== 'admin')
    const { key } = await issueKey(app, namespaceName, { scopes, agent: 'bob' })
    expect(codeOf(await restClient(app, key)('GET', '/usage'))).toBe('insufficient_scope')
    expect(await (await callTool(app, key, 'usage.read')).text()).not.toContain('held')
    const { execute, operations } = app.app
    const bob = await app.app.principal({ namespaceName, agent: 'bob', channel: 'rest' })
    const refused = { code: 'insufficient_scope' }
    await expect(execute(operations.usageRead, bob, {})).rejects.toMatchObject(refused)
    const admin = await issueKey(app, namespaceName, { scopes: ['admin'] })
    const { body } = await restClient(app, admin.key)('GET', '/usage')
    expect(body).toMatchObject({ memories: { held: 0 } })
  })

  test('an Idempotency-Key is refused where a repeat would do it again', async () => {
    const admin = await freshClient()
    const header = { 'idempotency-key': '"k"' }
    expect(codeOf(await admin('POST', '/keys', { agent: 'x' }, header))).toBe('unsupported')
    expect((await admin('POST', '/memory/recall', {}, header)).status).toBe(200)
  })
})

describe('every answer', () => {
  const security = {
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  }

  test('carries the security headers, whoever asks for what', async () => {
    for (const path of ['/memory', '/nothing', '/docs', '/openapi.json', '/mcp']) {
      const { headers } = await call('GET', path)
      expect(headers).toMatchObject(security)
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'/u)
      expect(headers['strict-transport-security']).toBeUndefined()
    }
    const refused = await sendRest(app.listener.origin, { path: '/memory' })
    expect(refused.status).toBe(401)
    expect(refused.headers).toMatchObject(security)
  })

  test('is read by pages of listed origins only', async () => {
    const allowed = async (origin: string) =>
      (await call('GET', '/memory', undefined, { origin })).headers['access-control-allow-origin']
    expect(await allowed('https://app.example')).toBe('https://app.example')
    expect(await allowed('http://localhost:5173')).toBeUndefined()
    const preflight = await call('OPTIONS', '/memory', undefined, {
      origin: 'http://localhost:5173',
      'access-control-request-method': 'POST',
    })
    expect(preflight.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('says nothing to pages where no page asked, and that it varies by who asks and what they take', async () => {
    const page = { origin: 'https://app.example' }
    const gzip = { 'accept-encoding': 'gzip' }
    for (const headers of [{}, page, gzip, { ...page, ...gzip }]) {
      const reply = await call('GET', '/memory', undefined, headers)
      const varies = String(reply.headers['vary']).toLowerCase().split(/, ?/u).toSorted()
      expect(varies).toEqual(['accept-encoding', 'origin'])
      const exposed = reply.headers['access-control-expose-headers']
      expect(exposed === undefined).toBe(!('origin' in headers))
    }
    const refused = await call('GET', '/nothing')
    expect(refused.headers['vary']).toMatch(/origin/iu)
  })

  test('is compressed for who takes that, but not where its tag must stay strong', async () => {
    const own = await freshClient()
    const memories = Array.from({ length: 10 }, (_, item) => ({
      content: `${item} ${'a long tale '.repeat(40)}`,
    }))
    const made = await own('POST', '/memory/batch', { memories })
    const gzip = { 'accept-encoding': 'gzip' }
    const small = await own('GET', '/memory', undefined, gzip)
    expect(small.headers['content-encoding']).toBe('gzip')
    expect(small.headers['content-length']).toBeUndefined()
    const plain = await own('GET', '/memory')
    expect(plain.headers['content-encoding']).toBeUndefined()
    expect(plain.headers['content-length']).toBe(String(Buffer.byteLength(plain.text)))
    const one = await own('GET', `/memory/${idOf(made)}`, undefined, gzip)
    expect(one.headers['content-encoding']).toBeUndefined()
    expect(one.headers['etag']).toBe('"1"')
  })

  test('to HEAD is that to GET without its body', async () => {
    const reply = await call('HEAD', '/memory')
    expect([reply.status, reply.text]).toEqual([200, ''])
  })

  test('says where the limits stand', async () => {
    const limited = await startTestApp({ environment: { MINDGLUE_LIMITS: 'on' } })
    try {
      const one = restClient(limited)
      const { headers } = await one('GET', '/plans')
      expect(headers['ratelimit-policy']).toBe('"namespace";q=60;w=60')
      expect(headers['ratelimit']).toMatch(/^"namespace";r=59;t=\d+$/u)
      const replies = await Promise.all(Array.from({ length: 60 }, () => one('GET', '/plans')))
      const refused = replies.filter(({ status }) => status === 429)
      expect(refused).toHaveLength(1)
      expect(refused.map(codeOf)).toEqual(['rate_limited'])
      expect(Number(refused[0]?.headers['retry-after'])).toBeGreaterThan(0)
    } finally {
      await limited.close()
    }
  }, 120_000)
})
