/** The streamable HTTP endpoint over a small protocol server: eras, sessions, owners, refusals. */
import { McpServer } from '@modelcontextprotocol/server'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { AppError } from '../../src/errors.ts'
import { createListener, type Listener } from '../../src/http/listener.ts'
import { createMcpEndpoint, type McpEndpoint } from '../../src/mcp/http.ts'
import { testPrincipal } from '../support/principal.ts'
import { until } from '../support/until.ts'

const modern = '2026-07-28'
const legacy = '2025-11-25'
const meta = {
  'io.modelcontextprotocol/protocolVersion': modern,
  'io.modelcontextprotocol/clientCapabilities': {},
}

interface Started {
  readonly listener: Listener
  readonly endpoint: McpEndpoint
  /** How many protocol servers were made. */
  readonly servers: () => number
  /** How many calls of `wait` saw that their client gave up. */
  readonly cancelled: () => number
  readonly publish: (namespace: bigint, uri: string) => void
}

const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()))
})

/** The bearer of these tests is `agent@namespace`. */
async function start({ sessionIdleMs = 60_000 } = {}): Promise<Started> {
  let servers = 0
  let cancelled = 0
  const listeners = new Set<(namespace: bigint, uri: string) => void>()
  const endpoint = createMcpEndpoint({
    sessionIdleMs,
    serverFor: (principal) => {
      servers++
      const server = new McpServer(
        { name: 'small', version: '1.0.0' },
        { capabilities: { resources: { subscribe: true } } },
      )
      const who = { description: 'Says who calls', inputSchema: z.object({}) }
      server.registerTool('who', who, () => ({
        content: [{ type: 'text', text: `${principal.agent}@${principal.namespace}` }],
      }))
      const wait = { description: 'Waits to be cancelled', inputSchema: z.object({}) }
      server.registerTool('wait', wait, async (_input, { mcpReq }) => {
        await new Promise((resolve) => mcpReq.signal.addEventListener('abort', resolve))
        cancelled++
        return { content: [] }
      })
      return server
    },
    changes: (principal, listener) => {
      const forward = (namespace: bigint, uri: string): void => {
        if (namespace === principal.namespace) listener({ kind: 'resource_updated', uri })
      }
      listeners.add(forward)
      return () => listeners.delete(forward)
    },
    subscribable: (principal, uris) =>
      Promise.resolve(uris.filter((uri) => uri.startsWith(`memory://${principal.namespace}/`))),
  })
  const listener = await createListener({
    host: '127.0.0.1',
    port: 0,
    hosts: [],
    origins: [],
    bodyBytesMax: 4 * 1024 * 1024,
    drainSeconds: 1,
    authenticator: {
      required: true,
      authenticate: (request, requestId) => {
        const bearer = request.headers.get('authorization')?.replace('Bearer ', '')
        const [agent, namespace] = bearer?.split('@') ?? []
        if (agent === undefined || namespace === undefined) {
          return Promise.reject(new AppError('unauthenticated', 'Send a key.'))
        }
        return Promise.resolve(testPrincipal({ agent, namespace: BigInt(namespace), requestId }))
      },
    },
    mounts: [{ path: '/mcp', ...endpoint }],
  })
  open.push(listener)
  return {
    listener,
    endpoint,
    servers: () => servers,
    cancelled: () => cancelled,
    publish: (namespace, uri) => listeners.forEach((forward) => forward(namespace, uri)),
  }
}

interface Sent {
  readonly as?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly signal?: AbortSignal
}

function send(listener: Listener, { as = 'anna@1', method = 'POST', ...sent }: Sent) {
  const { body, headers, signal } = sent
  return fetch(`${listener.origin}/mcp`, {
    method,
    headers: {
      authorization: `Bearer ${as}`,
      accept: 'application/json, text/event-stream',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  })
}

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: legacy,
    capabilities: {},
    clientInfo: { name: 'test', version: '1.0.0' },
  },
}

async function openSession(listener: Listener, as = 'anna@1'): Promise<string> {
  const response = await send(listener, { as, body: initialize })
  await response.text()
  const id = response.headers.get('mcp-session-id')
  if (id === null) throw new Error('no session')
  return id
}

const call = (name: string, id: number | string = 2) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: {} },
})
const modernCall = (name: string) => {
  const plain = call(name)
  return { ...plain, params: { ...plain.params, _meta: meta } }
}
const modernHeaders = (method: string, name?: string) => ({
  'mcp-protocol-version': modern,
  'mcp-method': method,
  ...(name !== undefined && { 'mcp-name': name }),
})

const anyError = z.object({ error: z.object({ code: z.number() }) })
const codeOf = async (response: Response) => anyError.parse(await response.json()).error.code

