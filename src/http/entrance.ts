/** What every request passes before it reaches a mount: encryption, Host, Origin, credentials, size. */
import type { HttpBindings } from '@hono/node-server'
import { Hono, type Context, type MiddlewareHandler } from 'hono'
import { compress } from 'hono/compress'
import { cors } from 'hono/cors'
import { v7 as uuidv7 } from 'uuid'
import type { Authenticator } from '../auth/authenticate.ts'
import { AppError, toAppError } from '../errors.ts'
import type { Channel, Principal } from '../principal.ts'
import { isAllowedHost, isAllowedOrigin, isListedOrigin, type AllowedNames } from './allowed.ts'
import { bearerToken } from './bearer.ts'
import { limitBody } from './body-limit.ts'
import { clientAddress, isOwn, trustedProxies, withoutMapping } from './client-address.ts'
import { problemResponse } from './problem.ts'
import type { ProtectedResource } from './protected-resource.ts'
import { setSecurityHeaders } from './security-headers.ts'
import { securityText } from './security-text.ts'
import { endWithCredential } from './stream-end.ts'

/** What stands behind a path; every method of the path goes to it. */
export interface Mount {
  /** A path, or `*` for everything that no mount before it took. */
  readonly path: string
  /** `mcp-http` when left out. REST answers are compressed, and read by pages of listed origins only. */
  readonly channel?: Extract<Channel, 'mcp-http' | 'rest'>
  handle(request: Request, principal: Principal): Promise<Response>
  /** Ends open streams, so that draining can finish. */
  close(): Promise<void>
}

/** What anybody may read, without credentials. */
export interface Page {
  readonly path: string
  handle(): Response
}

/** Who sent a request to an open route. */
export interface Caller {
  readonly requestId: string
  /** Undefined when it is not known. */
  readonly address: string | undefined
}

/** Paths that ask for no key or token in front: what is behind them finds out who calls. */
export interface OpenRoute {
  readonly paths: readonly string[]
  /** Those of them that programs call as they call `/mcp`: from pages of this machine as well. */
  readonly protocolPaths?: readonly string[]
  /** Gets a body of 64 KiB at most. */
  handle(request: Request, caller: Caller): Promise<Response>
}

export interface EntranceOptions extends AllowedNames {
  readonly bodyBytesMax: number
  readonly authenticator: Pick<Authenticator, 'required' | 'authenticate' | 'isCurrent'>
  /** Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed (CIDR blocks or addresses). */
  readonly proxies?: readonly string[]
  /** Header fields on every answer to a known principal; asked when the answer is ready. */
  readonly principalFields?: (principal: Principal) => Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  readonly pages?: readonly Page[]
  readonly openRoutes?: readonly OpenRoute[]
  /** Where access tokens are accepted: what clients are told of them. */
  readonly protectedResource?: ProtectedResource | undefined
  /** Told of failures that a client only sees as `internal`; gets no request content. */
  readonly onUnexpectedError?: (error: unknown, requestId: string) => void
}

/** What the socket speaks: TLS; HTTP that only this machine reaches; or HTTP for proxies in front. */
export type Speech = 'tls' | 'loopback' | 'proxied'

export interface Environment {
  Bindings: HttpBindings
  Variables: {
    requestId: string
    isEncrypted: boolean
    /** Undefined until the credentials were found right. */
    principal: Principal | undefined
  }
}

type Route = Context<Environment>

/** What a page of an allowed origin may read of an answer. */
const exposedHeaders = [
  'etag',
  'link',
  'location',
  'mcp-session-id',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'www-authenticate',
  'x-request-id',
]

/** What an open route reads at most: small documents and forms. */
const openBodyBytesMax = 65_536

/** Types that are compressed besides those that Hono knows. */
const compressible =
  /^(?:text\/(?:html|markdown|plain)|application\/(?:json|problem\+json|x-ndjson))/u

