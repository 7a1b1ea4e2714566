/** What the pipe must know of a JSON-RPC 2.0 message: its kind, its id, and whether to ask again. */

export type Id = string | number

export type Message =
  | {
      readonly kind: 'request'
      readonly id: Id
      readonly method: string
      readonly params: ReadonlyMap<string, unknown>
    }
  | {
      readonly kind: 'notification'
      readonly method: string
      readonly params: ReadonlyMap<string, unknown>
    }
  | { readonly kind: 'response'; readonly id: Id; readonly isError: boolean }
  /** Anything else: passed on, for the server to refuse. */
  | { readonly kind: 'other' }

/** Batches (protocol 2025-03-26) give several messages; text that is no JSON gives one `other`. */
export function readMessages(line: Buffer): readonly Message[] {
  let value: unknown
  try {
    value = JSON.parse(line.toString('utf8'))
  } catch {
    return [{ kind: 'other' }]
  }
  return Array.isArray(value) ? value.map((part) => readMessage(part)) : [readMessage(value)]
}

function readMessage(value: unknown): Message {
  const fields = toFields(value)
  const method = fields.get('method')
  const id = fields.get('id')
  const hasId = typeof id === 'string' || typeof id === 'number'
  if (typeof method === 'string') {
    const params = toFields(fields.get('params'))
    return hasId
      ? { kind: 'request', id, method, params }
      : { kind: 'notification', method, params }
  }
  if (!hasId) return { kind: 'other' }
  return { kind: 'response', id, isError: fields.has('error') }
}

function toFields(value: unknown): ReadonlyMap<string, unknown> {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : new Map()
}

/** 1 and "1" are different ids. */
export function idKey(id: Id): string {
  return typeof id === 'number' ? `n${String(id)}` : `s${id}`
}

/** Requests that change nothing on the server, in both protocol eras. */
const readMethods: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
  'subscriptions/listen',
])

const readTools: ReadonlySet<string> = new Set(['recall', 'export', 'search', 'fetch'])

/**
 * True when asking a second time cannot change more than asking once: a read, a dry run, or a
 * write that carries an idempotency key.
 */
export function isRepeatable(method: string, params: ReadonlyMap<string, unknown>): boolean {
  if (readMethods.has(method)) return true
  if (method !== 'tools/call') return false
  const tool = params.get('name')
  const input = toFields(params.get('arguments'))
  if (typeof tool === 'string' && readTools.has(tool)) return true
  const key = input.get('idempotency_key')
  return (
    (typeof key === 'string' && key !== '') || (tool === 'forget' && input.get('dry_run') === true)
  )
}

/** Open for as long as the client listens; never waited for. */
export function isStanding(method: string): boolean {
  return method === 'subscriptions/listen'
}

/** The line of an error answer. `data.retryable` says whether the same request may be sent again. */
export function errorLine(
  id: Id | null,
  code: number,
  message: string,
  data?: Readonly<Record<string, unknown>>,
): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, ...(data ? { data } : {}) } })
}
