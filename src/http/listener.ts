/** The HTTP listener: binds, bounds slow and hoarding clients, drains. What a request meets is in entrance.ts. */
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { v7 as uuidv7 } from 'uuid'
import { AppError } from '../errors.ts'
import { isAllowedHost, type AllowedNames } from './allowed.ts'
import {
  allowedNames,
  createEntrance,
  foreignHost,
  type EntranceOptions,
  type Speech,
} from './entrance.ts'
import { problemResponse } from './problem.ts'
import { setSecurityHeaders } from './security-headers.ts'
import { createTlsServer, openCertificate, TlsServer, type TlsOptions } from './tls.ts'

export type { Mount, Page } from './entrance.ts'

export interface ListenerOptions extends EntranceOptions {
  /** Address to bind, such as `127.0.0.1` or `::`. */
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  /** Longest wait for running requests in `close`. */
  readonly drainSeconds: number
  /** Serves HTTPS with this certificate; without, HTTP. */
  readonly tls?: TlsOptions | undefined
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
  // Counted from the connection on: on a machine that starves, shorter ones cut what was sent at once.
  headersTimeout: 30_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16_384,
} satisfies ServerOptions

/** Sockets one process holds open; each open event stream is one. */
const connectionsMax = 4096

/**
 * Binds and serves. Resolves when connections are accepted. Throws AppError `misconfigured` when the
 * certificate cannot be used, the address cannot be bound, or it reaches beyond loopback and no
 * credentials would be asked for, or they would come unencrypted.
 */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const speech = speechOf(options)
  const app = createEntrance(options, speech)
  const certificate = options.tls && (await openCertificate(options.tls))
  const answer = getRequestListener(app.fetch, { hostname: options.host })
  const handle = refusingForeignHosts((...pair) => void answer(...pair), allowedNames(options))
  const server =
    certificate === undefined
      ? createServer(serverOptions, handle)
      : createTlsServer({ ...serverOptions, ...certificate.options }, handle)
  server.maxConnections = connectionsMax
  const address = await listen(server, options)
  if (server instanceof TlsServer) certificate?.watch(server)
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
  const reachable = name === '0.0.0.0' ? '127.0.0.1' : name === '[::]' ? '[::1]' : name
  return {
    origin: `${speech === 'tls' ? 'https' : 'http'}://${reachable}:${address.port}`,
    port: address.port,
    close: async () => {
      certificate?.close()
      await drain(server, options)
    },
  }
}

/**
 * The adaptor refuses by itself, with 400, a host that its URL would spell otherwise (`127.1`). A foreign
 * name has one answer, so it is looked at before.
 */
function refusingForeignHosts(handle: RequestListener, allowed: AllowedNames): RequestListener {
  return (incoming, outgoing) => {
    if (isAllowedHost(incoming.headers.host, allowed)) return handle(incoming, outgoing)
    const problem = problemResponse(foreignHost(), uuidv7())
    setSecurityHeaders(problem.headers, false)
    outgoing.writeHead(problem.status, Object.fromEntries(problem.headers))
    void problem.text().then((text) => outgoing.end(incoming.method === 'HEAD' ? '' : text))
    return undefined
  }
}

function speechOf({ host, authenticator, tls, proxies = [] }: ListenerOptions): Speech {
  const isLoopback = isLoopbackAddress(host)
  if (!authenticator.required && !isLoopback) {
    throw new AppError(
      'misconfigured',
      'Without MINDGLUE_API_KEY or MINDGLUE_OAUTH_ISSUER the server listens on loopback only; set the key or use 127.0.0.1.',
    )
  }
  if (tls !== undefined) return 'tls'
  if (isLoopback) return 'loopback'
  if (proxies.length > 0) return 'proxied'
  throw new AppError(
    'misconfigured',
    'Beyond loopback only HTTPS is served: set MINDGLUE_TLS_CERT and MINDGLUE_TLS_KEY, or name the proxy that does it in MINDGLUE_BEHIND_PROXY.',
  )
}

function isLoopbackAddress(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/u.test(host)
}

async function listen(server: Server | TlsServer, options: ListenerOptions): Promise<AddressInfo> {
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

async function drain(server: Server | TlsServer, options: ListenerOptions): Promise<void> {
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
