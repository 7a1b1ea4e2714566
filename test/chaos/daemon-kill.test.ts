/**
 * Four real clients, one data directory, a daemon that is killed again and again: nothing that was
 * acknowledged is lost, nothing is stored twice. `FULL=1` runs the size the requirement names.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { compileProgram, freshDirectory, run } from '../daemon/program.ts'

const size =
  process.env['FULL'] === '1'
    ? { stores: 2000, kills: 10, timeoutMs: 900_000 }
    : { stores: 160, kills: 3, timeoutMs: 180_000 }
const clientCount = 4
/** Requests one client has open at once: some are in flight at every kill. */
const lanes = 3
/** A client repeats what was answered as retryable, as an agent would. */
const triesMax = 20

let program: Awaited<ReturnType<typeof compileProgram>>
const dataDirectory = freshDirectory('mindglue-chaos-')
const environment = {
  PATH: process.env['PATH'] ?? '',
  HOME: dataDirectory,
  MINDGLUE_DATA_DIR: dataDirectory,
  MINDGLUE_KEY_DIR: freshDirectory('mindglue-chaos-keys-'),
}

beforeAll(async () => {
  program = await compileProgram()
})
afterAll(async () => {
  await command('daemon', 'stop')
  await program.remove()
})

/** Output of a command that must succeed. */
async function command(...args: string[]): Promise<string> {
  const started = run(program.main, args, environment)
  const { code } = await started.exit
  expect(code, started.errors()).toBe(0)
  return started.lines.join('\n')
}

interface Window {
  readonly client: Client
  readonly transport: StdioClientTransport
}

/** A client as an editor starts it; every second one speaks the newer protocol. */
async function openWindow(name: string, mode: 'legacy' | 'auto'): Promise<Window> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [program.main],
    env: environment,
    stderr: 'ignore',
  })
  const options = mode === 'auto' ? { versionNegotiation: { mode } } : {}
  const client = new Client({ name, version: '1.0.0' }, options)
  await client.connect(transport)
  return { client, transport }
}

interface Stored {
  readonly results: readonly { readonly id: string; readonly status: string }[]
}

/** Stores one memory until it is acknowledged; gives its id and how often the call failed. */
async function store(client: Client, content: string, key: string) {
  let failures = 0
  for (; failures < triesMax; failures++) {
    try {
      const input = { content, idempotency_key: key }
      const answer = await client.callTool({ name: 'store', arguments: input })
      if (answer.isError !== true) {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the tool's output schema
        const [first] = (answer.structuredContent as Stored).results
        if (first !== undefined) return { id: first.id, failures }
      }
    } catch {
      // answered as an error: the next try carries the same key
    }
  }
  throw new Error(`${key} was not stored in ${String(triesMax)} tries`)
}

interface Page {
  readonly content: string
  readonly next_cursor?: string | null
}

/** Every memory of the namespace: content and id. */
async function exportAll(client: Client): Promise<{ id: string; content: string }[]> {
  const memories: { id: string; content: string }[] = []
  let cursor: string | undefined
  do {
    const input = { format: 'jsonl', limit: 200, ...(cursor === undefined ? {} : { cursor }) }
    const answer = await client.callTool({ name: 'export', arguments: input })
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the tool's output schema
    const page = answer.structuredContent as Page
    for (const line of page.content.split('\n').filter((text) => text.includes('"content"'))) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one memory a line
      memories.push(JSON.parse(line) as { id: string; content: string })
    }
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  return memories
}

function daemonPid(): number {
  const lock: unknown = JSON.parse(readFileSync(join(dataDirectory, 'daemon.lock'), 'utf8'))
  if (typeof lock !== 'object' || lock === null || !('pid' in lock)) throw new Error('no lock')
  return Number(lock.pid)
}

test(
  `${String(size.stores)} stores by four clients survive ${String(size.kills)} kills of the daemon`,
  { timeout: size.timeoutMs },
  async () => {
    const windows = await Promise.all(
      Array.from({ length: clientCount }, async (_, index) =>
        openWindow(`window-${String(index)}`, index % 2 === 0 ? 'legacy' : 'auto'),
      ),
    )
    const pids = windows.map(({ transport }) => transport.pid)
    const acknowledged = new Map<string, string>()
    let failures = 0
    const killed: number[] = []
    const killing = (async () => {
      for (let kill = 1; kill <= size.kills; kill++) {
        const after = Math.floor((kill * size.stores) / (size.kills + 1))
        await until(() => acknowledged.size >= after, {
          timeoutMs: size.timeoutMs,
          what: `${String(after)} stores`,
        })
        const pid = daemonPid()
        process.kill(pid, 'SIGKILL')
        killed.push(pid)
      }
    })()
    const writing = windows.flatMap(({ client }, window) =>
      Array.from({ length: lanes }, async (_, lane) => {
        for (let number = lane; number < size.stores / clientCount; number += lanes) {
          const key = `window-${String(window)}-note-${String(number)}`
          const content = `Note ${String(number)} written in window ${String(window)}.`
          const stored = await store(client, content, key)
          acknowledged.set(content, stored.id)
          failures += stored.failures
        }
      }),
    )
    await Promise.all([...writing, killing])

    // every window is still the process it was, and all of them see everything
    expect(windows.map(({ transport }) => transport.pid)).toEqual(pids)
    expect(new Set(killed).size).toBe(size.kills)
    const [first, second] = windows
    if (first === undefined || second === undefined) throw new Error('windows are missing')
    for (const { client } of [first, second]) expectAll(await exportAll(client), acknowledged)
    for (const { client } of windows) await client.close()

    // the directory opens again after an orderly end as well
    await command('daemon', 'stop')
    const again = await openWindow('afterwards', 'legacy')
    expectAll(await exportAll(again.client), acknowledged)
    await again.client.close()
    expect(failures).toBe(0)
  },
)

function expectAll(
  memories: readonly { id: string; content: string }[],
  acknowledged: ReadonlyMap<string, string>,
): void {
  const found = new Map(memories.map(({ id, content }) => [content, id]))
  const lost = [...acknowledged].filter(([content, id]) => found.get(content) !== id)
  expect({ lost, stored: memories.length, distinct: found.size }).toEqual({
    lost: [],
    stored: size.stores,
    distinct: size.stores,
  })
}
