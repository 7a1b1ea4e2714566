/** The product itself behind the daemon: real clients on stdio, the embedded engine on disk. */
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openEmbedded } from '../../src/database/embedded.ts'
import { until } from '../support/until.ts'
import { compileProgram, freshDirectory, run } from './program.ts'

/** A busy machine takes seconds to open a database; each test opens up to three. */
const timeout = 120_000

let program: Awaited<ReturnType<typeof compileProgram>>
const dataDirectory = freshDirectory()
const environment = {
  PATH: process.env['PATH'] ?? '',
  HOME: dataDirectory,
  MINDGLUE_DATA_DIR: join(dataDirectory, 'data'),
  MINDGLUE_KEY_DIR: join(dataDirectory, 'keys'),
}
let clients: Client[] = []

beforeAll(async () => {
  program = await compileProgram()
})
afterEach(async () => {
  for (const client of clients) await client.close()
  clients = []
})
afterAll(async () => {
  await stopDaemon()
  await program.remove()
})

async function stopDaemon(): Promise<void> {
  await run(program.main, ['daemon', 'stop'], environment).exit
}

async function openWindow(
  mode?: 'auto',
  more: Readonly<Record<string, string>> = {},
): Promise<Client> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [program.main],
    env: { ...environment, ...more },
    stderr: 'ignore',
  })
  const options = mode === undefined ? {} : { versionNegotiation: { mode } }
  const client = new Client({ name: 'window', version: '1.0.0' }, options)
  clients.push(client)
  await client.connect(transport)
  return client
}

test(
  'the first start makes a root key for its owner alone and says so to who started it, once; a secret that others can read is told each time',
  { timeout },
  async () => {
    const home = freshDirectory()
    const own = {
      ...environment,
      MINDGLUE_DATA_DIR: join(home, 'data'),
      MINDGLUE_KEY_DIR: join(home, 'keys'),
      MINDGLUE_API_KEY_FILE: join(home, 'api-key'),
    }
    const rootKey = join(home, 'keys', 'root-key')
    const said = `mindglue: Made the root key ${rootKey}. Losing it loses every encrypted memory: keep a copy elsewhere.\n`
    const warned =
      'mindglue: Other users can read the file that MINDGLUE_API_KEY_FILE names; run chmod 600 on it.\n'
    writeFileSync(own.MINDGLUE_API_KEY_FILE, 'a'.repeat(43))
    chmodSync(own.MINDGLUE_API_KEY_FILE, 0o644)
    const hello = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'window', version: '1.0.0' },
      },
    }
    try {
      for (const expected of [`${warned}${said}`, warned]) {
        const window = run(program.main, [], own)
        window.send(JSON.stringify(hello))
        expect(await window.nextLine()).toContain('"serverInfo"')
        window.child.stdin?.end()
        await window.exit
        expect(window.errors()).toBe(expected)
        expect(statSync(rootKey).mode & 0o777).toBe(0o600)
        const log = readFileSync(join(own.MINDGLUE_DATA_DIR, 'daemon.log'), 'utf8')
        expect(log).toContain('"setting":"MINDGLUE_API_KEY_FILE"')
        await run(program.main, ['daemon', 'stop'], own).exit
      }
    } finally {
      await run(program.main, ['daemon', 'stop'], own).exit
      rmSync(home, { recursive: true })
    }
  },
)

async function store(client: Client, content: string): Promise<void> {
  const input = { content, idempotency_key: content }
  const answer = await client.callTool({ name: 'store', arguments: input })
  expect(answer.isError, JSON.stringify(answer.content)).not.toBe(true)
}

function killDaemon(): void {
  const lock: unknown = JSON.parse(
    readFileSync(join(environment.MINDGLUE_DATA_DIR, 'daemon.lock'), 'utf8'),
  )
  if (typeof lock !== 'object' || lock === null || !('pid' in lock)) throw new Error('no lock')
  process.kill(Number(lock.pid), 'SIGKILL')
}

