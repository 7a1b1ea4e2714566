/** Which `Host` and `Origin` a request may carry: the guard against DNS rebinding. */

/** Names by which this machine reaches itself. */
const loopbackHosts: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** A host and an optional port, nothing else: no user information, no path (RFC 9110 §7.2). */
const hostPattern = /^(?<name>\[[\da-f:.]+\]|[a-z\d._-]+)(?::(?<port>\d{1,5}))?$/u

export interface AllowedNames {
  /** Host names besides loopback; one with a port allows that port only. */
  readonly hosts: readonly string[]
  /** Whole origins (`https://app.example.org`) besides loopback ones. */
  readonly origins: readonly string[]
}

/** True when the `Host` header names this server. A missing header is refused. */
export function isAllowedHost(header: string | undefined, allowed: AllowedNames): boolean {
  const host = header?.toLowerCase()
  const parts = host === undefined ? undefined : hostPattern.exec(host)?.groups
  const name = parts?.['name']
  if (host === undefined || name === undefined) return false
  if (loopbackHosts.has(name)) return true
  return allowed.hosts.some((entry) => {
    const wanted = entry.toLowerCase()
    return wanted === name || wanted === host
  })
}

/**
 * True when the request may come from this origin. No header: not a browser, allowed. `null` (a
 * sandboxed frame or a file) and anything that is no origin is refused.
 */
export function isAllowedOrigin(header: string | undefined, allowed: AllowedNames): boolean {
  if (header === undefined) return true
  if (!URL.canParse(header)) return false
  const { origin, protocol, hostname } = new URL(header)
  // Serialised origins only: a path, a user or an upper-case scheme is not what a browser sends.
  if (origin !== header || (protocol !== 'http:' && protocol !== 'https:')) return false
  return loopbackHosts.has(hostname) || isListedOrigin(origin, allowed)
}

/** True for an origin that the configuration names: its pages may also read answers. */
export function isListedOrigin(origin: string, allowed: Pick<AllowedNames, 'origins'>): boolean {
  return allowed.origins.some((entry) => URL.canParse(entry) && new URL(entry).origin === origin)
}
