/** Sessions of 2025-era clients over HTTP: needed for elicitation, the GET stream and subscriptions. */
import { randomBytes } from 'node:crypto'
import {
  WebStandardStreamableHTTPServerTransport,
  type McpServer,
  type Server,
} from '@modelcontextprotocol/server'
import type { Principal } from '../principal.ts'
import { authInfoOf } from './caller.ts'
import { jsonRpcError, rpcCode } from './json-rpc-response.ts'
import { createPlaces, type Place, type PlaceBounds } from './places.ts'

export interface SessionsOptions {
  readonly serverFor: (principal: Principal) => Server | McpServer
  /** Of the sessions that one process holds; each costs about 60 KB. */
  readonly bounds: PlaceBounds
  /** A session without an open stream ends after this time without a request. */
  readonly idleMs: number
  readonly onError: (error: Error) => void
}

export interface Sessions {
  /** Starts a session with an `initialize` request. */
  open(request: Request, principal: Principal, body: unknown): Promise<Response>
  /** A later request of a session. Unknown, ended and foreign ids are all 404. */
  continue(request: Request, principal: Principal, id: string, body: unknown): Promise<Response>
  readonly count: number
  close(): Promise<void>
}

interface Session {
  readonly owner: string
  readonly place: Place
  readonly transport: WebStandardStreamableHTTPServerTransport
  readonly server: Server | McpServer
  lastUsedAt: number
  /** Open GET streams; such a session is in use although it sends no requests. */
  streams: number
}

/** Owns the map of sessions of this process. An id is random, but never enough: the owner must match. */
export function createSessions(options: SessionsOptions): Sessions {
  const sessions = new Map<string, Session>()
  const places = createPlaces(options.bounds)

  const end = async (id: string): Promise<void> => {
    const session = sessions.get(id)
    if (session === undefined) return
    sessions.delete(id)
    session.place.release()
    await session.server.close().catch(options.onError)
  }

  const idle = (session: Session): boolean =>
    session.streams === 0 && Date.now() - session.lastUsedAt > options.idleMs

  const sweep = setInterval(
    () => {
      for (const [id, session] of sessions) if (idle(session)) void end(id)
    },
    Math.min(options.idleMs, 60_000),
  )
  sweep.unref()

  /** A principal at its bound loses its own oldest session, so it cannot push out others. */
  const takePlace = (namespace: bigint, owner: string): Place | undefined => {
    if (places.isFull(owner)) {
      const own = [...sessions].filter(([, session]) => session.owner === owner)
      const [oldest] = own.toSorted(([, a], [, b]) => a.lastUsedAt - b.lastUsedAt)
      // Its place is free at once; how it ends need not be waited for.
      if (oldest !== undefined) void end(oldest[0])
    }
    return places.take(namespace, owner)
  }

  return {
    get count() {
      return sessions.size
    },

    async open(request, principal, body) {
      const owner = ownerOf(principal)
      const place = takePlace(principal.namespace, owner)
      if (place === undefined) {
        return jsonRpcError(503, rpcCode.transport, 'Too many sessions; try again later')
      }
      let isOpen = false
      const server = options.serverFor(principal)
      const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: () => randomBytes(24).toString('base64url'),
        onsessioninitialized: (id) => {
          isOpen = true
          sessions.set(id, { owner, place, transport, server, lastUsedAt: Date.now(), streams: 0 })
        },
        onsessionclosed: (id) => end(id),
      })
      try {
        await server.connect(transport)
        return await transport.handleRequest(request, handling(principal, body))
      } finally {
        // A refused initialize leaves no session behind.
        if (!isOpen) {
          place.release()
          await server.close().catch(options.onError)
        }
      }
    },

    async continue(request, principal, id, body) {
      const session = sessions.get(id)
      if (session === undefined || session.owner !== ownerOf(principal) || idle(session)) {
        return jsonRpcError(404, rpcCode.sessionNotFound, 'Session not found')
      }
      session.lastUsedAt = Date.now()
      const response = await session.transport.handleRequest(request, handling(principal, body))
      if (request.method !== 'GET' || !response.ok) return response
      return countStream(session, response)
    },

    async close() {
      clearInterval(sweep)
      await Promise.all([...sessions.keys()].map(end))
    },
  }
}

/**
 * The same response, counted until its body ends. The listener can end it before the client does, when the
 * credential runs out (http/stream-end.ts), and then the request is never aborted.
 */
function countStream(session: Session, response: Response): Response {
  if (response.body === null) return response
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader()
  session.streams++
  let isOpen = true
  const ended = (): void => {
    if (!isOpen) return
    isOpen = false
    session.streams--
    session.lastUsedAt = Date.now()
  }
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const part = await reader.read().catch((error: unknown) => {
        ended()
        throw error
      })
      if (!isOpen) return
      if (!part.done) return controller.enqueue(part.value)
      ended()
      controller.close()
    },
    async cancel(reason) {
      ended()
      await reader.cancel(reason)
    },
  })
  const { status, statusText, headers } = response
  return new Response(body, { status, statusText, headers })
}

/** Another agent of the same namespace is another owner, and so is another key of the same agent. */
function ownerOf({ namespace, agent, credential }: Principal): string {
  return `${namespace}\n${credential?.id ?? ''}\n${agent}`
}

function handling(
  principal: Principal,
  body: unknown,
): Parameters<WebStandardStreamableHTTPServerTransport['handleRequest']>[1] {
  return { authInfo: authInfoOf(principal), ...(body !== undefined && { parsedBody: body }) }
}
