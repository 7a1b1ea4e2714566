/** What a client without a token is told: where to get one, for what, and with which scopes (RFC 9728). */
import { resourceOf } from '../auth/open-tokens.ts'
import { createScopeNames } from '../auth/scope-names.ts'
import type { Config } from '../config.ts'
import type { AppError } from '../errors.ts'
import { allScopes, type Principal, type Scope } from '../principal.ts'
import type { Page } from './entrance.ts'
import type { Challenge } from './problem.ts'

export interface ProtectedResource {
  /** The document, for everybody. */
  readonly pages: readonly Page[]
  /** Origin of this server, whose host and pages are its own. */
  readonly origin: string
  /** Who issues the tokens. */
  readonly issuer: string
  /** What a refusal adds to its challenge. */
  challenge(error: AppError, principal: Principal | undefined): Challenge
}

/**
 * What a client asks for at first; it comes back for the rest when a person wants to forget or export, as
 * the protocol's least privilege wants it.
 */
export const firstScopes: readonly Scope[] = ['memory:read', 'memory:write']
const wellKnown = '/.well-known/oauth-protected-resource'

/** Undefined where no tokens are accepted. */
export function protectedResourceOf(
  config: Pick<
    Config,
    'publicUrl' | 'oauthIssuer' | 'oauthScopeNames' | 'oauthScopes' | 'accounts'
  >,
): ProtectedResource | undefined {
  const { publicUrl, oauthIssuer, accounts } = config
  if (publicUrl === undefined || (oauthIssuer === undefined && accounts === 'off')) return undefined
  // Names are the issuer's; our own has ours.
  const names = createScopeNames(oauthIssuer === undefined ? [] : config.oauthScopeNames)
  const askedFor = (scopes: Iterable<Scope>): string =>
    Array.from(scopes, (scope) => names.theirs(scope)).join(' ')
  const first = firstScopes.filter((scope) => config.oauthScopes.includes(scope))
  const issuer = oauthIssuer ?? publicUrl
  const document = {
    resource: resourceOf(publicUrl),
    authorization_servers: [issuer],
    scopes_supported: first.map((scope) => names.theirs(scope)),
    bearer_methods_supported: ['header'],
    resource_name: 'MindGlue',
  }
  // RFC 9728 §3.1: the path of the resource comes after the well-known part. Some clients know the root alone.
  const paths = [`${wellKnown}/mcp`, wellKnown]
  return {
    pages: paths.map((path) => ({ path, handle: () => Response.json(document) })),
    origin: publicUrl,
    issuer,
    challenge(error, principal) {
      const resourceMetadata = `${publicUrl}${wellKnown}/mcp`
      if (error.code === 'unauthenticated') return { resourceMetadata, scope: askedFor(first) }
      const said = error.details?.['scope']
      const named = typeof said === 'string' ? said.split(' ') : []
      const needed = allScopes.filter((scope) => named.includes(scope))
      // Nothing changes an API key's scopes. A token's new ones come beside the old, or they would be lost.
      if (needed.length === 0 || principal?.credential?.kind !== 'access-token') return {}
      return { resourceMetadata, scope: askedFor(new Set([...principal.scopes, ...needed])) }
    },
  }
}
