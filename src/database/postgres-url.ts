/** A `postgres://` URL as connection settings; TLS is decided here and is never dropped silently. */

import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { AppError } from '../errors.ts'

export interface PostgresTarget {
  readonly host: string
  readonly port: number
  /** Unix-domain socket path instead of host and port. */
  readonly socketPath: string | undefined
  readonly user: string
  readonly password: string
  readonly database: string
  /** `undefined` means plain text, which only a local host or `sslmode=disable` gives. */
  readonly tls: ConnectionOptions | undefined
  /** Start-up parameters, such as `options` and `application_name`. */
  readonly parameters: Readonly<Record<string, string>>
}

const sslModes = ['disable', 'require', 'verify-ca', 'verify-full'] as const
type SslMode = (typeof sslModes)[number]
const passedOn = new Set(['application_name', 'options'])
const understood = new Set([
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'channel_binding',
  'host',
  'connect_timeout',
  ...passedOn,
])

/** Throws `misconfigured` on what is no usable URL; the message never repeats it, for it holds a password. */
export function parsePostgresUrl(url: string): PostgresTarget {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !['postgres:', 'postgresql:'].includes(parsed.protocol)) {
    throw misconfigured('is not a postgres:// URL')
  }
  const query = parsed.searchParams
  const strange = [...query.keys()].filter((name) => !understood.has(name))
  if (strange.length > 0) throw misconfigured(`has unknown parameters: ${strange.join(', ')}`)
  // The URL parser keeps the brackets of an IPv6 address.
  const named = decodeURIComponent(parsed.hostname).replace(/^\[(.*)\]$/, '$1')
  const host = query.get('host') ?? (named === '' ? 'localhost' : named)
  if (host.includes(',')) throw misconfigured('names several hosts; name the primary')
  const port = parsed.port === '' ? 5432 : Number(parsed.port)
  const socketPath = host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : undefined
  const user = decodeURIComponent(parsed.username)
  if (user === '') throw misconfigured('names no user')
  return {
    host,
    port,
    socketPath,
    user,
    password: decodeURIComponent(parsed.password),
    database: decodeURIComponent(parsed.pathname.slice(1)) || user,
    tls: socketPath === undefined ? tlsOptions(host, query) : undefined,
    parameters: Object.fromEntries([...query].filter(([name]) => passedOn.has(name))),
  }
}

/**
 * libpq's sslmode, except that a host beyond this machine gets `verify-full` when none is named, and
 * that the modes which may fall back to plain text (`allow`, `prefer`) are refused. The driver knows no
 * channel binding: `channel_binding=require` is answered by full verification of the certificate.
 */
function tlsOptions(host: string, query: URLSearchParams): ConnectionOptions | undefined {
  const mode = sslMode(host, query)
  if (mode === 'disable') return undefined
  const file = (name: string): Buffer | undefined => {
    const path = query.get(name)
    if (path === null || (name === 'sslrootcert' && path === 'system')) return undefined
    try {
      return readFileSync(path)
    } catch (error) {
      throw misconfigured(`names a file in ${name} that cannot be read`, error)
    }
  }
  const [ca, cert, key] = [file('sslrootcert'), file('sslcert'), file('sslkey')]
  return {
    // Server Name Indication must not hold an address (RFC 6066 §3).
    ...(isIP(host) === 0 ? { servername: host } : {}),
    host,
    rejectUnauthorized: mode !== 'require',
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

function sslMode(host: string, query: URLSearchParams): SslMode {
  const named = query.get('sslmode')
  if (query.get('channel_binding') === 'require') return 'verify-full'
  if (named === null) {
    return isLocal(host) && !query.has('sslrootcert') ? 'disable' : 'verify-full'
  }
  const mode = sslModes.find((known) => known === named)
  if (mode === undefined) {
    throw misconfigured(`has sslmode=${named}; use one of ${sslModes.join(', ')}`)
  }
  // As libpq: a root certificate is a request to verify.
  return mode === 'require' && query.has('sslrootcert') ? 'verify-ca' : mode
}

function isLocal(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function misconfigured(problem: string, cause?: unknown): AppError {
  return new AppError('misconfigured', `DATABASE_URL ${problem}.`, { cause })
}
