/** The streamable HTTP endpoint of both protocol eras. Host, Origin, credentials and size come before. */
import {
  createMcpHandler,
  isJsonContentType,
  isLegacyRequest,
  legacyStatelessFallback,
  type McpServer,
  type McpRequestContext,
  type Server,
  type ServerEvent,
} from '@modelcontextprotocol/server'
import type { Principal } from '../principal.ts'
import { authInfoOf, principalOf } from './caller.ts'
import { createSessions } from './http-sessions.ts'
import { parseJson } from '../json.ts'
import { jsonRpcError, rpcCode } from './json-rpc-response.ts'
import { createPlaces, type Place, type PlaceBounds } from './places.ts'

/** Change events that one principal may see; returns the end of the subscription. */
export type ChangeFeed = (
  principal: Principal,
  listener: (event: ServerEvent) => void,
) => () => void

export interface McpEndpointOptions {
  /** One protocol server per request or session, never shared. `sessionful`: it can ask the client. */
  readonly serverFor: (
    principal: Principal,
    era: McpRequestContext['era'],
    sessionful: boolean,
  ) => Server | McpServer
  /**
   * Throws AppError when the principal lacks the scope of a message: the listener then answers 403 with
   * a challenge, before anything is dispatched, which is what makes a client ask for more scope.
   */
  readonly authorize?: (principal: Principal, message: unknown) => Promise<void>
  readonly changes: ChangeFeed
  /** Counts a request that opens a session or a stream; throws AppError when there were too many. */
  readonly charge?: (principal: Principal) => Promise<void>
  /** Which of the asked resource URIs the principal may subscribe to. */
  readonly subscribable: (principal: Principal, uris: readonly string[]) => Promise<string[]>
  /** Told of failures inside the protocol library and of refused requests. */
  readonly onError?: (error: Error) => void
  readonly sessionIdleMs?: number
  /** Of a process; the product's when left out. */
  readonly sessionBounds?: PlaceBounds
  readonly streamBounds?: PlaceBounds
}

export interface McpEndpoint {
  handle(request: Request, principal: Principal): Promise<Response>
  /** Ends sessions and streams; running calls are aborted. */
  close(): Promise<void>
}

/** Half an hour: longer than a person takes to answer a question, short enough to forget the gone. */
const sessionIdleMsDefault = 30 * 60_000
/** Half of all for one namespace: none shuts the others out. */
const sessionBounds: PlaceBounds = { all: 2000, perNamespace: 1000, perOwner: 64 }
/** Of open `subscriptions/listen` streams. */
const streamBounds: PlaceBounds = { all: 2000, perNamespace: 1000, perOwner: 32 }

/**
 * 2026-07-28 requests are stateless. 2025 clients get a session with `initialize`; their requests
 * without a session id are answered statelessly, since some clients drop the header and every tool
 * works without a session (only elicitation and subscriptions need one).
 */
export function createMcpEndpoint(options: McpEndpointOptions): McpEndpoint {
  const onError = options.onError ?? (() => undefined)
  const factory =
    (sessionful: boolean) =>
    ({ authInfo, era }: McpRequestContext) => {
      const principal = principalOf(authInfo)
      if (principal === undefined) throw new Error('a request reached the protocol without caller')
      return options.serverFor(principal, era, sessionful)
    }
  const modern = createMcpHandler(factory(false), { legacy: 'reject', onerror: onError })
  const stateless = legacyStatelessFallback(factory(false), onError)
  const streams = createListenStreams(options, factory(false), onError)
  const sessions = createSessions({
    serverFor: (principal) => options.serverFor(principal, 'legacy', true),
    bounds: options.sessionBounds ?? sessionBounds,
    idleMs: options.sessionIdleMs ?? sessionIdleMsDefault,
    onError,
  })

  const serveLegacy = async (
    request: Request,
    principal: Principal,
    body: unknown,
  ): Promise<Response> => {
    const sessionId = request.headers.get('mcp-session-id')
    if (sessionId !== null) return sessions.continue(request, principal, sessionId, body)
    if (request.method !== 'POST') return methodNotAllowed()
    if (opensSession(body)) {
      await options.charge?.(principal)
      return sessions.open(request, principal, body)
    }
    return stateless(request, { authInfo: authInfoOf(principal), parsedBody: body })
  }

  return {
    async handle(request, principal) {
      if (request.method === 'GET' || request.method === 'DELETE') {
        return serveLegacy(request, principal, undefined)
      }
      if (request.method !== 'POST') return methodNotAllowed()
      const body = await readBody(request)
      if (body instanceof Response) return body
      for (const message of messagesOf(body.json)) await options.authorize?.(principal, message)
      if (await isLegacyRequest(request, body.json)) {
        return serveLegacy(request, principal, body.json)
      }
      if (methodOf(body.json) === 'subscriptions/listen') {
        await options.charge?.(principal)
        return streams.open(request, principal, body.json)
      }
      return modern.fetch(request, { authInfo: authInfoOf(principal), parsedBody: body.json })
    },
    async close() {
      await Promise.all([modern.close(), streams.close(), sessions.close()])
    },
  }
}

