/** Messages as lines: framing, what is no message, too long lines, the end of the input. */
/* oxlint-disable unicorn/prefer-add-event-listener -- a transport is no event target */
import { PassThrough } from 'node:stream'
import type { JSONRPCMessage } from '@modelcontextprotocol/server'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { StreamTransport } from '../../src/mcp/stream-transport.ts'
import { until } from '../support/until.ts'

interface Started {
  readonly input: PassThrough
  readonly output: PassThrough
  readonly transport: StreamTransport
  readonly received: JSONRPCMessage[]
  readonly sent: () => unknown[]
}

async function start(): Promise<Started> {
  const input = new PassThrough()
  const output = new PassThrough({ highWaterMark: 1024 })
  const transport = new StreamTransport(input, output)
  const received: JSONRPCMessage[] = []
  transport.onmessage = (message) => received.push(message)
  let text = ''
  output.on('data', (part: Buffer) => (text += part.toString()))
  await transport.start()
  const sent = (): unknown[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): unknown => JSON.parse(line))
  return { input, output, transport, received, sent }
}

const ping = (id: number | string) => ({ jsonrpc: '2.0' as const, id, method: 'ping' })
const errors = z.array(
  z.object({
    id: z.union([z.string(), z.number(), z.null()]),
    error: z.object({ code: z.number() }),
  }),
)

describe('framing', () => {
  test('messages arrive whole and in order, however the bytes are cut', async () => {
    const { input, received } = await start()
    const text = [ping(1), { ...ping(2), method: 'grüße/日本' }, ping(3)]
      .map((message) => `${JSON.stringify(message)}\r\n`)
      .join('\n')
    for (const byte of Buffer.from(text)) input.write(Buffer.of(byte))
    await until(() => received.length === 3)
    expect(received.map((message) => 'method' in message && message.method)).toEqual([
      'ping',
      'grüße/日本',
      'ping',
    ])
  })

  test('every message is one line in one write', async () => {
    const { output, transport } = await start()
    const writes: string[] = []
    const write = output.write.bind(output)
    output.write = ((chunk: string) => {
      writes.push(chunk)
      return write(chunk)
    }) as typeof output.write
    await transport.send({ jsonrpc: '2.0', id: 1, result: { text: 'two\nlines' } })
    expect(writes).toHaveLength(1)
    expect(writes[0]?.indexOf('\n')).toBe((writes[0]?.length ?? 0) - 1)
  })
})

describe('what is no message is answered', () => {
  test.each([
    ['no JSON', 'hello', null, -32_700],
    ['nested too deeply', '['.repeat(1000), null, -32_700],
    ['a batch', JSON.stringify([ping(1)]), null, -32_600],
    ['a number', '7', null, -32_600],
    ['a request without a method', '{"jsonrpc":"2.0","id":"x"}', 'x', -32_600],
    ['an id that is none', '{"jsonrpc":"2.0","id":{},"method":"ping"}', null, -32_600],
  ])('%s', async (_what, line, id, code) => {
    const { input, sent, received } = await start()
    input.write(`${line}\n`)
    await until(() => sent().length === 1)
    expect(errors.parse(sent())).toMatchObject([{ id, error: { code } }])
    input.write(`${JSON.stringify(ping(1))}\n`)
    await until(() => received.length === 1)
  })

  test('a broken answer gets no answer', async () => {
    const { input, sent, received } = await start()
    input.write('{"id":1,"result":7}\n')
    input.write(`${JSON.stringify(ping(1))}\n`)
    await until(() => received.length === 1)
    expect(sent()).toEqual([])
  })

  test('a line beyond 16 MiB is refused without being kept, and the next one is read', async () => {
    const { input, sent, received } = await start()
    const part = Buffer.alloc(1024 * 1024, 'x')
    for (let index = 0; index < 17; index++) input.write(part)
    input.write(`\n${JSON.stringify(ping(1))}\n`)
    await until(() => received.length === 1)
    expect(errors.parse(sent())).toMatchObject([{ id: null, error: { code: -32_600 } }])
  })
})

describe('the end', () => {
  test('when the input ends, running requests are answered before the transport closes', async () => {
    const { input, transport, received, sent } = await start()
    input.end(`${JSON.stringify(ping(1))}\n`)
    await until(() => received.length === 1 && input.closed)
    await transport.send({ jsonrpc: '2.0', id: 1, result: {} })
    await transport.closed
    expect(sent()).toHaveLength(1)
  })

  test('a cancelled request is not waited for', async () => {
    const { input, transport } = await start()
    const cancelled = {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 1 },
    }
    input.end(`${JSON.stringify(ping(1))}\n${JSON.stringify(cancelled)}\n`)
    await transport.closed
  })

  test('an input that ended before the start closes the transport', async () => {
    const input = new PassThrough()
    input.end()
    input.resume()
    await until(() => input.readableEnded)
    const transport = new StreamTransport(input, new PassThrough())
    await transport.start()
    await transport.closed
  })

  test('a reader that is gone closes the transport and does not end the process', async () => {
    const { output, transport } = await start()
    output.destroy(new Error('EPIPE'))
    await transport.closed
    await expect(transport.send({ jsonrpc: '2.0', id: 1, result: {} })).rejects.toThrow(/closed/u)
  })

  test('while nobody reads the answers, no more requests are read', async () => {
    const input = new PassThrough()
    const output = new PassThrough()
    const transport = new StreamTransport(input, output)
    await transport.start()
    const text = 'x'.repeat(1024 * 1024)
    for (let id = 0; id < 10; id++) await transport.send({ jsonrpc: '2.0', id, result: { text } })
    expect(input.isPaused()).toBe(true)
    output.resume()
    await until(() => !input.isPaused())
  })
})
