/** A Redis of a test's own, to kill, stop and start again. Needs the program of the shared one. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { until } from './until.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Ends it without a word, as `kill -9` does; what it knew is gone. */
  kill(): Promise<void>
  /** Starts it again, empty, at the same address. */
  start(): Promise<void>
  /** Leaves its connections open and answers nothing. */
  pause(): void
  resume(): void
  /** One command over a connection of its own. */
  command(name: string, ...args: string[]): Promise<unknown>
  /** Ends it for good. */
  close(): Promise<void>
}

/** Where the shared Redis' program lies; undefined without one. */
async function programOf(sharedUrl: string): Promise<string> {
  const client = new Redis(sharedUrl, { lazyConnect: true })
  try {
    await client.connect()
    const path = /^executable:(?<path>.+?)\r?$/mu.exec(await client.info('server'))?.groups?.[
      'path'
    ]
    if (path === undefined) throw new Error('Redis does not say where its program is')
    return path
  } finally {
    client.disconnect()
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  return address.port
}

export async function startRedis(sharedUrl: string): Promise<RedisServer> {
  const program = await programOf(sharedUrl)
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'mindglue-redis-'))
  let child: ChildProcess | undefined
  const command = async (name: string, ...args: string[]): Promise<unknown> => {
    const client = new Redis(port, '127.0.0.1', {
      lazyConnect: true,
      enableOfflineQueue: true,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return await client.call(name, ...args)
    } finally {
      client.disconnect()
    }
  }
  const start = async (): Promise<void> => {
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory]
    const memoryOnly = ['--save', '', '--appendonly', 'no', '--daemonize', 'no']
    child = spawn(program, [...args, ...memoryOnly], { stdio: 'ignore' })
    await until(async () => (await command('ping')) === 'PONG', { what: 'Redis answering' })
  }
  const kill = async (): Promise<void> => {
    const ending = child
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = new Promise((resolve) => ending.once('exit', resolve))
    ending.kill('SIGKILL')
    await ended
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    start,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    command,
    close: async () => {
      await kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
