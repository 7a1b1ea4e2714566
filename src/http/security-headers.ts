/** Header fields that stand on every answer, whoever wrote it. */

/** A year: what browsers ask for before they believe it (RFC 6797 §6.1.1). */
const hstsSeconds = 31_536_000

const always: Readonly<Record<string, string>> = {
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** Where an answer says nothing of its own: nothing is kept, and nothing in it is run or shown. */
const unlessSet: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
}

/** Sets them. `isEncrypted`: whether the client came over TLS, here or at the proxy in front. */
export function setSecurityHeaders(headers: Headers, isEncrypted: boolean): void {
  for (const [name, value] of Object.entries(always)) headers.set(name, value)
  for (const [name, value] of Object.entries(unlessSet)) {
    if (!headers.has(name)) headers.set(name, value)
  }
  if (isEncrypted) headers.set('strict-transport-security', `max-age=${hstsSeconds}`)
}
