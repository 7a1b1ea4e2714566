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

export interface SessionsOptions {
  readonly serverFor: (principal: Principal) => Server | McpServer
  /** Sessions one process holds; each costs about 60 KB. */
  readonly sessionsMax: number
  readonly sessionsPerPrincipalMax: number
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
  readonly transport: WebStandardStreamableHTTPServerTransport
  readonly server: Server | McpServer
  lastUsedAt: number
  /** Open GET streams; such a session is in use although it sends no requests. */
  streams: number
}

/** Owns the map of sessions of this process. An id is random, but never enough: the owner must match. */
export function createSessions(options: SessionsOptions): Sessions {
  const sessions = new Map<string, Session>()

  const end = async (id: string): Promise<void> => {
    const session = sessions.get(id)
    if (session === undefined) return
    sessions.delete(id)
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

  const makeRoom = async (owner: string): Promise<boolean> => {
    const own = [...sessions].filter(([, session]) => session.owner === owner)
    // A principal at its bound loses its own oldest session, so it cannot push out others.
    if (own.length >= options.sessionsPerPrincipalMax) {
      const [oldest] = own.toSorted(([, a], [, b]) => a.lastUsedAt - b.lastUsedAt)
      if (oldest !== undefined) await end(oldest[0])
    }
    return sessions.size < options.sessionsMax
  }

  return {
    get count() {
      return sessions.size
    },

    async open(request, principal, body) {
      const owner = ownerOf(principal)
      if (!(await makeRoom(owner))) {
        return jsonRpcError(503, rpcCode.transport, 'Too many sessions; try again later')
      }
      const server = options.serverFor(principal)
      const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: () => randomBytes(24).toString('base64url'),
        onsessioninitialized: (id) => {
          sessions.set(id, { owner, transport, server, lastUsedAt: Date.now(), streams: 0 })
        },
        onsessionclosed: (id) => end(id),
      })
      await server.connect(transport)
      const response = await transport.handleRequest(request, handling(principal, body))
      // A refused initialize leaves no session behind.
      if (transport.sessionId === undefined) await server.close().catch(options.onError)
      return response
    },

    async continue(request, principal, id, body) {
      const session = sessions.get(id)
      if (session === undefined || session.owner !== ownerOf(principal) || idle(session)) {
        return jsonRpcError(404, rpcCode.sessionNotFound, 'Session not found')
      }
      session.lastUsedAt = Date.now()
      const response = await session.transport.handleRequest(request, handling(principal, body))
      if (request.method === 'GET' && response.ok) countStream(session, request.signal)
      return response
    },

    async close() {
      clearInterval(sweep)
      await Promise.all([...sessions.keys()].map(end))
    },
  }
}

function countStream(session: Session, signal: AbortSignal): void {
  session.streams++
  const ended = (): void => {
    session.streams--
    session.lastUsedAt = Date.now()
  }
  if (signal.aborted) ended()
  else signal.addEventListener('abort', ended, { once: true })
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
