/** The HTTP listener: limits, Host and Origin, authentication, then the mounted routes. Knows no protocol. */
import { createServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import { Hono, type Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { cors } from 'hono/cors'
import { v7 as uuidv7 } from 'uuid'
import type { Authenticator } from '../auth/authenticate.ts'
import { AppError, toAppError } from '../errors.ts'
import type { Principal } from '../principal.ts'
import { isAllowedHost, isAllowedOrigin, type AllowedNames } from './allowed.ts'
import { bearerToken } from './bearer.ts'
import { clientAddress, trustedProxies } from './client-address.ts'
import { problemResponse } from './problem.ts'
import { securityText } from './security-text.ts'
import { endWithCredential } from './stream-end.ts'

/** What stands behind a path; every method of the path goes to it. */
export interface Mount {
  readonly path: string
  handle(request: Request, principal: Principal): Promise<Response>
  /** Ends open streams, so that draining can finish. */
  close(): Promise<void>
}

export interface ListenerOptions extends AllowedNames {
  /** Address to bind, such as `127.0.0.1` or `::`. */
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly bodyBytesMax: number
  /** Longest wait for running requests in `close`. */
  readonly drainSeconds: number
  readonly authenticator: Pick<Authenticator, 'required' | 'authenticate' | 'isCurrent'>
  /** Proxies whose `X-Forwarded-For` is believed (CIDR blocks or addresses). */
  readonly proxies?: readonly string[]
  /** Header fields on every answer to a known principal; asked when the answer is ready. */
  readonly principalFields?: (principal: Principal) => Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  /** Told of failures that a client only sees as `internal`; gets no request content. */
  readonly onUnexpectedError?: (error: unknown, requestId: string) => void
}

export interface Listener {
  /** Origin that this machine can reach, such as `http://127.0.0.1:7337`. */
  readonly origin: string
  readonly port: number
  /** Refuses new connections, ends streams, waits for running requests, then cuts what is left. */
  close(): Promise<void>
}

/**
 * Node's own limits against slow and hoarding clients. Streams of answers are not bound by them:
 * `requestTimeout` is the time to receive a request, not to answer it.
 */
const serverOptions = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16_384,
} satisfies ServerOptions

/** Sockets one process holds open; each open event stream is one. */
const connectionsMax = 4096

/** What a page of an allowed origin may read of an answer. */
const exposedHeaders = [
  'mcp-session-id',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'www-authenticate',
  'x-request-id',
]

interface Variables {
  requestId: string
  /** Undefined until the credentials were found right. */
  principal: Principal | undefined
}

interface Environment {
  Bindings: HttpBindings
  Variables: Variables
}

type Route = Context<Environment>

/**
 * Binds and serves. Resolves when connections are accepted. Throws AppError `misconfigured` when
 * the address reaches beyond loopback and no credentials would be asked for, or cannot be bound.
 */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  if (!options.authenticator.required && !isLoopbackAddress(options.host)) {
    throw new AppError(
      'misconfigured',
      'Without MINDGLUE_API_KEY the server listens on loopback only; set the key or use 127.0.0.1.',
    )
  }
  const app = createRoutes(options)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `createServer` is node:http's, so this is its Server
  const server = createAdaptorServer({
    fetch: app.fetch,
    hostname: options.host,
    createServer,
    serverOptions,
  }) as Server
  server.maxConnections = connectionsMax
  const address = await listen(server, options)
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
  const reachable = name === '0.0.0.0' ? '127.0.0.1' : name === '[::]' ? '[::1]' : name
  return {
    origin: `http://${reachable}:${address.port}`,
    port: address.port,
    close: () => drain(server, options),
  }
}