/** GET and DELETE exist only inside a 2025 session; the 2026 transport is POST alone. */
function methodNotAllowed(): Response {
  const response = jsonRpcError(405, rpcCode.transport, 'Method not allowed')
  response.headers.set('allow', 'POST')
  return response
}

async function readBody(request: Request): Promise<Response | { json: unknown }> {
  if (!isJsonContentType(request.headers.get('content-type'))) {
    return jsonRpcError(415, rpcCode.transport, 'Content-Type must be application/json')
  }
  try {
    return { json: parseJson(await request.text()) }
  } catch {
    return jsonRpcError(400, rpcCode.parseError, 'Parse error: the body is not valid JSON')
  }
}

function opensSession(body: unknown): boolean {
  return messagesOf(body).some((message) => methodOf(message) === 'initialize')
}

/** A 2025-03-26 client may send several messages at once. */
function messagesOf(body: unknown): readonly unknown[] {
  return Array.isArray(body) ? body : [body]
}

function methodOf(message: unknown): unknown {
  return isRecord(message) ? message['method'] : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface ListenStreams {
  open(request: Request, principal: Principal, body: unknown): Promise<Response>
  close(): Promise<void>
}

/**
 * `subscriptions/listen` streams. Each has an event bus of its own, bound to its principal: the
 * library's shared bus would show every listener the activity of every namespace.
 */
function createListenStreams(
  options: McpEndpointOptions,
  factory: (context: McpRequestContext) => Server | McpServer,
  onError: (error: Error) => void,
): ListenStreams {
  const open = new Set<ReturnType<typeof createMcpHandler>>()
  const places = createPlaces(options.streamBounds ?? streamBounds)
  const listen = async (
    request: Request,
    principal: Principal,
    body: unknown,
    place: Place,
  ): Promise<Response> => {
    let isListening = false
    try {
      const allowed = await withAllowedUris(body, (uris) => options.subscribable(principal, uris))
      const handler = createMcpHandler(factory, {
        legacy: 'reject',
        onerror: onError,
        bus: {
          publish: () => undefined,
          subscribe: (listener) => {
            isListening = true
            open.add(handler)
            const end = options.changes(principal, listener)
            return () => {
              open.delete(handler)
              place.release()
              end()
            }
          },
        },
      })
      return await handler.fetch(request, { authInfo: authInfoOf(principal), parsedBody: allowed })
    } finally {
      // What was refused listens to nothing.
      if (!isListening) place.release()
    }
  }
  return {
    async open(request, principal, body) {
      const place = places.take(principal.namespace, `${principal.namespace}\n${principal.agent}`)
      if (place === undefined) {
        return jsonRpcError(200, rpcCode.internalError, 'Subscription limit reached', idOf(body))
      }
      return await listen(request, principal, body, place)
    },
    async close() {
      await Promise.all([...open].map((handler) => handler.close()))
    },
  }
}

function idOf(body: unknown): string | number | null {
  const id = isRecord(body) ? body['id'] : null
  return typeof id === 'string' || typeof id === 'number' ? id : null
}

/** URIs that one listen request may name. */
const urisMax = 100

/**
 * The same listen request with only those resource URIs that `allow` returns: the acknowledgement
 * then names exactly what will be delivered. A malformed request is passed on to be refused.
 */
export async function withAllowedUris(
  message: unknown,
  allow: (uris: readonly string[]) => Promise<string[]>,
): Promise<unknown> {
  if (!isRecord(message) || !isRecord(message['params'])) return message
  const filter = message['params']['notifications']
  if (!isRecord(filter) || !Array.isArray(filter['resourceSubscriptions'])) return message
  const asked: readonly unknown[] = filter['resourceSubscriptions']
  const uris = asked.filter((uri) => typeof uri === 'string').slice(0, urisMax)
  if (uris.length < Math.min(asked.length, urisMax)) return message
  const notifications = { ...filter, resourceSubscriptions: await allow(uris) }
  return { ...message, params: { ...message['params'], notifications } }
}
