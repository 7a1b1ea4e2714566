/** What a client sees on stdio while daemons come, go and are killed. Real processes throughout. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { candidate } from '../../src/daemon/election.ts'
import { daemonPaths } from '../../src/daemon/paths.ts'
import { until } from '../support/until.ts'
import { compileFixtures, freshDirectory, run, type Running } from './program.ts'

let compiled: Awaited<ReturnType<typeof compileFixtures>>
let running: Running[] = []
let directories: string[] = []

beforeAll(async () => {
  compiled = await compileFixtures()
})
afterAll(async () => {
  await compiled.remove()
})
afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL')
  for (const directory of directories) await program('stop', directory).exit
  running = []
  directories = []
})

function program(command: string, directory: string, ...flags: string[]): Running {
  const script = join(compiled.directory, 'test/daemon/fixtures/echo.js')
  return run(script, [command, `--data-dir=${directory}`, ...flags])
}

function client(directory: string, ...flags: string[]): Running {
  const started = program('stdio', directory, ...flags)
  running.push(started)
  return started
}

function fresh(): string {
  const directory = freshDirectory()
  directories.push(directory)
  return directory
}

interface Reply {
  readonly id: number
  readonly result: {
    readonly pid: number
    readonly version: string
    readonly method: string
    readonly isInitialized: boolean
  }
  readonly error?: { code: number; message: string; data: { retryable: boolean; code: string } }
}

async function reply(from: Running): Promise<Reply> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the shape is what the tests check
  return JSON.parse(await from.nextLine()) as Reply
}

function request(id: number, method: string, params?: object): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, ...(params ? { params } : {}) })
}

function call(id: number, name: string, input: object = {}): string {
  return request(id, 'tools/call', { name, arguments: input })
}

async function ask(of: Running, line: string): Promise<Reply> {
  of.send(line)
  return await reply(of)
}

function linesOf(directory: string, name: string): string[] {
  const path = join(directory, name)
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

function expectNoTwoOwners(directory: string): void {
  expect(linesOf(directory, 'violations')).toEqual([])
}

test('eight clients that start at once share one daemon', async () => {
  const directory = fresh()
  const clients = Array.from({ length: 8 }, () => client(directory))
  const replies = await Promise.all(clients.map(async (one) => await ask(one, request(1, 'ping'))))
  expect(new Set(replies.map(({ result }) => result.pid)).size).toBe(1)
  expect(linesOf(directory, 'opened')).toHaveLength(1)
  expectNoTwoOwners(directory)
})

test('socket, lock and log are readable by their owner alone', async () => {
  const directory = fresh()
  chmodSync(directory, 0o755)
  await ask(client(directory), request(1, 'ping'))
  const mode = (name: string): number => statSync(join(directory, name)).mode & 0o777
  expect(mode('')).toBe(0o700)
  expect(mode('daemon.sock')).toBe(0o600)
  expect(mode('daemon.lock')).toBe(0o600)
  expect(mode('daemon.log')).toBe(0o600)
})

test('a data directory too deep for a socket path works all the same', async () => {
  const directory = join(fresh(), 'deep'.repeat(40))
  mkdirSync(directory)
  directories.push(directory)
  const [first, second] = [client(directory), client(directory)]
  const one = await ask(first, request(1, 'ping'))
  const two = await ask(second, request(1, 'ping'))
  expect(two.result.pid).toBe(one.result.pid)
  const { socket } = daemonPaths(directory)
  expect(Buffer.byteLength(socket)).toBeLessThan(104)
  expect(statSync(socket).mode & 0o777).toBe(0o600)
})

test('a killed daemon is replaced, and the client keeps its session', async () => {
  const directory = fresh()
  const one = client(directory)
  await ask(one, request(0, 'initialize', { protocolVersion: '2025-11-25' }))
  one.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
  const before = await ask(one, request(1, 'ping'))
  expect(before.result.isInitialized).toBe(true)
  process.kill(before.result.pid, 'SIGKILL')
  const after = await ask(one, request(2, 'ping'))
  expect(after.result.pid).not.toBe(before.result.pid)
  expect(after.result.isInitialized).toBe(true)
  // the replayed initialize was answered to the pipe, not to the client
  expect(one.lines).toHaveLength(3)
  expectNoTwoOwners(directory)
})

test('four clients whose daemon is killed meet again on one successor', async () => {
  const directory = fresh()
  const clients = Array.from({ length: 4 }, () => client(directory))
  const [first] = await Promise.all(clients.map(async (one) => await ask(one, request(1, 'ping'))))
  process.kill(first?.result.pid ?? 0, 'SIGKILL')
  const after = await Promise.all(clients.map(async (one) => await ask(one, request(2, 'ping'))))
  expect(new Set(after.map(({ result }) => result.pid)).size).toBe(1)
  expectNoTwoOwners(directory)
})

test('a read that was pending when the daemon died is asked again', async () => {
  const directory = fresh()
  const one = client(directory)
  const { result } = await ask(one, request(1, 'ping'))
  one.send(request(2, 'tools/call', { name: 'recall', arguments: { query: 'x' } }))
  one.send(call(3, 'store-and-die', { idempotency_key: 'only-once' }))
  const answers = [await reply(one), await reply(one)].toSorted((a, b) => a.id - b.id)
  expect(answers.map(({ id, error }) => [id, error])).toEqual([
    [2, undefined],
    [3, undefined],
  ])
  expect(answers[1]?.result.pid).not.toBe(result.pid)
  expect(linesOf(directory, 'applied')).toEqual(['only-once'])
})

test('a write without an idempotency key is not repeated but answered as retryable', async () => {
  const directory = fresh()
  const one = client(directory)
  await ask(one, request(1, 'ping'))
  const answer = await ask(one, call(2, 'kill'))
  expect(answer.error).toMatchObject({ data: { retryable: true, code: 'unavailable' } })
  expect(answer.error?.message).toContain('idempotency_key')
  expect(linesOf(directory, 'opened')).toHaveLength(1)
  expect((await ask(one, request(3, 'ping'))).error).toBeUndefined()
})

test('a request that kills every daemon ends after three of them', async () => {
  const directory = fresh()
  const one = client(directory)
  const answer = await ask(one, call(1, 'kill', { idempotency_key: 'poison' }))
  expect(answer.error?.message).toContain('three times')
  expect(linesOf(directory, 'opened')).toHaveLength(3)
})

test('a request whose client cancelled it is neither repeated nor answered', async () => {
  const directory = fresh()
  const one = client(directory)
  const { result } = await ask(one, request(1, 'ping'))
  one.send(call(2, 'wait'))
  const params = { requestId: 2 }
  one.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params }))
  await ask(one, request(3, 'ping'))
  process.kill(result.pid, 'SIGKILL')
  expect((await ask(one, request(4, 'ping'))).id).toBe(4)
  expect(one.lines).toHaveLength(3)
})

test('a daemon that is asked to stop finishes what is in flight', async () => {
  const directory = fresh()
  const one = client(directory)
  await ask(one, request(1, 'ping'))
  one.send(call(2, 'slow'))
  await until(() => existsSync(join(directory, 'started')))
  const stop = program('stop', directory)
  const slow = await reply(one)
  expect([slow.id, slow.error]).toEqual([2, undefined])
  expect((await stop.exit).code).toBe(0)
  expect(linesOf(directory, 'closed')).toEqual([String(slow.result.pid)])
  expect(existsSync(join(directory, 'daemon.lock'))).toBe(false)
  expect(existsSync(join(directory, 'daemon.sock'))).toBe(false)
})

test('a stopped daemon stays stopped until a client needs it', async () => {
  const directory = fresh()
  const one = client(directory)
  await ask(one, request(1, 'ping'))
  expect((await program('stop', directory).exit).code).toBe(0)
  // longer than a daemon takes to start: another one is started by another client
  await ask(client(fresh()), request(1, 'ping'))
  expect((await program('status', directory).exit).code).toBe(3)
  expect(linesOf(directory, 'opened')).toHaveLength(1)
  expect((await ask(one, request(2, 'ping'))).id).toBe(2)
  expect(linesOf(directory, 'opened')).toHaveLength(2)
})

test('a newer program replaces the daemon, and older clients move to it', async () => {
  const directory = fresh()
  const older = client(directory, '--program=1.9.0')
  const before = await ask(older, request(1, 'ping'))
  const newer = client(directory, '--program=1.10.0')
  const after = await ask(newer, request(1, 'ping'))
  expect(after.result.version).toBe('1.10.0')
  expect(after.result.pid).not.toBe(before.result.pid)
  expect((await ask(older, request(2, 'ping'))).result.pid).toBe(after.result.pid)
  expect(linesOf(directory, 'closed')).toEqual([String(before.result.pid)])
  expectNoTwoOwners(directory)
})

test('an older program attaches to a newer daemon and leaves it running', async () => {
  const directory = fresh()
  const newer = await ask(client(directory, '--program=2.0.0'), request(1, 'ping'))
  const older = await ask(client(directory, '--program=1.0.0'), request(1, 'ping'))
  expect(older.result.pid).toBe(newer.result.pid)
})

test('a client with other settings is refused with the class that differs, not its value', async () => {
  const directory = fresh()
  await ask(client(directory), request(1, 'ping'))
  const other = client(directory, '--embedder=none')
  other.send(request(1, 'initialize'))
  expect((await other.exit).code).toBe(1)
  const { error } = await reply(other)
  expect(error?.message).toContain('Finding by meaning')
  expect(error?.message).toContain('mindglue daemon stop')
  expect(error?.message).not.toContain('none')
  expect(other.errors()).toContain('mindglue daemon stop')
})

test('a database that does not open is said to every waiting client', async () => {
  const directory = fresh()
  const flag = '--fail=This data was written by a newer MindGlue; update this program.'
  const clients = [client(directory, flag), client(directory, flag)]
  for (const one of clients) one.send(request(7, 'initialize'))
  for (const one of clients) {
    expect((await reply(one)).error?.message).toContain('newer MindGlue')
    expect((await one.exit).code).toBe(1)
  }
  await until(() => !existsSync(join(directory, 'daemon.lock')))
})

test('a daemon that dies while it opens is reported with the place of its log', async () => {
  const directory = fresh()
  const one = client(directory, '--fail=die')
  one.send(request(1, 'initialize'))
  expect((await reply(one)).error?.message).toContain('daemon.log')
  expect((await one.exit).code).toBe(1)
})

test('a dead lock and a dead socket do not hinder the next client', async () => {
  const directory = fresh()
  const first = await ask(client(directory), request(1, 'ping'))
  process.kill(first.result.pid, 'SIGKILL')
  expect(existsSync(join(directory, 'daemon.lock'))).toBe(true)
  const second = await ask(client(directory), request(1, 'ping'))
  expect(second.result.pid).not.toBe(first.result.pid)
})

test('a lock of a recycled process number does not hinder the next client', async () => {
  const directory = fresh()
  const record = { ...candidate('1.0.0'), pid: process.pid, startedAt: '1' }
  writeFileSync(join(directory, 'daemon.lock'), JSON.stringify(record))
  expect((await ask(client(directory), request(1, 'ping'))).id).toBe(1)
})

test('a lock deleted by hand does not make a second owner', async () => {
  const directory = fresh()
  const first = await ask(client(directory), request(1, 'ping'))
  unlinkSync(join(directory, 'daemon.lock'))
  const daemon = program('daemon', directory)
  expect((await daemon.exit).code).toBe(0)
  const second = await ask(client(directory), request(1, 'ping'))
  expect(second.result.pid).toBe(first.result.pid)
  expectNoTwoOwners(directory)
})

test('the daemon leaves after its idle time, with the database closed and nothing left behind', async () => {
  const directory = fresh()
  const one = client(directory, '--idle=1')
  const { result } = await ask(one, request(1, 'ping'))
  one.child.stdin?.end()
  expect((await one.exit).code).toBe(0)
  await until(() => !existsSync(join(directory, 'daemon.lock')), { timeoutMs: 10_000 })
  expect(linesOf(directory, 'closed')).toEqual([String(result.pid)])
  const left = readdirSync(directory).filter((name) => /lock|sock/u.test(name))
  expect(left).toEqual([])
})

test('a client that keeps its end open keeps the daemon', async () => {
  const directory = fresh()
  const [quiet, brief] = [client(directory, '--idle=1'), client(directory, '--idle=1')]
  const first = await ask(quiet, request(1, 'ping'))
  await ask(brief, request(1, 'ping'))
  brief.child.stdin?.end()
  await brief.exit
  // longer than the idle time, measured by another daemon's idle exit in another directory
  const other = fresh()
  const clock = client(other, '--idle=1')
  await ask(clock, request(1, 'ping'))
  clock.child.stdin?.end()
  await until(() => linesOf(other, 'closed').length === 1, { timeoutMs: 10_000 })
  expect((await ask(quiet, request(2, 'ping'))).result.pid).toBe(first.result.pid)
})

test('a client that closes its end still reads its answers, and the process ends with 0', async () => {
  const directory = fresh()
  const one = client(directory)
  one.send(request(1, 'ping'))
  one.child.stdin?.end()
  expect((await reply(one)).id).toBe(1)
  expect((await one.exit).code).toBe(0)
})

test('SIGTERM ends a pipe with 0 and leaves the daemon to the others', async () => {
  const directory = fresh()
  const [one, two] = [client(directory), client(directory)]
  const first = await ask(one, request(1, 'ping'))
  await ask(two, request(1, 'ping'))
  one.child.kill('SIGTERM')
  expect(await one.exit).toEqual({ code: 0, signal: null })
  expect((await ask(two, request(2, 'ping'))).result.pid).toBe(first.result.pid)
})

test('a client that stops reading does not make the pipe fail', async () => {
  const directory = fresh()
  const one = client(directory)
  await ask(one, request(1, 'ping'))
  one.child.stdout?.destroy()
  one.send(request(2, 'ping'))
  expect(await one.exit).toEqual({ code: 0, signal: null })
  expect(one.errors()).toBe('')
})

test('a line of control from a client does not reach the daemon', async () => {
  const directory = fresh()
  const one = client(directory)
  await ask(one, request(1, 'ping'))
  one.send('\u0001{"control":"drained"}')
  expect((await ask(one, request(2, 'ping'))).id).toBe(2)
})

test('a message above 16 MiB is refused and the next one is served', async () => {
  const directory = fresh()
  const one = client(directory)
  await ask(one, request(1, 'ping'))
  one.send(request(2, 'ping', { text: 'x'.repeat(17 * 1024 * 1024) }))
  expect((await reply(one)).error?.message).toContain('16 MiB')
  expect((await ask(one, request(3, 'ping'))).id).toBe(3)
})

test('status names the process and its clients, as text and as JSON', async () => {
  const directory = fresh()
  const { result } = await ask(client(directory, '--agent=claude'), request(1, 'ping'))
  const text = program('status', directory)
  expect((await text.exit).code).toBe(0)
  expect(text.lines.join('\n')).toContain(`process ${String(result.pid)}`)
  expect(text.lines.join('\n')).toContain('claude in default')
  const json = program('status', directory, '--json')
  await json.exit
  expect(JSON.parse(json.lines.join(''))).toMatchObject({
    running: true,
    pid: result.pid,
    state: 'serving',
    clients: [{ agent: 'claude', namespaceName: 'default' }],
  })
})
