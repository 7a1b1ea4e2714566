/** What the pipe remembers of a conversation, and what it may ask twice. */
import { expect, test } from 'vitest'
import { createSessionMemory } from '../../src/daemon/session-memory.ts'

function line(message: object | readonly object[]): Buffer {
  return Buffer.from(JSON.stringify(message))
}

function request(id: number | string, method: string, params: object = {}): Buffer {
  return line({ jsonrpc: '2.0', id, method, params })
}

test('only reads, dry runs and keyed writes may be asked twice', () => {
  const tool = (name: string, input: object): [string, object] => [
    'tools/call',
    { name, arguments: input },
  ]
  const cases: [string, object, boolean][] = [
    ['server/discover', {}, true],
    ['tools/list', {}, true],
    ['resources/read', {}, true],
    ['ping', {}, true],
    [...tool('recall', {}), true],
    [...tool('export', {}), true],
    [...tool('store', {}), false],
    [...tool('store', { idempotency_key: '' }), false],
    [...tool('store', { idempotency_key: 'k' }), true],
    [...tool('forget', { ids: ['x'] }), false],
    [...tool('forget', { tag: 'x', dry_run: true }), true],
    [...tool('store', { dry_run: true }), false],
    ['tools/call', {}, false],
    ['unknown/method', {}, false],
  ]
  for (const [method, params, expected] of cases) {
    const memory = createSessionMemory()
    memory.noteFromClient(request(1, method, params))
    const [pending] = memory.pending.values()
    expect(pending?.repeatable, JSON.stringify([method, params])).toBe(expected)
  }
})

test('the ids 1 and "1" are two requests', () => {
  const memory = createSessionMemory()
  memory.noteFromClient(request(1, 'ping'))
  memory.noteFromClient(request('1', 'ping'))
  memory.noteFromDaemon(line({ jsonrpc: '2.0', id: 1, result: {} }))
  expect([...memory.pending.values()].map(({ id }) => id)).toEqual(['1'])
})

test('each request of a batch is remembered alone', () => {
  const memory = createSessionMemory()
  const parts = [1, 2].map((id) => ({ jsonrpc: '2.0', id, method: 'ping' }))
  memory.noteFromClient(line([...parts, { jsonrpc: '2.0', method: 'notifications/initialized' }]))
  expect([...memory.pending.values()].map((pending) => pending.line.toString())).toEqual(
    parts.map((part) => JSON.stringify(part)),
  )
})

test('a new daemon is given handshake, log level and live subscriptions, and no others', () => {
  const memory = createSessionMemory()
  memory.noteFromClient(request(0, 'initialize', { protocolVersion: '2025-11-25' }))
  expect(memory.handshake('r')).toBeUndefined()
  memory.noteFromDaemon(line({ jsonrpc: '2.0', id: 0, result: {} }))
  memory.noteFromClient(line({ jsonrpc: '2.0', method: 'notifications/initialized' }))
  memory.noteFromClient(request(1, 'logging/setLevel', { level: 'debug' }))
  memory.noteFromClient(request(2, 'resources/subscribe', { uri: 'memory://a/1' }))
  memory.noteFromClient(request(3, 'resources/subscribe', { uri: 'memory://a/2' }))
  memory.noteFromClient(request(4, 'resources/unsubscribe', { uri: 'memory://a/1' }))
  const replay = memory.handshake('r')
  expect(JSON.parse(replay?.initialize.toString() ?? '')).toMatchObject({
    id: 'r',
    method: 'initialize',
    params: { protocolVersion: '2025-11-25' },
  })
  const texts = (replay?.afterwards ?? []).map((text) => text.toString())
  expect(texts.map((text) => text.includes('initialized'))).toEqual([true, false, false])
  expect(texts[1]).toContain('debug')
  expect(texts[2]).toContain('memory://a/2')
  expect(memory.needsDaemon()).toBe(true)
})

test('a drain does not wait for what is open on purpose', () => {
  const memory = createSessionMemory()
  const listen = request(1, 'subscriptions/listen')
  memory.noteFromClient(listen)
  memory.noteSent(listen)
  expect(memory.hasInFlight()).toBe(false)
  const recall = request(2, 'tools/call', { name: 'recall' })
  memory.noteFromClient(recall)
  expect(memory.hasInFlight()).toBe(false)
  memory.noteSent(recall)
  expect(memory.hasInFlight()).toBe(true)
})

test('text that is no JSON is passed on for the server to refuse', () => {
  const memory = createSessionMemory()
  const text = Buffer.from('{"jsonrpc":')
  expect(memory.noteFromClient(text)).toBe(text)
  expect(memory.pending.size).toBe(0)
})
