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
import { breakText, degenerateStores, hostileValues, mutate, pick } from './mutations.ts'

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
let own: { readonly ids: readonly string[]; readonly cursor: string }
let foreignId: string
const stored = z.object({ results: z.array(z.object({ id: z.string() })) })

beforeAll(async () => {
  installation = await installProgram()
  const other = await installation.serve({ MINDGLUE_NAMESPACE: 'other' })
  foreignId = idsOf(await other.call('store', { content: `${foreignContent}.` }))[0] ?? ''
  await other.end('SIGTERM')
  server = await installation.serve()
  const memories = Array.from({ length: 5 }, (_, item) => ({ content: `Ada keeps note ${item}.` }))
  const ids = idsOf(await server.call('store', { memories }))
  const page = await server.call('export', { limit: 2 })
  const cursor = page.ok ? z.object({ next_cursor: z.string() }).parse(page.output).next_cursor : ''
  own = { ids, cursor }
}, 180_000)
afterAll(() => installation.remove())

function idsOf(answer: Awaited<ReturnType<Server['call']>>): string[] {
  if (!answer.ok) throw new Error(`refused: ${answer.code}`)
  return stored.parse(answer.output).results.map(({ id }) => id)
}

/** Valid calls to start from; ids and cursors are the caller's own, another namespace's, or nobody's. */
function validCalls(): readonly (readonly [string, object])[] {
  const id = own.ids[0]
  return [
    [
      'store',
      {
        content: 'Grace likes tea.',
        tags: ['tea'],
        session: 's',
        speaker: 'Grace',
        metadata: { a: { b: [1] } },
      },
    ],
    [
      'store',
      {
        content: 'Due soon.',
        ttl_seconds: 60,
        importance: 0.5,
        access: 'private',
        allowed_agents: ['x'],
      },
    ],
    [
      'store',
      {
        memories: [{ content: 'One.' }, { content: 'Two.', occurred_at: '2026-01-01' }],
        idempotency_key: 'k',
      },
    ],
    [
      'store',
      { content: 'Dated.', expires_at: '2099-01-01T00:00:00Z', source_url: 'https://example.org/' },
    ],
    [
      'recall',
      { query: 'What does Grace like?', limit: 5, explain: true, neighbours: 1, min_score: 0.1 },
    ],
    [
      'recall',
      {
        queries: ['tea', 'notes'],
        types: ['note'],
        tags: ['tea'],
        after: '2026-01-01',
        before: '2027-01-01',
      },
    ],
    ['recall', { ids: [id, foreignId] }],
    ['recall', { cursor: own.cursor }],
    ['recall', { entity: 'Ada', agent: 'x', session: 's', speaker: 'Grace' }],
    ['forget', { ids: [foreignId] }],
    ['forget', { tag: 'tea', dry_run: true }],
    ['forget', { confirm_token: 'a'.repeat(32) }],
    ['export', { format: 'markdown', limit: 2 }],
    ['export', { cursor: own.cursor, limit: 2 }],
  ]
}

const methods = [
  'tools/call',
  'tools/list',
  'resources/read',
  'resources/list',
  'prompts/get',
  'completion/complete',
  'initialize',
  'server/discover',
  'ping',
  'logging/setLevel',
  'nothing/here',
  '__proto__',
  '',
]

interface Request {
  readonly method: string
  readonly url: URL
  readonly headers: Record<string, string>
  readonly body: string
}

function requestOf(random: () => number): Request {
  const [name, input] = pick(random, validCalls())
  const kind = random()
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: input } }
  const json = (value: unknown): Request => ({
    method: 'POST',
    url: server.mcp,
    headers: {
      authorization: `Bearer ${installation.apiKey}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify(value),
  })
  if (kind < 0.6) return json({ ...call, params: { name, arguments: mutate(random, input) } })
  if (kind < 0.7) return json(mutate(random, call))
  if (kind < 0.78)
    return json({ ...call, method: pick(random, methods), params: mutate(random, call.params) })
  const valid = json(call)
  if (kind < 0.86) return { ...valid, body: breakText(random, valid.body) }
  if (kind < 0.95) return { ...valid, headers: { ...valid.headers, ...hostileHeader(random) } }
  return sidecarRequest(random)
}

function hostileHeader(random: () => number): Record<string, string> {
  const names = [
    'authorization',
    'content-type',
    'accept',
    'origin',
    'mcp-session-id',
    'mcp-protocol-version',
    'mcp-method',
    'mcp-name',
    'last-event-id',
    'x-request-id',
    'x-forwarded-for',
  ]
  const values = [
    '',
    'Bearer',
    'Bearer x',
    'text/plain',
    'application/json; charset=utf-16',
    '*/*',
    'null',
    'http://evil.example',
    '2026-07-28',
    '2025-11-25',
    '9999-99-99',
    'a'.repeat(5000),
    '%00',
    "' or 1=1 --",
  ]
  return { [pick(random, names)]: pick(random, values) }
}

function sidecarRequest(random: () => number): Request {
  const path = pick(random, [
    '/metrics',
    '/health/ready',
    '/health/live',
    '/',
    '/%00',
    '/../etc/passwd',
    `/${'a'.repeat(3000)}`,
    '/metrics?x=%ff',
    '//metrics',
  ])
  const method = pick(random, ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PUT', 'PATCH'])
  const base = pick(random, [server.sidecar, server.mcp])
  return {
    method,
    url: new URL(path.replace(/^\/\//u, '/'), base),
    headers: hostileHeader(random),
    body: '',
  }
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
  if (tookMs > hangMs)
    findings.problems.push(`${label}: ${tookMs.toFixed(0)} ms: ${request.body.slice(0, 200)}`)
  findings.done += 1
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
      await probe(requestOf(seededRandom(seed + number)), `seed ${seed} + ${number}`, findings)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  const figures = `${testEngine}: ${findings.done} requests, slowest ${findings.slowestMs.toFixed(0)} ms, statuses ${JSON.stringify(Object.fromEntries(findings.statuses))}, seed ${seed}`
  process.stderr.write(`${figures}\n`)
  expect(findings.problems, figures).toEqual([])
  expect(server.running.child.exitCode, server.running.errors()).toBeNull()
  expect((await server.call('recall', { ids: [foreignId] })).ok).toBe(true)
})

test(
  'degenerate contents and values in every field are answered in time',
  { timeout: size.timeoutMs },
  async () => {
    const findings = freshFindings()
    const base = requestOf(() => 0)
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
    expect((await server.call('recall', { ids: [foreignId] })).ok).toBe(true)
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