describe('2026-07-28', () => {
  test('a request is served by itself, for the principal of that request', async () => {
    const { listener } = await start()
    for (const as of ['anna@1', 'bert@2']) {
      const headers = modernHeaders('tools/call', 'who')
      const response = await send(listener, { as, headers, body: modernCall('who') })
      expect(await response.text()).toContain(as)
      expect(response.headers.get('mcp-session-id')).toBeNull()
    }
  })

  test('GET, DELETE and other methods are 405', async () => {
    const { listener } = await start()
    for (const method of ['GET', 'DELETE', 'PUT', 'PATCH']) {
      const response = await send(listener, { method })
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe('POST')
    }
  })

  test.each([
    ['an unknown method', modernHeaders('nothing/here'), 'nothing/here', 404, -32_601],
    ['a method that the header contradicts', modernHeaders('tools/list'), 'ping', 400, -32_020],
    [
      'an unknown version',
      { ...modernHeaders('tools/list'), 'mcp-protocol-version': '2099-01-01' },
      'tools/list',
      400,
      undefined,
    ],
  ])('%s is refused', async (_what, headers, method, status, code) => {
    const { listener } = await start()
    const body = { jsonrpc: '2.0', id: 1, method, params: { _meta: meta } }
    const response = await send(listener, { headers, body })
    expect(response.status).toBe(status)
    if (code !== undefined) expect(await codeOf(response)).toBe(code)
  })

  test('closing the stream of a call cancels it', async () => {
    const { listener, servers, cancelled } = await start()
    const ending = new AbortController()
    const headers = modernHeaders('tools/call', 'wait')
    const { signal } = ending
    const waiting = send(listener, { headers, body: modernCall('wait'), signal })
    const cut = expect(waiting).rejects.toThrow(/abort/u)
    await until(() => servers() === 1)
    ending.abort()
    await cut
    await until(() => cancelled() === 1)
  })

  test('a listener hears of its own namespace only, and the acknowledgement says so', async () => {
    const { listener, publish } = await start()
    const own = 'memory://1/a'
    const foreign = 'memory://2/b'
    const body = {
      jsonrpc: '2.0',
      id: 'sub',
      method: 'subscriptions/listen',
      params: { notifications: { resourceSubscriptions: [own, foreign] }, _meta: meta },
    }
    const headers = modernHeaders('subscriptions/listen')
    const response = await send(listener, { headers, body })
    const frames = framesOf(response)
    expect(await frames.next()).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { resourceSubscriptions: [own] } },
    })
    publish(2n, foreign)
    publish(2n, own)
    publish(1n, foreign)
    publish(1n, own)
    expect(await frames.next()).toMatchObject({
      method: 'notifications/resources/updated',
      params: { uri: own },
    })
    await frames.end()
  })

  test('one principal may hold 32 listening streams, others are not affected', async () => {
    const { listener } = await start()
    const body = {
      jsonrpc: '2.0',
      id: 'sub',
      method: 'subscriptions/listen',
      params: { notifications: { resourceSubscriptions: ['memory://1/a'] }, _meta: meta },
    }
    const listen = async (as: string) => {
      const headers = modernHeaders('subscriptions/listen')
      const uri = `memory://${as.split('@')[1]}/a`
      const own = { resourceSubscriptions: [uri] }
      return framesOf(
        await send(listener, {
          as,
          headers,
          body: { ...body, params: { notifications: own, _meta: meta } },
        }),
      )
    }
    const streams = []
    for (let index = 0; index < 32; index++) {
      const frames = await listen('anna@1')
      await frames.next()
      streams.push(frames)
    }
    const refused = await listen('anna@1')
    expect(await refused.next()).toMatchObject({ error: { code: -32_603 } })
    const other = await listen('bert@2')
    expect(await other.next()).toHaveProperty('method')
    await Promise.all([...streams, other].map((frames) => frames.end()))
  }, 60_000)
})

/** JSON messages of an answer, whether it is one document or a stream of events. */
function framesOf(response: Response) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const isStream = response.headers.get('content-type')?.includes('event-stream') === true
  return {
    async next(): Promise<unknown> {
      for (;;) {
        const end = text.indexOf('\n\n')
        if (isStream && end !== -1) {
          const data = /^data: (.*)$/mu.exec(text.slice(0, end))?.[1]
          text = text.slice(end + 2)
          if (data !== undefined && data !== '') return JSON.parse(data)
          continue
        }
        const part = await reader?.read()
        if (part === undefined || part.done) return text === '' ? undefined : JSON.parse(text)
        text += part.value
      }
    },
    end: () => reader?.cancel() ?? Promise.resolve(),
  }
}

