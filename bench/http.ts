/**
 * What REST adds to a recall: authenticated over loopback beside the same call without transport, and what
 * a thousand clients at once get. Usage: npm run bench:http -- [--memories 2000] [--questions 300]
 * [--clients 1000] [--seconds 60]; TEST_DATABASE=postgres for the other engine. Zero clients: no flood.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { allScopes } from '../src/principal.ts'
import { startTestApp, type TestApp } from '../test/support/app.ts'
import { testEngine } from '../test/support/database.ts'
import { issueKey } from '../test/support/keys.ts'
import type { Asked, ClientData, Flooded, Task } from './support/http-client.ts'
import { questions, sampleMemories } from './support/texts.ts'

const { values } = parseArgs({
  options: {
    memories: { type: 'string', default: '2000' },
    questions: { type: 'string', default: '300' },
    clients: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
  },
})
const memories = Number(values.memories)
const rounds = Number(values.questions)
const clients = Number(values.clients)
const seconds = Number(values.seconds)
const batch = 250
const warmRounds = 50
const namespaceName = 'bench'

const out = (text: string) => process.stdout.write(`${text}\n`)
const app = await startTestApp()
try {
  const { key } = await issueKey(app, namespaceName, { agent: 'bench', scopes: [...allScopes] })
  await fill(app)
  const client: ClientData = { origin: app.listener.origin, key, questions }
  const worker = fork(fileURLToPath(new URL('support/http-client.ts', import.meta.url)), [
    JSON.stringify(client),
  ])
  out(`${testEngine}, ${memories} memories, Node ${process.versions.node}`)
  await measureOverhead(app, worker)
  if (clients > 0) await flood(worker)
  worker.kill()
} finally {
  await app.close()
}

async function principalOf(given: TestApp) {
  return await given.app.principal({ namespaceName, agent: 'bench', channel: 'rest' })
}

async function fill(given: TestApp): Promise<void> {
  const who = await principalOf(given)
  const { execute, operations } = given.app
  const all = [...sampleMemories(memories)]
  for (let start = 0; start < all.length; start += batch) {
    await execute(operations.store, who, { memories: all.slice(start, start + batch) })
  }
}

async function ask<Answer>(worker: ChildProcess, task: Task): Promise<Answer> {
  const answered = once(worker, 'message')
  worker.send(task)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the clients answer each task with its kind
  return (await answered)[0] as Answer
}

/** The same question both ways, in turn first and second: the second one finds more in caches. */
async function measureOverhead(given: TestApp, worker: ChildProcess): Promise<void> {
  const who = await principalOf(given)
  const { execute, operations } = given.app
  const core: Timed = { wallMs: [], processorMs: 0 }
  const rest: Timed = { wallMs: [], processorMs: 0 }
  const ways = [
    async (query: string) => {
      const began = performance.now()
      await execute(operations.recall, who, { query })
      return { into: core, ms: performance.now() - began }
    },
    async (query: string) => {
      const { ms, status } = await ask<Asked>(worker, { kind: 'ask', query })
      if (status !== 200) throw new Error(`answered with ${status}`)
      return { into: rest, ms }
    },
  ]
  for (let round = -warmRounds; round < rounds; round += 1) {
    const query = questions[(round + warmRounds) % questions.length] ?? ''
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const before = process.cpuUsage()
      const { into, ms } = await way(query)
      const { user, system } = process.cpuUsage(before)
      if (round < 0) continue
      into.wallMs.push(ms)
      into.processorMs += (user + system) / 1000 / rounds
    }
  }
  out(
    '\n| recall | p50 ms | p95 ms | processor of the server, ms a call |\n| --- | --- | --- | --- |',
  )
  printRow('called', core)
  printRow('over REST, with a key', rest)
  const was = quantile(core.wallMs, 0.5)
  const added = quantile(rest.wallMs, 0.5) - was
  const work = rest.processorMs - core.processorMs
  const share = (ms: number, of: number) => `${ms.toFixed(2)} (${((100 * ms) / of).toFixed(1)} %)`
  out(`| added | ${share(added, was)} | | ${share(work, core.processorMs)} |`)
}

interface Timed {
  readonly wallMs: number[]
  processorMs: number
}

function printRow(name: string, { wallMs, processorMs }: Timed): void {
  const cells = [quantile(wallMs, 0.5), quantile(wallMs, 0.95), processorMs]
  out(`| ${name} | ${cells.map((ms) => ms.toFixed(2)).join(' | ')} |`)
}

async function flood(worker: ChildProcess): Promise<void> {
  await ask<Flooded>(worker, { kind: 'flood', clients, seconds: 10 })
  const before = heldMegabytes()
  const { outcomes, servedMs } = await ask<Flooded>(worker, { kind: 'flood', clients, seconds })
  const after = heldMegabytes()
  const count = Object.entries(outcomes).map(([name, times]) => `${name}: ${times}`)
  out(`\n| ${clients} clients for ${seconds} s | |\n| --- | --- |`)
  out(`| answers | ${count.join(', ')} |`)
  out(`| served a second | ${(servedMs.length / seconds).toFixed(0)} |`)
  out(
    `| p50 / p99 ms of those served | ${[0.5, 0.99].map((share) => quantile(servedMs, share).toFixed(0)).join(' / ')} |`,
  )
  out(`| memory held before / after, MB | ${before.toFixed(0)} / ${after.toFixed(0)} |`)
}

/** What the server holds after a collection. */
function heldMegabytes(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new TypeError('no collector')
  for (let round = 0; round < 3; round += 1) Reflect.apply(collect, undefined, [])
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 1_000_000
}

function quantile(list: readonly number[], share: number): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0
}