function createRoutes(options: ListenerOptions): Hono<Environment> {
  const app = new Hono<Environment>()
  const isProxy = trustedProxies(options.proxies ?? [])
  app.use('*', async (context, next) => {
    context.set('requestId', uuidv7())
    await next()
    const { headers } = context.res
    headers.set('x-request-id', context.var.requestId)
    const { principal } = context.var
    const fields = (principal && options.principalFields?.(principal)) ?? {}
    for (const [name, value] of Object.entries(fields)) headers.set(name, value)
    headers.set('x-content-type-options', 'nosniff')
    if (!headers.has('cache-control')) headers.set('cache-control', 'no-store')
  })
  app.onError((error, context) => failure(error, context, options))
  app.notFound((context) =>
    failure(new AppError('not_found', 'There is nothing at this address.'), context, options),
  )
  app.use('*', async (context, next) => {
    refuseForeign(context, options)
    await next()
  })
  app.use(
    '*',
    cors({
      origin: (origin) => (isAllowedOrigin(origin, options) ? origin : null),
      allowMethods: ['GET', 'POST', 'DELETE'],
      exposeHeaders: exposedHeaders,
      maxAge: 600,
    }),
  )
  // Before authentication: whoever found a hole need not have a key.
  app.get('/.well-known/security.txt', (context) => context.text(securityText(new Date())))
  app.use('*', async (context, next) => {
    const { requestId } = context.var
    const credential = bearerToken(context.req.raw.headers)
    const address = clientAddress(
      context.env.incoming.socket.remoteAddress,
      context.req.header('x-forwarded-for'),
      isProxy,
    )
    const request = { channel: 'mcp-http' as const, requestId, address }
    context.set('principal', await options.authenticator.authenticate(credential, request))
    await next()
  })
  const maxSize = options.bodyBytesMax
  app.use('*', bodyLimit({ maxSize, onError: (context: Route) => tooLarge(context, maxSize) }))
  for (const mount of options.mounts) {
    app.all(mount.path, async (context) => {
      const { principal } = context.var
      if (principal === undefined) throw new Error('a mount was reached without a principal')
      const response = await mount.handle(context.req.raw, principal)
      return endWithCredential(response, principal, options.authenticator)
    })
  }
  return app
}

function refuseForeign(context: Route, options: ListenerOptions): void {
  if (!isAllowedHost(context.req.header('host'), options)) {
    throw new AppError('insufficient_scope', 'This host name is not served here.')
  }
  if (!isAllowedOrigin(context.req.header('origin'), options)) {
    throw new AppError('insufficient_scope', 'This origin may not call this server.')
  }
}

/** Most clients read an answer only after they have sent everything: without this they see a reset. */
const discardMs = 2000

async function tooLarge(context: Route, bytesMax: number): Promise<never> {
  await discard(context.env.incoming)
  throw new AppError(
    'payload_too_large',
    `The body may have at most ${bytesMax} bytes; send less at once.`,
  )
}

/** Reads and drops the rest of a body, for two seconds at most. */
function discard(incoming: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    if (incoming.readableEnded || incoming.destroyed) return resolve()
    const timer = setTimeout(resolve, discardMs)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    incoming.once('end', done)
    incoming.once('close', done)
    // The errors of a client that gives up are of no interest here; `close` follows them.
    incoming.on('error', () => undefined)
    // A web stream that nobody reads pauses it: without this we would wait the whole time.
    incoming.on('pause', () => {
      incoming.removeAllListeners('data')
      incoming.resume()
    })
    incoming.resume()
    return undefined
  })
}

function failure(error: unknown, context: Route, options: ListenerOptions): Response {
  const known = toAppError(error)
  // The first middleware sets the id before anything can fail.
  const { requestId } = context.var
  if (known.code === 'internal') options.onUnexpectedError?.(error, requestId)
  return problemResponse(known, requestId)
}

function isLoopbackAddress(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/u.test(host)
}

async function listen(server: Server, options: ListenerOptions): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const where = `${options.host}:${options.port}`
      reject(new AppError('misconfigured', `Cannot listen on ${where}: is it in use?`, { cause }))
    })
    server.listen(options.port, options.host, resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  return address
}

async function drain(server: Server, options: ListenerOptions): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  await Promise.all(options.mounts.map((mount) => mount.close()))
  server.closeIdleConnections()
  // A connection that becomes idle while draining is closed at once, not after its keep-alive.
  const sweep = setInterval(() => server.closeIdleConnections(), 100)
  const cut = setTimeout(() => server.closeAllConnections(), options.drainSeconds * 1000)
  await closed
  clearInterval(sweep)
  clearTimeout(cut)
}
