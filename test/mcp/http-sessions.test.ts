/** Sessions of 2025 clients over HTTP: owners, ends, bounds, and life without one. */
import { afterEach, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import {
  call,
  closeAll,
  initialize,
  legacy,
  meta,
  modernHeaders,
  openSession,
  send,
  start,
} from '../support/endpoint.ts'
import { until } from '../support/until.ts'

afterEach(closeAll)

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

test('a stream that ends with its credential does not keep its session', async () => {
  let isCurrent = true
  const { listener } = await start({ sessionIdleMs: 100, isCurrent: () => isCurrent })
  const headers = { 'mcp-session-id': await openSession(listener) }
  const stream = await send(listener, { headers, method: 'GET' })
  expect(stream.status).toBe(200)
  isCurrent = false
  await stream.text()
  // Each look is a use, so it must come later than the idle time.
  const isGone = async () => (await send(listener, { headers, body: call('who') })).status === 404
  await until(isGone, { intervalMs: 300 })
})

test('sessions that are opened at once keep to the bounds of their owner and their namespace', async () => {
  const sessionBounds = { all: 10, perNamespace: 4, perOwner: 3 }
  const { listener } = await start({ sessionBounds })
  const openAt = async (as: string) => {
    const response = await send(listener, { as, body: initialize })
    await response.text()
    return response.headers.get('mcp-session-id') ?? response.status
  }
  const opened = await Promise.all(Array.from({ length: 8 }, () => openAt('anna@1')))
  const isLive = async (id: string | number) => {
    const headers = { 'mcp-session-id': String(id) }
    return (await send(listener, { headers, body: call('who') })).status === 200
  }
  const live = await Promise.all(opened.map(isLive))
  expect(live.filter(Boolean)).toHaveLength(3)
  expect(await openAt('bert@1')).toHaveLength(32)
  expect(await openAt('carl@1')).toBe(503)
  expect(await openAt('dora@2')).toHaveLength(32)
  const [last] = opened.filter((_, index) => live[index] === true)
  const headers = { 'mcp-session-id': String(last) }
  expect((await send(listener, { headers, method: 'DELETE' })).status).toBe(200)
  expect(await openAt('carl@1')).toHaveLength(32)
})

test('opening a session or a stream is charged, and refused when there were too many', async () => {
  let charged = 0
  const charge = () => {
    charged++
    const error = new AppError('rate_limited', 'Wait.', { retryAfterSeconds: 1 })
    return charged > 2 ? Promise.reject(error) : Promise.resolve()
  }
  const { listener } = await start({ charge })
  const headers = { 'mcp-session-id': await openSession(listener) }
  await (await send(listener, { headers, body: call('who') })).text()
  expect(charged).toBe(1)
  const listen = { notifications: { resourceSubscriptions: ['memory://1/a'] }, _meta: meta }
  const body = { jsonrpc: '2.0', id: 's', method: 'subscriptions/listen', params: listen }
  const open = () => send(listener, { headers: modernHeaders('subscriptions/listen'), body })
  const stream = await open()
  expect([stream.status, charged]).toEqual([200, 2])
  await stream.body?.cancel()
  expect((await open()).status).toBe(429)
  expect((await send(listener, { body: initialize })).status).toBe(429)
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
