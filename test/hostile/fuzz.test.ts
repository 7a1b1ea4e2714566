/**
 * Mutated tool calls and HTTP requests against a running server: it lives, answers in time, never with
 * an internal error, a stack or a secret. `FULL=1` runs the size required; `SEED=…` repeats a run.
 */
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { testEngine } from '../support/database.ts'
import { installProgram, type Installation, type Server } from '../support/processes.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { requestOf, type Request, type Target } from './fuzz-requests.ts'
import { degenerateStores, hostileValues } from './mutations.ts'

const isFull = process.env['FULL'] === '1'
const size = isFull
  ? { requests: 100_000, timeoutMs: 7_200_000 }
  : { requests: 3000, timeoutMs: 600_000 }
/** A hang by the requirement; machines that run everything at once get ten times of it. */
const hangMs = isFull ? 2000 : 20_000
const lanes = 6
const seed = seedOf(process.env)
/** Stands in a namespace that the attacker has no right to. */
const foreignContent = 'Vermilion walrus ledger'

let installation: Installation
let server: Server
let target: Target
const stored = z.object({ results: z.array(z.object({ id: z.string() })) })

beforeAll(async () => {
  installation = await installProgram()
  const other = await installation.serve({ MINDGLUE_NAMESPACE: 'other' })
  const foreignId = idsOf(await other.call('store', { content: `${foreignContent}.` }))[0] ?? ''
  await other.end('SIGTERM')
  server = await installation.serve()
  const memories = Array.from({ length: 5 }, (_, item) => ({ content: `Ada keeps note ${item}.` }))
  const ids = idsOf(await server.call('store', { memories }))
  const page = await server.call('export', { limit: 2 })
  const cursor = page.ok ? z.object({ next_cursor: z.string() }).parse(page.output).next_cursor : ''
  const { mcp, sidecar } = server
  target = { ids, cursor, foreignId, mcp, sidecar, apiKey: installation.apiKey }
}, 180_000)
afterAll(() => installation.remove())

function idsOf(answer: Awaited<ReturnType<Server['call']>>): string[] {
  if (!answer.ok) throw new Error(`refused: ${answer.code}`)
  return stored.parse(answer.output).results.map(({ id }) => id)
}

interface Findings {
  readonly problems: string[]
  slowestMs: number
  done: number
  readonly statuses: Map<string, number>
}

