/** The streamable HTTP endpoint over a small protocol server of its own, for tests of the endpoint itself. */
import { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { AppError } from '../../src/errors.ts'
import { createListener, type Listener } from '../../src/http/listener.ts'
import { createMcpEndpoint, type McpEndpoint, type McpEndpointOptions } from '../../src/mcp/http.ts'
import { testPrincipal } from './principal.ts'

export const modern = '2026-07-28'
export const legacy = '2025-11-25'
export const meta = {
  'io.modelcontextprotocol/protocolVersion': modern,
  'io.modelcontextprotocol/clientCapabilities': {},
}

export interface Started {
  readonly listener: Listener
  readonly endpoint: McpEndpoint
  /** How many protocol servers were made. */
  readonly servers: () => number
  /** How many calls of `wait` saw that their client gave up. */
  readonly cancelled: () => number
  readonly publish: (namespace: bigint, uri: string) => void
}

const open: Listener[] = []

/** Closes every listener that was started; call it after each test. */
export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((listener) => listener.close()))
}

export interface StartOptions extends Pick<
  McpEndpointOptions,
  'sessionIdleMs' | 'sessionBounds' | 'streamBounds' | 'charge'
> {
  /** Whether credentials are accepted any longer; left out: nobody has one that could end. */
  readonly isCurrent?: () => boolean
}

/** The bearer of these tests is `agent@namespace`. */
export async function start({
  sessionIdleMs = 60_000,
  isCurrent,
  ...options
}: StartOptions = {}): Promise<Started> {
  let servers = 0
  let cancelled = 0
  const listeners = new Set<(namespace: bigint, uri: string) => void>()
  const endpoint = createMcpEndpoint({
    ...options,
    sessionIdleMs,
    serverFor: (principal) => {
      servers++
      const server = new McpServer(
        { name: 'small', version: '1.0.0' },
        { capabilities: { resources: { subscribe: true } } },
      )
      const who = { description: 'Says who calls', inputSchema: z.object({}) }
      server.registerTool('who', who, () => ({
        content: [{ type: 'text', text: `${principal.agent}@${principal.namespace}` }],
      }))
      const wait = { description: 'Waits to be cancelled', inputSchema: z.object({}) }
      server.registerTool('wait', wait, async (_input, { mcpReq }) => {
        await new Promise((resolve) => mcpReq.signal.addEventListener('abort', resolve))
        cancelled++
        return { content: [] }
      })
      return server
    },
    changes: (principal, listener) => {
      const forward = (namespace: bigint, uri: string): void => {
        if (namespace === principal.namespace) listener({ kind: 'resource_updated', uri })
      }
      listeners.add(forward)
      return () => listeners.delete(forward)
    },
    subscribable: (principal, uris) =>
      Promise.resolve(uris.filter((uri) => uri.startsWith(`memory://${principal.namespace}/`))),
  })
  const listener = await createListener({
    host: '127.0.0.1',
    port: 0,
    hosts: [],
    origins: [],
    bodyBytesMax: 4 * 1024 * 1024,
    drainSeconds: 1,
    authenticator: {
      required: true,
      isCurrent: () => Promise.resolve(isCurrent?.() ?? true),
      authenticate: (bearer, { requestId }) => {
        const [agent, namespace] = bearer?.split('~') ?? []
        if (agent === undefined || namespace === undefined) {
          return Promise.reject(new AppError('unauthenticated', 'Send a key.'))
        }
        const credential = isCurrent && {
          kind: 'access-token' as const,
          id: agent,
          requestsPerMinute: undefined,
          tools: undefined,
        }
        return Promise.resolve(
          testPrincipal({ agent, namespace: BigInt(namespace), requestId, credential }),
        )
      },
    },
    mounts: [{ path: '/mcp', ...endpoint }],
  })
  open.push(listener)
  return {
    listener,
    endpoint,
    servers: () => servers,
    cancelled: () => cancelled,
    publish: (namespace, uri) => listeners.forEach((forward) => forward(namespace, uri)),
  }
}

export interface Sent {
  readonly as?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly signal?: AbortSignal
}

export function send(listener: Listener, { as = 'anna@1', method = 'POST', ...sent }: Sent) {
  const { body, headers, signal } = sent
  return fetch(`${listener.origin}/mcp`, {
    method,
    headers: {
      // `@` may stand in no bearer token (RFC 6750 §2.1).
      authorization: `Bearer ${as.replace('@', '~')}`,
      accept: 'application/json, text/event-stream',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  })
}

export const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: legacy,
    capabilities: {},
    clientInfo: { name: 'test', version: '1.0.0' },
  },
}

export async function openSession(listener: Listener, as = 'anna@1'): Promise<string> {
  const response = await send(listener, { as, body: initialize })
  await response.text()
  const id = response.headers.get('mcp-session-id')
  if (id === null) throw new Error('no session')
  return id
}

export const call = (name: string, id: number | string = 2) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: {} },
})
export const modernCall = (name: string) => {
  const plain = call(name)
  return { ...plain, params: { ...plain.params, _meta: meta } }
}
export const modernHeaders = (method: string, name?: string) => ({
  'mcp-protocol-version': modern,
  'mcp-method': method,
  ...(name !== undefined && { 'mcp-name': name }),
})

const anyError = z.object({ error: z.object({ code: z.number() }) })
export const codeOf = async (response: Response) => anyError.parse(await response.json()).error.code
