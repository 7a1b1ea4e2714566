/** Carries the Principal of an HTTP request through the protocol library to its handlers. */
import type { AuthInfo, ServerContext } from '@modelcontextprotocol/server'
import type { Principal } from '../principal.ts'

const principals = new WeakMap<AuthInfo, Principal>()

/** The library's carrier for `principal`. It holds no token: nothing behind the edge needs one. */
export function authInfoOf(principal: Principal): AuthInfo {
  const carrier: AuthInfo = {
    token: '',
    clientId: principal.agent,
    scopes: [...principal.scopes],
  }
  principals.set(carrier, principal)
  return carrier
}

/** The principal an HTTP request was authenticated as; undefined on stdio. */
export function principalOf(carrier: AuthInfo | undefined): Principal | undefined {
  return carrier === undefined ? undefined : principals.get(carrier)
}

/** The principal of the HTTP request that a handler works for; undefined on stdio. */
export function callerOf(context: ServerContext): Principal | undefined {
  return principalOf(context.http?.authInfo)
}
