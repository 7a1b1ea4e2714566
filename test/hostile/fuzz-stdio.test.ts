/**
 * Mutated lines on the standard input of the real program: it lives, goes on answering, and says nothing but
 * protocol. `FULL=1` sends the size required; `SEED=…` repeats a run.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run, type Running } from '../daemon/program.ts'
import { testEngine } from '../support/database.ts'
import { installProgram, type Installation } from '../support/processes.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { lineOf, type Named } from './fuzz-requests.ts'

const isFull = process.env['FULL'] === '1'
const lines = isFull ? 10_000 : 400
const hangMs = isFull ? 2000 : 20_000
const seed = seedOf(process.env)

let installation: Installation
let program: Running

beforeAll(async () => {
  installation = await installProgram()
  program = run(installation.main, [], installation.environment)
  say({
    jsonrpc: '2.0',
    id: 'hello',
    method: 'initialize',
    params: {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'fuzz', version: '1' },
    },
  })
  await answerTo('hello', 60_000)
  say({ jsonrpc: '2.0', method: 'notifications/initialized' })
}, 120_000)
afterAll(async () => {
  program.child.kill('SIGTERM')
  await program.exit
  await installation.remove()
})

test(`${lines} mutated lines find nothing`, { timeout: 3_600_000 }, async () => {
  const named: Named = { ids: ['01890000-0000-7000-8000-000000000001'], cursor: 'x', foreignId: '' }
  let slowestMs = 0
  for (let number = 0; number < lines; number += 1) {
    program.send(lineOf(seededRandom(seed + number), named))
    const id = `after ${number}`
    const began = performance.now()
    say({ jsonrpc: '2.0', id, method: 'ping' })
    await answerTo(id, hangMs)
    slowestMs = Math.max(slowestMs, performance.now() - began)
  }
  const figures = `${testEngine}: ${lines} lines, slowest ${slowestMs.toFixed(0)} ms, seed ${seed}`
  process.stderr.write(`${figures}\n`)
  expect(program.child.exitCode, figures).toBeNull()
  const strange = program.lines.filter((line) => !line.startsWith('{"') || leak.test(line))
  expect(strange, figures).toEqual([])
})

/** A stack, or an internal error; lines come faster than they are answered, which is told as `unavailable`. */
const leak =
  /node:internal|node_modules|"code":-32603(?!.*"code":"unavailable")|\\"code\\":\\"internal/u

function say(message: object): void {
  program.send(JSON.stringify(message))
}

/** Rejects when the program ends first, or takes longer. */
async function answerTo(id: string, timeoutMs: number): Promise<void> {
  const needle = `"id":${JSON.stringify(id)}`
  const late = AbortSignal.timeout(timeoutMs)
  while (!(await program.nextLine()).includes(needle)) late.throwIfAborted()
  late.throwIfAborted()
}
