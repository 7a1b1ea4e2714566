/** Valid and broken protocol requests for the fuzz suites: same seed, same request. Sends nothing. */
import { meta, modernHeaders } from '../support/endpoint.ts'
import { breakText, mutate, pick } from './mutations.ts'

type Random = () => number

/** What requests name: ids and a cursor of the caller's own, and an id of another namespace. */
export interface Named {
  readonly ids: readonly string[]
  readonly cursor: string
  readonly foreignId: string
}

export interface Target extends Named {
  readonly mcp: URL
  readonly sidecar: URL
  readonly apiKey: string
}

/** Valid calls to start from; ids and cursors are the caller's own, another namespace's, or nobody's. */
function validCalls({
  ids: [id],
  cursor,
  foreignId,
}: Named): readonly (readonly [string, object])[] {
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
    ['recall', { cursor: cursor }],
    ['recall', { entity: 'Ada', agent: 'x', session: 's', speaker: 'Grace' }],
    ['forget', { ids: [foreignId] }],
    ['forget', { tag: 'tea', dry_run: true }],
    ['forget', { confirm_token: 'a'.repeat(32) }],
    ['export', { format: 'markdown', limit: 2 }],
    ['export', { cursor: cursor, limit: 2 }],
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

export interface Request {
  readonly method: string
  readonly url: URL
  readonly headers: Record<string, string>
  readonly body: string
}

interface Message {
  readonly isModern: boolean
  /** As it is sent. */
  readonly message: unknown
  readonly method: string
  readonly tool: string
}

/** A JSON-RPC message that is mostly wrong somewhere; every other one is of the newer protocol. */
function messageOf(random: Random, named: Named): Message {
  const [tool, input] = pick(random, validCalls(named))
  const isModern = random() < 0.5
  const params = { name: tool, arguments: input, ...(isModern && { _meta: meta }) }
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params }
  const about = { isModern, tool, method: call.method }
  const kind = random()
  if (kind < 0.7) {
    const changed = { ...params, arguments: mutate(random, input) }
    return { ...about, message: { ...call, params: changed } }
  }
  if (kind < 0.8) return { ...about, message: mutate(random, call) }
  if (kind > 0.9) return { ...about, message: call }
  const method = pick(random, methods)
  return { ...about, method, message: { ...call, method, params: mutate(random, params) } }
}

/** A line for stdio; now and then the text itself is broken. */
export function lineOf(random: Random, named: Named): string {
  const text = JSON.stringify(messageOf(random, named).message)
  return (random() < 0.1 ? breakText(random, text) : text).replaceAll('\n', ' ')
}

/** A request of the newer protocol names its method and tool in headers as well: mostly the right ones. */
export function requestOf(random: Random, target: Target): Request {
  const kind = random()
  if (kind > 0.95) return sidecarRequest(random, target)
  const { isModern, message, method, tool } = messageOf(random, target)
  const said = random() < 0.95 ? method : pick(random, methods)
  const text = JSON.stringify(message)
  return {
    method: 'POST',
    url: target.mcp,
    headers: {
      authorization: `Bearer ${target.apiKey}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(isModern && modernHeaders(said, tool)),
      ...(kind > 0.85 && hostileHeader(random)),
    },
    body: random() < 0.08 ? breakText(random, text) : text,
  }
}

function hostileHeader(random: Random): Record<string, string> {
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

function sidecarRequest(random: Random, target: Target): Request {
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
  const base = pick(random, [target.sidecar, target.mcp])
  return {
    method,
    url: new URL(path.replace(/^\/\//u, '/'), base),
    headers: hostileHeader(random),
    body: '',
  }
}