/** Builds the routes in the order in which a request meets them. */
export function createEntrance(given: EntranceOptions, speech: Speech): Hono<Environment> {
  const options = { ...given, ...allowedNames(given) }
  const app = new Hono<Environment>()
  app.use('*', dress(options))
  app.onError((error, context) => failure(error, context, options))
  app.use('*', async (context, next) => {
    refuseForeign(context, options)
    await next()
  })
  app.use('*', requireEncryption(options, speech))
  app.use('*', shareWithPages(options))
  // Before authentication: whoever found a hole need not have a key.
  app.get('/.well-known/security.txt', (context) => context.text(securityText(new Date())))
  const compressed = compress({ contentTypeFilter: compressible })
  for (const page of options.pages ?? []) app.get(page.path, compressed, () => page.handle())
  for (const page of options.protectedResource?.pages ?? []) app.get(page.path, () => page.handle())
  const addressOf = addressReader(options)
  for (const route of options.openRoutes ?? []) {
    for (const path of route.paths) {
      app.all(path, limitBody(openBodyBytesMax), (context) => {
        const requestId = context.get('requestId')
        return route.handle(context.req.raw, { requestId, address: addressOf(context) })
      })
    }
  }
  const limited = limitBody(options.bodyBytesMax)
  for (const mount of options.mounts) {
    const { channel = 'mcp-http', path } = mount
    if (channel === 'rest') app.use(path, compressed, variesByEncoding)
    app.all(path, authenticateFor(channel, options), limited, async (context) => {
      const principal = context.get('principal')
      if (principal === undefined) throw new Error('a mount was reached without a principal')
      const response = await mount.handle(context.req.raw, principal)
      return endWithCredential(response, principal, options.authenticator)
    })
  }
  // An unknown address tells nothing to who has no key.
  app.all('*', authenticateFor('mcp-http', options), () => {
    throw new AppError('not_found', 'There is nothing at this address.')
  })
  return app
}

/** Gives the request its id, and every answer the fields that all of them carry. */
function dress(options: EntranceOptions): MiddlewareHandler<Environment> {
  return async (context, next) => {
    context.set('requestId', uuidv7())
    context.set('isEncrypted', false)
    await next()
    const { headers } = context.res
    headers.set('x-request-id', context.get('requestId'))
    const principal = context.get('principal')
    const fields = (principal && options.principalFields?.(principal)) ?? {}
    for (const [name, value] of Object.entries(fields)) headers.set(name, value)
    setSecurityHeaders(headers, context.get('isEncrypted'))
  }
}

function addressReader({ proxies = [] }: EntranceOptions): (context: Route) => string | undefined {
  const isProxy = trustedProxies(proxies)
  return ({ env, req }) =>
    clientAddress(env.incoming.socket.remoteAddress, req.header('x-forwarded-for'), isProxy)
}

function authenticateFor(
  channel: NonNullable<Mount['channel']>,
  options: EntranceOptions,
): MiddlewareHandler<Environment> {
  const { authenticator } = options
  const addressOf = addressReader(options)
  return async (context, next) => {
    const requestId = context.get('requestId')
    refuseTokenInQuery(context)
    const credential = bearerToken(context.req.raw.headers)
    if (credential === undefined && !authenticator.required) refuseForwarded(context)
    const request = { channel, requestId, address: addressOf(context) }
    context.set('principal', await authenticator.authenticate(credential, request))
    await next()
  }
}

/** The public origin counts as named in both lists. */
export function allowedNames({
  hosts,
  origins,
  protectedResource,
}: AllowedNames & Pick<EntranceOptions, 'protectedResource'>): AllowedNames {
  if (protectedResource === undefined) return { hosts, origins }
  const { origin } = protectedResource
  return { hosts: [...hosts, new URL(origin).host], origins: [...origins, origin] }
}

/** Addresses end up in logs and histories, so a token there is refused even if it would be right. */
function refuseTokenInQuery(context: Route): void {
  if (context.req.query('access_token') === undefined) return
  throw new AppError('unauthenticated', 'Send the token as a header, never in the address.', {
    details: { challenge: 'invalid_request' },
  })
}

/** Header fields that proxies add of themselves (RFC 7239, RFC 9110 §7.6.3), and what is customary. */
const forwardedField = /^(?:forwarded|via|x-forwarded(?:-.+)?|x-real-ip)$/u