describe('2025-11-25', () => {
  test('a session belongs to the principal that opened it; everyone else gets 404', async () => {
    const { listener } = await start()
    const session = await openSession(listener)
    const headers = { 'mcp-session-id': session, 'mcp-protocol-version': legacy }
    const own = await send(listener, { headers, body: call('who') })
    expect(await own.text()).toContain('anna@1')
    for (const as of ['bert@1', 'anna@2']) {
      const foreign = await send(listener, { as, headers, body: call('who') })
      expect(foreign.status).toBe(404)
      expect((await send(listener, { as, headers, method: 'DELETE' })).status).toBe(404)
      expect((await send(listener, { as, headers, method: 'GET' })).status).toBe(404)
    }
    expect((await send(listener, { headers, body: call('who') })).status).toBe(200)
  })

  test('session ids are random and long', async () => {
    const { listener } = await start()
    const ids = [await openSession(listener), await openSession(listener)]
    expect(new Set(ids).size).toBe(2)
    for (const id of ids) expect(id).toMatch(/^[\w-]{32}$/u)
  })

  test('a deleted session is gone', async () => {
    const { listener } = await start()
    const headers = { 'mcp-session-id': await openSession(listener) }
    expect((await send(listener, { headers, method: 'DELETE' })).status).toBe(200)
    expect((await send(listener, { headers, body: call('who') })).status).toBe(404)
  })

  test('an idle session ends; one with an open stream does not', async () => {
    const { listener } = await start({ sessionIdleMs: 100 })
    const idle = { 'mcp-session-id': await openSession(listener) }
    const watching = { 'mcp-session-id': await openSession(listener) }
    const stream = await send(listener, { headers: watching, method: 'GET' })
    expect(stream.status).toBe(200)
    // Each look is a use, so it must come later than the idle time.
    const isGone = async () =>
      (await send(listener, { headers: idle, body: call('who') })).status === 404
    await until(isGone, { intervalMs: 300 })
    const used = await send(listener, { headers: watching, body: call('who') })
    expect(used.status).toBe(200)
    await stream.body?.cancel()
  })

  test('a principal with too many sessions loses its oldest, not those of others', async () => {
    const { listener } = await start()
    const other = { 'mcp-session-id': await openSession(listener, 'bert@2') }
    const first = { 'mcp-session-id': await openSession(listener) }
    for (let index = 0; index < 64; index++) await openSession(listener)
    expect((await send(listener, { headers: first, body: call('who') })).status).toBe(404)
    const kept = await send(listener, { as: 'bert@2', headers: other, body: call('who') })
    expect(kept.status).toBe(200)
  }, 60_000)

  test('a client that drops the session id is still served, without a session', async () => {
    const { listener } = await start()
    const response = await send(listener, { as: 'bert@2', body: call('who') })
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('bert@2')
  })

  test('a refused initialize leaves no session', async () => {
    const { listener } = await start()
    const response = await send(listener, { body: { ...initialize, params: {} } })
    expect(response.headers.get('mcp-session-id')).toBeNull()
  })

  test('a batch is answered one by one, and not without bound', async () => {
    const { listener } = await start()
    const headers = { 'mcp-session-id': await openSession(listener) }
    const small = await send(listener, { headers, body: [call('who', 'a'), call('who', 'b')] })
    const text = await small.text()
    expect(text).toContain('"id":"a"')
    expect(text).toContain('"id":"b"')
    const large = Array.from({ length: 10_000 }, (_, id) => call('who', id))
    expect((await send(listener, { headers, body: large })).status).toBe(400)
    expect((await send(listener, { headers, body: [] })).status).toBe(400)
  })
})

describe('bodies', () => {
  test.each([
    ['no JSON', '{', 400, -32_700],
    ['nested too deeply', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 400, -32_700],
    ['deep within a string only', JSON.stringify(call('['.repeat(1000))), 200, undefined],
  ])('%s', async (_what, body, status, code) => {
    const { listener } = await start()
    const response = await send(listener, { body })
    expect(response.status).toBe(status)
    if (code !== undefined) expect(await codeOf(response)).toBe(code)
    else await response.text()
  })

  test('a body that is not declared as JSON is refused', async () => {
    const { listener } = await start()
    const headers = { 'content-type': 'text/plain' }
    expect((await send(listener, { headers, body: call('who') })).status).toBe(415)
  })

  test('a request without a key never reaches the protocol', async () => {
    const { listener, servers } = await start()
    const response = await send(listener, { as: '', body: call('who') })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('Bearer')
    expect(servers()).toBe(0)
  })
})

describe('closing', () => {
  test('open streams and sessions end, and the listener drains', async () => {
    const { listener } = await start()
    const headers = { 'mcp-session-id': await openSession(listener) }
    const stream = await send(listener, { headers, method: 'GET' })
    const ended = stream.text().catch(() => 'cut')
    const before = Date.now()
    await listener.close()
    await ended
    expect(Date.now() - before).toBeLessThan(900)
  })
})