/** What no reply may hold. Our own mutations hold nothing of the kind. */
function leakIn(text: string): string | undefined {
  if (/\bat .{1,200}[:(/].{1,200}:\d+:\d+|node:internal|node_modules/u.test(text)) return 'a stack'
  const secrets = [
    installation.apiKey,
    installation.environment['MINDGLUE_SECRET'],
    installation.environment['DATABASE_URL'],
    installation.environment['MINDGLUE_DATA_DIR'],
  ]
  if (secrets.some((secret) => secret !== undefined && text.includes(secret))) return 'a secret'
  if (text.includes(foreignContent)) return "another namespace's memory"
  if (/"code":-32603|\\?"code\\?":\\?"internal|^internal: /mu.test(text)) return 'an internal error'
  return undefined
}

async function send(request: Request): Promise<{ status: number; text: string }> {
  const { method, headers, body } = request
  const response = await fetch(request.url, {
    method,
    headers,
    ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
    signal: AbortSignal.timeout(hangMs * 2),
  })
  return { status: response.status, text: await response.text() }
}

async function probe(request: Request, label: string, findings: Findings): Promise<void> {
  const began = performance.now()
  try {
    const { status, text } = await send(request)
    findings.statuses.set(`${status}`, (findings.statuses.get(`${status}`) ?? 0) + 1)
    const leak = status >= 500 ? `status ${status}` : leakIn(text)
    if (leak !== undefined) {
      findings.problems.push(
        `${label}: ${leak}: ${request.body.slice(0, 300)} → ${text.slice(0, 300)}`,
      )
    }
  } catch (error) {
    findings.problems.push(`${label}: no answer (${String(error)}): ${request.body.slice(0, 300)}`)
  }
  const tookMs = performance.now() - began
  findings.slowestMs = Math.max(findings.slowestMs, tookMs)
  if (tookMs > hangMs) await repeat(request, `${label}: ${tookMs.toFixed(0)} ms`, findings)
  findings.done += 1
}

/** A machine that starves makes anything slow once; what hangs by itself does so again. */
async function repeat(request: Request, label: string, findings: Findings): Promise<void> {
  const began = performance.now()
  await send(request).catch(() => undefined)
  const tookMs = performance.now() - began
  const line = `${label}, again ${tookMs.toFixed(0)} ms: ${request.body.slice(0, 200)}`
  process.stderr.write(`slow: ${line}\n`)
  if (tookMs > hangMs) findings.problems.push(line)
}

function freshFindings(): Findings {
  return { problems: [], slowestMs: 0, done: 0, statuses: new Map() }
}

test(`${size.requests} mutated requests find nothing`, { timeout: size.timeoutMs }, async () => {
  const findings = freshFindings()
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < size.requests && findings.problems.length < 20) {
      const number = next++
      await probe(
        requestOf(seededRandom(seed + number), target),
        `seed ${seed} + ${number}`,
        findings,
      )
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  const figures = `${testEngine}: ${findings.done} requests, slowest ${findings.slowestMs.toFixed(0)} ms, statuses ${JSON.stringify(Object.fromEntries(findings.statuses))}, seed ${seed}`
  process.stderr.write(`${figures}\n`)
  expect(findings.problems, figures).toEqual([])
  expect(server.running.child.exitCode, server.running.errors()).toBeNull()
  expect((await server.call('recall', { ids: [target.foreignId] })).ok).toBe(true)
})

test(
  'degenerate contents and values in every field are answered in time',
  { timeout: size.timeoutMs },
  async () => {
    const findings = freshFindings()
    const base = requestOf(() => 0.5, target)
    const body = (name: string, input: unknown): Request => ({
      ...base,
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name, arguments: input },
      }),
    })
    for (const [index, input] of degenerateStores.entries()) {
      await probe(body('store', input), `degenerate ${index}`, findings)
    }
    for (const [index, value] of hostileValues.entries()) {
      await probe(body('recall', { query: value }), `question ${index}`, findings)
    }
    await probe({ ...base, body: `{"a":"${'x'.repeat(10_000_000)}"}` }, 'ten megabytes', findings)
    process.stderr.write(
      `${testEngine}: ${findings.done} degenerate requests, slowest ${findings.slowestMs.toFixed(0)} ms\n`,
    )
    expect(findings.problems).toEqual([])
  },
)

test(
  'broken HTTP on a raw socket ends the connection and nothing else',
  { timeout: 120_000 },
  async () => {
    const head = `POST /mcp HTTP/1.1\r\nHost: ${server.mcp.host}\r\nAuthorization: Bearer ${installation.apiKey}\r\nContent-Type: application/json\r\n`
    const broken = [
      'GARBAGE\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      `${head}Content-Length: 500\r\n\r\n{"cut":`,
      `${head}Content-Length: -1\r\n\r\n{}`,
      `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n`,
      `${head}X: ${'y'.repeat(40_000)}\r\n\r\n`,
      `${head}Host: evil.example\r\nContent-Length: 2\r\n\r\n{}`,
      `\u0016\u0003\u0001\u0002\u0000`,
      '\r\n'.repeat(1000),
    ]
    for (const text of broken) {
      const reply = await rawReply(text)
      expect([text.slice(0, 60), leakIn(reply)]).toEqual([text.slice(0, 60), undefined])
      expect(reply).not.toMatch(/^HTTP\/1\.1 5/u)
    }
    expect(server.running.child.exitCode).toBeNull()
    expect((await server.call('recall', { ids: [target.foreignId] })).ok).toBe(true)
  },
)

/** Sends bytes, closes our half, and gives what came back before the server closed its own. */
function rawReply(text: string): Promise<string> {
  return new Promise((resolve) => {
    let reply = ''
    const socket = connect(Number(server.mcp.port), '127.0.0.1')
    socket.setTimeout(hangMs * 2, () => socket.destroy(new Error('hang')))
    socket.on('data', (chunk: Buffer) => (reply += chunk.toString('latin1')))
    socket.on('error', (error) => (reply += error.message === 'hang' ? 'HTTP/1.1 599 hang' : ''))
    socket.once('close', () => resolve(reply.replace(/^HTTP\/1\.1 599/u, 'HTTP/1.1 599')))
    socket.end(text, 'latin1')
  })
}
