/** The streamable HTTP endpoint over a small protocol server: eras, streams, refusals. */
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  call,
  closeAll,
  codeOf,
  meta,
  modernCall,
  modernHeaders,
  openSession,
  send,
  start,
} from '../support/endpoint.ts'
import { until } from '../support/until.ts'

afterEach(closeAll)

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

  test('streams that are opened at once keep to the bounds, and give their places back', async () => {
    const streamBounds = { all: 10, perNamespace: 3, perOwner: 2 }
    const { listener } = await start({ streamBounds })
    const listen = async (as: string) => {
      const notifications = { resourceSubscriptions: ['memory://1/a'] }
      const params = { notifications, _meta: meta }
      const body = { jsonrpc: '2.0', id: 'sub', method: 'subscriptions/listen', params }
      const headers = modernHeaders('subscriptions/listen')
      const frames = framesOf(await send(listener, { as, headers, body }))
      const first = z.object({ error: z.object({}).optional() }).parse(await frames.next())
      return { frames, isOpen: first.error === undefined }
    }
    const openOf = async (names: readonly string[]) => {
      const streams = await Promise.all(names.map(listen))
      return streams.filter(({ isOpen }) => isOpen)
    }
    const own = await openOf(['anna@1', 'anna@1', 'anna@1', 'anna@1'])
    expect(own).toHaveLength(2)
    const others = await openOf(['bert@1', 'carl@1', 'dora@1'])
    expect(others).toHaveLength(1)
    const elsewhere = await openOf(['bert@2'])
    expect(elsewhere).toHaveLength(1)
    await own[0]?.frames.end()
    const again = await until(async () => {
      const [stream] = await openOf(['carl@1'])
      return stream
    })
    for (const { frames } of [...own, ...others, ...elsewhere, again]) await frames.end()
  })
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
