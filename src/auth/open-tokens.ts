/** Access tokens as the configuration wants them. */
import type { Config } from '../config.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { AcceptedTokens } from './authenticate.ts'

export interface OpenedTokens extends AcceptedTokens {
  /** Asks the issuer for its keys. Throws AppError `misconfigured` when it is another one, or `unavailable`. */
  readonly askIssuer: () => Promise<void>
}

/** Address of what tokens are issued for (RFC 8707): the same text everywhere. */
export function resourceOf(publicUrl: string): string {
  return `${publicUrl}/mcp`
}

/** Tokens that this server issues itself. */
export interface OwnTokens {
  /** Issuer in them. */
  readonly origin: string
  readonly tokens: AccessTokens
}

/** Undefined when neither an issuer is configured nor this server issues tokens itself. */
export async function openTokens(
  config: Config,
  own: OwnTokens | undefined,
  namespace: AcceptedTokens['namespace'],
): Promise<OpenedTokens | undefined> {
  if (config.oauthIssuer === undefined && own === undefined) return undefined
  // Loaded here: a process that accepts no tokens would pay 30 ms of its start for it.
  const { looksLikeToken, statedClaims, refused } = await import('./access-tokens.ts')
  const foreign = await openIssuer(config)
  return {
    // The stated issuer chooses who verifies, and nothing else: each of them checks it again.
    verify: async (token) => {
      const isOwn = own !== undefined && statedClaims(token).iss === own.origin
      const tokens = isOwn ? own.tokens : foreign?.tokens
      if (tokens === undefined) throw refused(new Error('no issuer is configured'))
      return await tokens.verify(token)
    },
    looksLikeToken,
    namespace,
    askIssuer: async () => await foreign?.askIssuer(),
  }
}

async function openIssuer(config: Config) {
  const { oauthIssuer: issuer, publicUrl } = config
  if (issuer === undefined || publicUrl === undefined) return undefined
  const { createAccessTokens } = await import('./access-tokens.ts')
  const { createIssuerKeys } = await import('./issuer.ts')
  const keys = createIssuerKeys(issuer)
  const audience = config.oauthAudience ?? resourceOf(publicUrl)
  const tokens = createAccessTokens({ ...config, issuer, audience }, keys.keyOf)
  return { tokens, askIssuer: () => keys.refresh() }
}
