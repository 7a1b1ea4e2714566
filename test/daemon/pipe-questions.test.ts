/** Questions that daemons ask the client, while daemons go, come and drain; their ends of the pipe are here. */
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLineSplitter, frame } from '../../src/daemon/framing.ts'
import { encodeControl, isControl } from '../../src/daemon/hello.ts'
import { runPipe } from '../../src/daemon/pipe.ts'
import { freshDirectory } from './program.ts'

interface Message {
  readonly id?: number | string
  readonly method?: string
  readonly params?: { readonly requestId?: number | string; readonly name?: string }
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

/** One end of a line protocol. `drained` stands for the control line of that name. */
interface End {
  say(message: object): void
  heard(): Promise<Message | 'drained'>
}

let server: Server
let client: End
let exit: Promise<number>
const daemons: ((socket: Socket) => void)[] = []
const arrived: Socket[] = []
const stop = { controller: new AbortController() }

beforeEach(async () => {
  const path = join(freshDirectory(), 's')
  server = createServer((socket) => {
    const next = daemons.shift()
    if (next === undefined) arrived.push(socket)
    else next(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const [input, output] = [new PassThrough(), new PassThrough()]
  stop.controller = new AbortController()
  const attach = async () => {
    const socket = createConnection(path)
    await new Promise((resolve) => socket.once('connect', resolve))
    return { socket, version: '1.0.0', pid: 1 }
  }
  exit = runPipe({ input, output, attach, warn: () => undefined }, stop.controller.signal)
  client = endOf(output, (bytes) => input.write(bytes))
})
afterEach(async () => {
  stop.controller.abort()
  expect(await exit).toBe(0)
  for (const socket of arrived.splice(0)) socket.destroy()
  server.close()
})

function endOf(from: Readable, write: (bytes: Buffer) => void): End {
  const lines: Buffer[] = []
  const waiting: ((line: Buffer) => void)[] = []
  const splitter = createLineSplitter(() => undefined)
  from.on('data', (chunk: Buffer) => {
    for (const line of splitter.push(chunk)) {
      const next = waiting.shift()
      if (next === undefined) lines.push(line)
      else next(line)
    }
  })
  return {
    say: (message) => write(frame(JSON.stringify({ jsonrpc: '2.0', ...message }))),
    heard: async () => {
      const line = lines.shift() ?? (await new Promise<Buffer>((resolve) => waiting.push(resolve)))
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the shape is what the tests check
      return isControl(line) ? 'drained' : (JSON.parse(line.toString()) as Message)
    },
  }
}

/** The next daemon that the pipe reaches. */
async function daemon(): Promise<End & { die(): void; drain(): void }> {
  const socket = arrived.shift() ?? (await new Promise<Socket>((resolve) => daemons.push(resolve)))
  return {
    ...endOf(socket, (bytes) => socket.write(bytes)),
    die: () => socket.destroy(),
    drain: () => void socket.write(frame(encodeControl({ control: 'drain' }))),
  }
}

const forget = { method: 'tools/call', params: { name: 'forget' } }
const question = { method: 'elicitation/create', params: {} }

/** A client's call that makes the daemon ask; returns the id under which the client is asked. */
async function askedBy(from: End, callId: number): Promise<Message['id']> {
  client.say({ id: callId, ...forget })
  expect(await from.heard()).toMatchObject({ id: callId })
  from.say({ id: 0, ...question })
  const asked = await client.heard()
  expect(asked).toMatchObject(question)
  return asked === 'drained' ? undefined : asked.id
}

/** The first daemon asks and dies; what the client hears of it is read. */
async function askAndDie(): Promise<Message['id']> {
  const first = await daemon()
  const id = await askedBy(first, 1)
  first.die()
  expect(await client.heard()).toMatchObject({
    method: 'notifications/cancelled',
    params: { requestId: id },
  })
  expect(await client.heard()).toMatchObject({ id: 1, error: {} })
  return id
}

/** A pipe with nothing to ask starts nothing: the client says something first. */
async function nextDaemon(): ReturnType<typeof daemon> {
  client.say({ method: 'notifications/progress' })
  const next = await daemon()
  await next.heard()
  return next
}

test('a client that dropped the question of a dead daemon is heard by the next one', async () => {
  await askAndDie()
  const second = await nextDaemon()
  const id = await askedBy(second, 2)
  client.say({ id, result: { action: 'accept' } })
  expect(await second.heard()).toMatchObject({ id: 0, result: { action: 'accept' } })
})

test('a late yes to the question of a dead daemon is no yes to the question of the next one', async () => {
  const stale = await askAndDie()
  const second = await nextDaemon()
  const id = await askedBy(second, 2)
  client.say({ id: stale, result: { action: 'accept' } })
  client.say({ id, result: { action: 'decline' } })
  expect(await second.heard()).toMatchObject({ id: 0, result: { action: 'decline' } })
})

test('a question that its daemon withdraws is withdrawn under the id that the client knows', async () => {
  await askAndDie()
  const second = await nextDaemon()
  const id = await askedBy(second, 2)
  second.say({ method: 'notifications/cancelled', params: { requestId: 0, reason: 'late' } })
  expect(await client.heard()).toMatchObject({ params: { requestId: id, reason: 'late' } })
})

/** A daemon that asked and then drains; resolves when the pipe knows. */
async function askAndDrain(): Promise<{
  from: Awaited<ReturnType<typeof daemon>>
  id: Message['id']
}> {
  const from = await daemon()
  const id = await askedBy(from, 1)
  from.drain()
  from.say({ method: 'notifications/message' })
  expect(await client.heard()).toMatchObject({ method: 'notifications/message' })
  return { from, id }
}

test('a draining daemon gets the answer that it waits for, and finishes', async () => {
  const { from, id } = await askAndDrain()
  client.say({ id, result: { action: 'accept' } })
  expect(await from.heard()).toMatchObject({ id: 0, result: { action: 'accept' } })
  from.say({ id: 1, result: {} })
  expect(await client.heard()).toMatchObject({ id: 1, result: {} })
  expect(await from.heard()).toBe('drained')
})

test('a draining daemon is told what the client no longer wants, and waits for it no more', async () => {
  const { from } = await askAndDrain()
  client.say({ method: 'notifications/cancelled', params: { requestId: 1 } })
  expect(await from.heard()).toMatchObject({ params: { requestId: 1 } })
  expect(await from.heard()).toBe('drained')
})

test('while a daemon drains, new requests and what takes them back wait for the next one', async () => {
  const { from, id } = await askAndDrain()
  client.say({ id: 2, method: 'ping' })
  client.say({ id: 3, method: 'ping' })
  client.say({ method: 'notifications/cancelled', params: { requestId: 2 } })
  client.say({ id, result: { action: 'decline' } })
  expect(await from.heard()).toMatchObject({ id: 0 })
  from.say({ id: 1, result: {} })
  expect(await from.heard()).toBe('drained')
  from.die()
  const next = await daemon()
  expect(await next.heard()).toMatchObject({ id: 2, method: 'ping' })
  expect(await next.heard()).toMatchObject({ id: 3, method: 'ping' })
  expect(await next.heard()).toMatchObject({ method: 'notifications/cancelled' })
})
