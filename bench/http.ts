/**
 * What REST adds to a recall: authenticated over loopback beside the same call without transport, and what
 * a thousand clients at once get. Usage: npm run bench:http -- [--memories 2000] [--questions 300]
 * [--clients 1000] [--seconds 60] [--warm 500]; TEST_DATABASE=postgres for the other engine. Zero clients: no flood.
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
import { openFloor } from './support/http-floor.ts'
import { questions, sampleMemories } from './support/texts.ts'

const { values } = parseArgs({
  options: {
    memories: { type: 'string', default: '2000' },
    questions: { type: 'string', default: '300' },
    clients: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    warm: { type: 'string', default: '500' },
  },
})
const memories = Number(values.memories)
const rounds = Number(values.questions)
const clients = Number(values.clients)
const seconds = Number(values.seconds)
/** A server that has served for a while: code that ran 50 times is still interpreted. */
const warmRounds = Number(values.warm)
const batch = 250
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
  await measureOverhead(app, key, worker)
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

/** The same question every way, each way in every place of the turn: who comes later finds more in caches. */
async function measureOverhead(given: TestApp, key: string, worker: ChildProcess): Promise<void> {
  const who = await principalOf(given)
  const { execute, operations } = given.app
  const recall = async (query: string) =>
    JSON.stringify(await execute(operations.recall, who, { query }))
  const texts = new Map<string, string>()
  for (const query of questions) texts.set(query, await recall(query))
  const headers = await headersOf(given, key)
  const bytesOnly = await openFloor(headers, (body) => texts.get(queryOf(body)) ?? '')
  const withRecall = await openFloor(headers, (body) => recall(queryOf(body)))
  const over = (origin: string) => async (query: string) => {
    const { ms, status, bytes } = await ask<Asked>(worker, { kind: 'ask', origin, query })
    if (status !== 200) throw new Error(`answered with ${status}`)
    return { ms, bytes }
  }
  const called: Way = timed('called', async (query) => {
    const began = performance.now()
    const output = await execute(operations.recall, who, { query })
    return { ms: performance.now() - began, bytes: Buffer.byteLength(JSON.stringify(output)) }
  })
  const floor = timed('bare `node:http`, the same bytes', over(bytesOnly.origin))
  const bare = timed('bare `node:http`, the same call', over(withRecall.origin))
  const rest = timed('over REST, with a key', over(given.listener.origin))
  const ways = [called, floor, bare, rest]
  for (let round = -warmRounds; round < rounds; round += 1) {
    const query = questions[(round + warmRounds) % questions.length] ?? ''
    const first = (round + warmRounds) % ways.length
    for (const way of [...ways.slice(first), ...ways.slice(0, first)]) {
      const before = process.cpuUsage()
      const { ms, bytes } = await way.take(query)
      const { user, system } = process.cpuUsage(before)
      if (round < 0) continue
      way.wallMs.push(ms)
      way.processorMs += (user + system) / 1000 / rounds
      way.bytes += bytes / rounds
    }
  }
  bytesOnly.close()
  withRecall.close()
  out('\n| recall | p50 ms | p95 ms | processor of the server, ms a call | bytes |')
  out('| --- | --- | --- | --- | --- |')
  for (const way of ways) printRow(way)
  printAdded('REST adds to the call', called, rest)
  printAdded('of that, beyond bare `node:http`', bare, rest)
}

/** What the product writes above a body, so that the floor writes as much. */
async function headersOf({ listener }: TestApp, key: string): Promise<Record<string, string>> {
  const reply = await fetch(`${listener.origin}/memory/recall`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'accept-encoding': 'identity',
    },
    body: JSON.stringify({ query: questions[0] }),
  })
  await reply.arrayBuffer()
  const own = new Set(['connection', 'content-length', 'date', 'keep-alive', 'transfer-encoding'])
  return Object.fromEntries([...reply.headers].filter(([name]) => !own.has(name)))
}

function queryOf(body: string): string {
  const { query }: { query?: unknown } = JSON.parse(body) as object
  return String(query)
}

interface Way {
  readonly name: string
  readonly take: (query: string) => Promise<{ readonly ms: number; readonly bytes: number }>
  readonly wallMs: number[]
  processorMs: number
  bytes: number
}

function timed(name: string, take: Way['take']): Way {
  return { name, take, wallMs: [], processorMs: 0, bytes: 0 }
}

function printRow({ name, wallMs, processorMs, bytes }: Way): void {
  const cells = [quantile(wallMs, 0.5), quantile(wallMs, 0.95), processorMs]
  out(`| ${name} | ${cells.map((ms) => ms.toFixed(2)).join(' | ')} | ${bytes.toFixed(0)} |`)
}

function printAdded(name: string, from: Way, to: Way): void {
  const was = quantile(from.wallMs, 0.5)
  const added = quantile(to.wallMs, 0.5) - was
  // Questions differ more than the ways do, and so does a busy machine from minute to minute.
  const paired = to.wallMs.map((ms, round) => ms - (from.wallMs[round] ?? ms))
  const work = to.processorMs - from.processorMs
  const share = (ms: number, of: number) => `${ms.toFixed(2)} (${((100 * ms) / of).toFixed(1)} %)`
  const processor = share(work, from.processorMs)
  out(`| ${name} | ${share(added, was)} | | ${processor} | |`)
  out(`| the same, question by question | ${share(quantile(paired, 0.5), was)} | | | |`)
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
