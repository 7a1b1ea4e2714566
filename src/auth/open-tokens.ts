/** Access tokens as the configuration wants them. */
import type { Config } from '../config.ts'
import type { AcceptedTokens } from './authenticate.ts'

export interface OpenedTokens extends AcceptedTokens {
  /** Asks the issuer for its keys. Throws AppError `misconfigured` when it is another one, or `unavailable`. */
  readonly askIssuer: () => Promise<void>
}

/** Address of what tokens are issued for (RFC 8707): the same text everywhere. */
export function resourceOf(publicUrl: string): string {
  return `${publicUrl}/mcp`
}

/** Undefined when no issuer is configured. */
export async function openTokens(
  config: Config,
  namespace: AcceptedTokens['namespace'],
): Promise<OpenedTokens | undefined> {
  const { oauthIssuer: issuer, publicUrl } = config
  if (issuer === undefined || publicUrl === undefined) return undefined
  // Loaded here: a process that accepts no tokens would pay 30 ms of its start for it.
  const { createAccessTokens, looksLikeToken } = await import('./access-tokens.ts')
  const { createIssuerKeys } = await import('./issuer.ts')
  const keys = createIssuerKeys(issuer)
  const audience = config.oauthAudience ?? resourceOf(publicUrl)
  const tokens = createAccessTokens({ ...config, issuer, audience }, keys.keyOf)
  return {
    verify: (token) => tokens.verify(token),
    looksLikeToken,
    namespace,
    askIssuer: () => keys.refresh(),
  }
}
