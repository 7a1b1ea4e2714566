/** The sidecar: health for orchestrators and metrics for Prometheus, on a port of its own. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { FailedKeys } from '../auth/failed-keys.ts'
import { isLoopback } from '../config.ts'
import { AppError, toAppError } from '../errors.ts'
import { isAllowedHost, isAllowedOrigin } from '../http/allowed.ts'
import { withoutMapping } from '../http/client-address.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createReadiness, type Check, type Readiness } from './health.ts'

export interface SidecarOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  /** Names besides loopback that may stand in the `Host` header. */
  readonly allowedHosts: readonly string[]
  /**
   * Bearer key that `/metrics` asks for when the sidecar is reachable beyond loopback. It travels in plain
   * HTTP, so it opens nothing else.
   */
  readonly metricsKey: string | undefined
  /** Bounds wrong keys of one address, together with those sent to the main listener. */
  readonly failedKeys: FailedKeys
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  readonly log: Log
  /** Checks every dependency; each is named in the answer. */
  readonly readiness: () => Promise<readonly Check[]>
}

export interface Sidecar {
  readonly port: number
  /** From now on `/health/ready` answers 503, so that no new request is sent here. */
  drain(): void
  close(): Promise<void>
}

/** Probes and scrapes are few; more is a mistake or an attack. */
const connectionsMax = 64

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Binds and serves. Throws AppError `misconfigured` when the address cannot be bound, or reaches
 * beyond loopback without a key for `/metrics`.
 */
export async function createSidecar(options: SidecarOptions): Promise<Sidecar> {
  if (!isLoopback(options.host) && options.metricsKey === undefined) {
    throw new AppError(
      'misconfigured',
      'MINDGLUE_SIDECAR_HOST reaches beyond this machine, so MINDGLUE_METRICS_KEY must be set for /metrics; make one with: openssl rand -base64 32',
    )
  }
  const readiness = createReadiness(options.readiness)
  let isDraining = false
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 5000, maxHeaderSize: 8192 },
    (request, response) => {
      void respond(request, options, isDraining, readiness).then(
        (answer) => send(request, response, answer),
        (error: unknown) => {
          options.log.error('sidecar request failed', { component: 'sidecar', error })
          send(request, response, text(500, 'failed'))
        },
      )
    },
  )
  server.maxConnections = connectionsMax
  const port = await listen(server, options)
  return {
    port,
    drain() {
      isDraining = true
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, options: SidecarOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `The sidecar cannot listen on ${options.host}:${options.port}; choose another MINDGLUE_SIDECAR_PORT.`
      reject(new AppError('misconfigured', message, { cause }))
    })
    server.listen(options.port, options.host.replace(/^\[|\]$/gu, ''), () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : options.port)
    })
  })
}

async function respond(
  request: IncomingMessage,
  options: SidecarOptions,
  isDraining: boolean,
  readiness: () => Promise<Readiness>,
): Promise<Answer> {
  if (!isOwnName(request, options)) return text(403, 'this Host is not served here')
  // Probes and scrapers are no browsers: a page of another site has nothing to ask here.
  if (!isAllowedOrigin(request.headers.origin, { hosts: [], origins: [] })) {
    return text(403, 'this Origin may not ask here')
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { ...text(405, 'only GET'), headers: { allow: 'GET, HEAD' } }
  }
  switch (request.url?.split('?', 1)[0]) {
    case '/health/live':
      return json(200, { status: 'alive' })
    case '/health/ready': {
      if (isDraining) return json(503, { status: 'draining', checks: [] })
      const result = await readiness()
      return json(result.status === 'ready' ? 200 : 503, result)
    }
    case '/metrics':
      return (
        (await metricsRefusal(request, options)) ?? {
          status: 200,
          type: options.metrics.contentType,
          body: await options.metrics.text(),
        }
      )
    case undefined:
    default:
      return text(404, 'try /health/live, /health/ready or /metrics')
  }
}

/**
 * Loopback names, configured names, and the address the client connected to: probes call a pod by
 * its address, and an attack by DNS rebinding comes with a name.
 */
function isOwnName(request: IncomingMessage, options: SidecarOptions): boolean {
  const { host } = request.headers
  if (isAllowedHost(host, { hosts: options.allowedHosts, origins: [] })) return true
  const address = request.socket.localAddress?.replace(/^::ffff:/u, '')
  const own = address?.includes(':') === true ? `[${address}]` : address
  return own !== undefined && host?.replace(/:\d{1,5}$/u, '') === own
}

/** Undefined when `/metrics` may be read. Beyond the limit right and wrong keys look alike. */
async function metricsRefusal(
  request: IncomingMessage,
  { host, metricsKey, failedKeys }: SidecarOptions,
): Promise<Answer | undefined> {
  if (isLoopback(host)) return undefined
  const { remoteAddress: remote } = request.socket
  const address = remote === undefined ? undefined : withoutMapping(remote)
  try {
    failedKeys.refuse(address)
  } catch (error) {
    const { publicMessage, retryAfterSeconds = 1 } = toAppError(error)
    return { ...text(429, publicMessage), headers: { 'retry-after': String(retryAfterSeconds) } }
  }
  const token = /^bearer +(\S+)$/iu.exec(request.headers.authorization ?? '')?.[1]
  // Digests have one length, so the comparison says nothing about the length of the key.
  const isRight =
    token !== undefined &&
    metricsKey !== undefined &&
    timingSafeEqual(digest(token), digest(metricsKey))
  if (isRight) return undefined
  if (token !== undefined) await failedKeys.count(address)
  const challenge = { 'www-authenticate': 'Bearer' }
  return { ...text(401, 'send MINDGLUE_METRICS_KEY as bearer'), headers: challenge }
}

function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}

function json(status: number, value: object): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}

function text(status: number, message: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${message}\n` }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : answer.body)
}
