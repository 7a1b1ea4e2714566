/**
 * How long a client waits for the tool list: on an empty directory, and when the daemon runs.
 * Prints medians beside `node -e 0`, and what each process keeps in memory. Arguments: the built
 * program (`dist/main.js`), runs (10).
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

const runs = Number(process.argv[3] ?? 10)
const main = resolve(process.argv[2] ?? 'dist/main.js')
/** The requirement's bars, in milliseconds. */
const barsMs = { empty: 3000, running: 700 }

interface Measured {
  readonly ms: number
  readonly child: ChildProcess
}

function environment(directory: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: directory,
    MINDGLUE_DATA_DIR: join(directory, 'data'),
    MINDGLUE_KEY_DIR: join(directory, 'keys'),
  }
}

/** From the start of the process to the answer of `tools/list`, with the handshake clients do today. */
async function untilTools(directory: string): Promise<Measured> {
  const clientInfo = { name: 'bench', version: '1.0.0' }
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo }
  const startedAt = performance.now()
  const child = spawn(process.execPath, [main], {
    env: environment(directory),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const say = (message: object): void => {
    child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }
  say({ id: 0, method: 'initialize', params })
  for await (const line of createInterface({ input: child.stdout })) {
    const id = /"id":(\d)/u.exec(line)?.[1]
    if (id === '0') {
      say({ method: 'notifications/initialized' })
      say({ id: 1, method: 'tools/list' })
    }
    if (id !== '1') continue
    if (!line.includes('recall')) throw new Error(`no tools: ${line.slice(0, 200)}`)
    return { ms: performance.now() - startedAt, child }
  }
  throw new Error('the program ended before it listed its tools')
}

async function end(child: ChildProcess): Promise<void> {
  await new Promise((done) => {
    child.once('exit', done)
    child.stdin?.end()
  })
}

function stopDaemon(directory: string): void {
  spawnSync(process.execPath, [main, 'daemon', 'stop'], { env: environment(directory) })
}

/** Proportional set size: memory shared with other processes is counted once among them. */
function megabytes(pid: number): { resident: number; proportional: number } {
  const read = (file: string, field: string): number => {
    const text = readFileSync(`/proc/${String(pid)}/${file}`, 'utf8')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'mu').exec(text)?.[1] ?? Number.NaN) / 1024
  }
  return { resident: read('status', 'VmRSS'), proportional: read('smaps_rollup', 'Pss') }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function bareNode(): number {
  const startedAt = performance.now()
  spawnSync(process.execPath, ['-e', '0'])
  return performance.now() - startedAt
}

async function onEmptyDirectory(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'mindglue-startup-'))
  try {
    const { ms, child } = await untilTools(directory)
    await end(child)
    return ms
  } finally {
    stopDaemon(directory)
    await rm(directory, { recursive: true, force: true })
  }
}

function row(name: string, values: readonly number[], barMs?: number): string {
  const text = (ms: number): string => ms.toFixed(0).padStart(7)
  const bar = barMs === undefined ? '' : ` (bar ${String(barMs)})`
  const sorted = values.toSorted((a, b) => a - b)
  return `${name.padEnd(34)}${text(median(values))}${text(sorted[0] ?? 0)}${text(sorted.at(-1) ?? 0)}${bar}`
}

async function bench(): Promise<string> {
  const bare = Array.from({ length: runs }, bareNode)
  const empty: number[] = []
  for (let run = 0; run < runs; run++) empty.push(await onEmptyDirectory())
  const directory = await mkdtemp(join(tmpdir(), 'mindglue-startup-'))
  try {
    const first = await untilTools(directory)
    const running: number[] = []
    for (let run = 0; run < runs; run++) {
      const { ms, child } = await untilTools(directory)
      running.push(ms)
      await end(child)
    }
    const lock: unknown = JSON.parse(readFileSync(join(directory, 'data', 'daemon.lock'), 'utf8'))
    const daemon = typeof lock === 'object' && lock !== null && 'pid' in lock ? Number(lock.pid) : 0
    const memory = [megabytes(first.child.pid ?? 0), megabytes(daemon)].map(
      ({ resident, proportional }) =>
        `${resident.toFixed(0)} MB resident, ${proportional.toFixed(0)} MB proportional`,
    )
    await end(first.child)
    return [
      `Node ${process.version}, ${String(cpus().length)} × ${cpus()[0]?.model ?? 'unknown'}, ${String(runs)} runs`,
      `${'milliseconds'.padEnd(34)} median    min    max`,
      row('node -e 0', bare),
      row('empty directory → tools/list', empty, barsMs.empty),
      row('daemon up → tools/list', running, barsMs.running),
      `a window's process: ${memory[0] ?? ''}`,
      `the daemon:         ${memory[1] ?? ''}`,
    ].join('\n')
  } finally {
    stopDaemon(directory)
    await rm(directory, { recursive: true, force: true })
  }
}

process.stdout.write(`${await bench()}\n`)