/** Whoever needs no key is served since only this machine can ask; through a proxy anybody could. */
function refuseForwarded(context: Route): void {
  if (![...context.req.raw.headers.keys()].some((name) => forwardedField.test(name))) return
  throw new AppError(
    'insufficient_scope',
    'Without a key only this machine is served, and this request came through a proxy. Set MINDGLUE_API_KEY or MINDGLUE_OAUTH_ISSUER.',
  )
}

export function foreignHost(): AppError {
  return new AppError('insufficient_scope', 'This host name is not served here.')
}

function refuseForeign(context: Route, options: AllowedNames): void {
  if (!isAllowedHost(context.req.header('host'), options)) throw foreignHost()
  if (!isAllowedOrigin(context.req.header('origin'), options)) {
    throw new AppError('insufficient_scope', 'This origin may not call this server.')
  }
}

/**
 * Beyond this machine nobody speaks plain HTTP: a connection comes over TLS, from this machine, or from a
 * proxy that did the encrypting. What a proxy says of its own client is believed: the last value, since those
 * before it may be what the client itself wrote. One that says nothing was named as one that encrypts.
 */
function requireEncryption(
  { proxies = [] }: Pick<EntranceOptions, 'proxies'>,
  speech: Speech,
): MiddlewareHandler<Environment> {
  const isProxy = trustedProxies(proxies)
  return async (context, next) => {
    const peer = withoutMapping(context.env.incoming.socket.remoteAddress ?? '')
    const isProxied = peer !== '' && isProxy(peer)
    const outside = isProxied
      ? context.req.header('x-forwarded-proto')?.split(',').at(-1)?.trim().toLowerCase()
      : undefined
    const isStranger = speech === 'proxied' && !isProxied && !isOwn(peer)
    if (isStranger || (outside !== undefined && outside !== 'https')) {
      throw new AppError('insufficient_scope', 'This server is reached over HTTPS only.')
    }
    context.set('isEncrypted', speech === 'tls' || outside === 'https')
    await next()
  }
}

/**
 * CORS for requests of pages. Programs name no origin and are told nothing of it: fields that are set before there is
 * an answer make Hono turn the answer into a web stream.
 */
function shareWithPages(options: EntranceOptions): MiddlewareHandler<Environment> {
  const mayRead = createReaders(options)
  const share = cors({
    origin: (origin, context) => (mayRead(origin, context.req.path) ? origin : null),
    allowMethods: ['GET', 'POST', 'PATCH', 'DELETE'],
    exposeHeaders: exposedHeaders,
    maxAge: 600,
  })
  return async (context, next) => {
    const isOfPage = context.req.header('origin') !== undefined
    if (isOfPage || context.req.method === 'OPTIONS') return await share(context, next)
    await next()
    // A cache in between must not give this answer to a page.
    context.res.headers.append('vary', 'Origin')
    return undefined
  }
}

/** Said before `compress` would say it: to add a field to a finished answer, Hono turns it into a web stream. */
const variesByEncoding: MiddlewareHandler<Environment> = async (context, next) => {
  await next()
  context.res.headers.append('vary', 'Accept-Encoding')
}

/**
 * CORS is closed: a listed origin may read. Those of this machine may read protocol answers, the way to a token
 * included, which is how inspectors in a browser work; pages there that nobody listed get nothing of REST.
 */
function createReaders(options: EntranceOptions): (origin: string, path: string) => boolean {
  const { mounts, openRoutes = [], protectedResource } = options
  const protocolPaths = new Set([
    ...(protectedResource?.pages ?? []).map((page) => page.path),
    ...openRoutes.flatMap((route) => route.protocolPaths ?? []),
  ])
  return (origin, path) => {
    if (isListedOrigin(origin, options)) return true
    const mount = mounts.find((entry) => entry.path === path || entry.path === '*')
    const isProtocol = protocolPaths.has(path) || mount?.channel !== 'rest'
    return isProtocol && isAllowedOrigin(origin, options)
  }
}

function failure(error: unknown, context: Route, options: EntranceOptions): Response {
  const known = toAppError(error)
  // The first middleware sets the id before anything can fail.
  const requestId = context.get('requestId')
  if (known.code === 'internal') options.onUnexpectedError?.(error, requestId)
  const added = options.protectedResource?.challenge(known, context.get('principal'))
  return problemResponse(known, requestId, added)
}