test('what one window stores another one finds, in both protocol eras', { timeout }, async () => {
  const [legacy, modern] = await Promise.all([openWindow(), openWindow('auto')])
  await store(legacy, 'Ada prefers tea to coffee in the morning.')
  const input = { query: 'What does Ada drink?' }
  const answer = await modern.callTool({ name: 'recall', arguments: input })
  expect(JSON.stringify(answer.structuredContent)).toContain('Ada prefers tea')
})

test.each(['legacy', 'modern'] as const)(
  'a %s subscription outlives the daemon that granted it',
  { timeout },
  async (era) => {
    const [watcher, writer] = await Promise.all([
      openWindow(era === 'modern' ? 'auto' : undefined),
      openWindow(),
    ])
    const updated: string[] = []
    watcher.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      updated.push(params.uri)
    })
    const uri = 'memory://default/recent'
    if (era === 'modern') await watcher.listen({ resourceSubscriptions: [uri] })
    else await watcher.subscribeResource({ uri })
    killDaemon()
    let note = 0
    await until(
      async () => {
        await store(writer, `Note ${String(note++)} after the ${era} daemon was killed.`)
        return updated.includes(uri)
      },
      { timeoutMs: timeout / 2, intervalMs: 100, what: 'an update after the kill' },
    )
  },
)

test(
  'a daemon without clients leaves after a checkpoint, and the next one finds what it had',
  { timeout },
  async () => {
    await stopDaemon()
    const idle = { MINDGLUE_DAEMON_IDLE_SECONDS: '1' }
    const directory = environment.MINDGLUE_DATA_DIR
    const first = await openWindow(undefined, idle)
    await store(first, 'The cellar key hangs behind the clock.')
    expect(databaseState(directory)).toBe('in production')
    await first.close()
    const isGone = (): boolean => !existsSync(join(directory, 'daemon.lock'))
    await until(isGone, { timeoutMs: timeout / 4, what: 'the exit' })
    expect(readFileSync(join(directory, 'daemon.log'), 'utf8')).toContain('"reason":"idle"')
    expect(databaseState(directory)).toBe('shut down')
    const second = await openWindow()
    const answer = await second.callTool({ name: 'recall', arguments: { query: 'cellar key' } })
    expect(JSON.stringify(answer.structuredContent)).toContain('behind the clock')
  },
)

/** What the control file says: `shut down` after a clean end, whose log needs no recovery. */
function databaseState(directory: string): string {
  const control = readFileSync(join(directory, 'pg/global/pg_control'))
  // ControlFileData (PostgreSQL, src/include/catalog/pg_control.h): two ids of 4 bytes after one of 8, then DBState.
  const state = control.readUInt32LE(16)
  return state === 1 ? 'shut down' : state === 6 ? 'in production' : `state ${state}`
}

test(
  'with DATABASE_URL no daemon is started and a server that is gone is an error',
  { timeout },
  async () => {
    const elsewhere = join(dataDirectory, 'unused')
    const server = run(program.main, [], {
      ...environment,
      MINDGLUE_DATA_DIR: elsewhere,
      // port 1 is reserved: nothing listens there
      DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing',
    })
    server.child.stdin?.end()
    expect((await server.exit).code).not.toBe(0)
    expect(existsSync(elsewhere)).toBe(false)
  },
)

test('data of a newer program is refused with what to do', { timeout }, async () => {
  await store(await openWindow(), 'This directory exists.')
  await stopDaemon()
  const dataDir = join(environment.MINDGLUE_DATA_DIR, 'pg')
  const database = await openEmbedded({ dataDir })
  await database.ownerTransaction(async (sql) => {
    await sql`insert into mindglue.migrations (number, name, checksum) values (9999, '9999_later', 'x')`
  })
  await database.close()
  await expect(openWindow()).rejects.toThrow('Update this program')
})
