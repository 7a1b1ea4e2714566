/** Settings of OAuth: where this server is, who issues tokens for it, and what they mean; part of settings.ts. */
import { choice, integer, list, matching, SettingProblem, text, url, type Parse } from './kinds.ts'
import { unset, withDefault } from './setting.ts'
import { agentScopes, allScopes, type Scope } from '../principal.ts'

/** Asymmetric ones: with a secret shared between both, whoever checks a token could make one. */
const algorithms = [
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
] as const

const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** `https:`, or `http:` to this machine itself; no user, query or fragment (RFC 8414 §2). */
const secureUrl: Parse<string> = (value) => {
  const { protocol, hostname, username, search, hash } = new URL(url(['https:', 'http:'])(value))
  if (protocol === 'http:' && !loopbackNames.has(hostname)) {
    throw new SettingProblem('must start with https:// (http:// is for this machine alone)')
  }
  if (username !== '' || search !== '' || hash !== '') {
    throw new SettingProblem('must have no user, query or fragment')
  }
  return text(512)(value)
}

/** An origin as browsers write it: a path in front of `/mcp` would have to be cut off by somebody. */
const publicOrigin: Parse<string> = (value) => {
  const { origin, pathname } = new URL(secureUrl(value))
  if (pathname !== '/') throw new SettingProblem('must have no path, as in https://memory.example')
  return origin
}

/** `theirs=ours`, for issuers that cannot name a scope as we do; kept as text. */
const scopeName: Parse<string> = (value) => {
  const [theirs = '', ours = ''] = value.split('=')
  // RFC 6749 §3.3, without what would need an escape in a header.
  if (!/^[\w:./-]{1,200}$/u.test(theirs) || value !== `${theirs}=${ours}`) {
    throw new SettingProblem('must list names with scopes, as in Memory.Read=memory:read')
  }
  choice(allScopes)(ours)
  return value
}

const claimName = matching(/^[\w:./-]+$/u, 200, 'the name of a claim')

export const oauthSettings = {
  publicUrl: unset('MINDGLUE_PUBLIC_URL', publicOrigin, {
    group: 'oauth',
    description:
      'Origin by which clients reach this server, such as `https://memory.example`; tokens must be ' +
      'issued for its `/mcp`. Its host and origin are allowed as if they were listed above.',
  }),
  oauthIssuer: unset('MINDGLUE_OAUTH_ISSUER', secureUrl, {
    group: 'oauth',
    description:
      'Issuer whose access tokens are accepted beside API keys, exactly as its metadata writes it ' +
      '(RFC 8414 or OpenID Connect discovery). Unset: no tokens.',
  }),
  oauthAudience: unset('MINDGLUE_OAUTH_AUDIENCE', text(512), {
    group: 'oauth',
    description:
      'What tokens must name as audience, for an issuer that cannot name an address. It must stand ' +
      'for this server alone.',
    fallbackText: '`MINDGLUE_PUBLIC_URL` with `/mcp`',
  }),
  oauthAlgorithms: withDefault<readonly (typeof algorithms)[number][]>(
    'MINDGLUE_OAUTH_ALGORITHMS',
    list(choice(algorithms), algorithms.length),
    Object.freeze(['EdDSA', 'Ed25519', 'ES256', 'PS256', 'RS256'] as const),
    {
      group: 'oauth',
      description: 'Algorithms that a token may be signed with.',
    },
  ),
  oauthTokenType: withDefault('MINDGLUE_OAUTH_TOKEN_TYPE', choice(['at+jwt', 'any']), 'at+jwt', {
    group: 'oauth',
    description:
      '`at+jwt`: access tokens as in RFC 9068. `any`: also JWTs of no or another stated type, for ' +
      'issuers that do not follow it; what looks like an ID token is refused all the same.',
  }),
  oauthClockSkewSeconds: withDefault('MINDGLUE_OAUTH_CLOCK_SKEW_SECONDS', integer(0, 120), 30, {
    group: 'oauth',
    description: "How far the issuer's clock may be from ours.",
    unit: 'seconds',
  }),
  oauthNamespace: withDefault(
    'MINDGLUE_OAUTH_NAMESPACE',
    choice(['user', 'claim', 'configured']),
    'user',
    {
      group: 'oauth',
      description:
        'Namespace of a token. `user`: one of its own for each subject. `claim`: the one that ' +
        '`MINDGLUE_OAUTH_NAMESPACE_CLAIM` names. `configured`: `MINDGLUE_NAMESPACE`, for everybody.',
    },
  ),
  oauthNamespaceClaim: withDefault(
    'MINDGLUE_OAUTH_NAMESPACE_CLAIM',
    claimName,
    'mindglue_namespace',
    {
      group: 'oauth',
      description:
        'Claim with the name of the namespace, which the user must not be able to choose.',
    },
  ),
  oauthAgentClaim: withDefault('MINDGLUE_OAUTH_AGENT_CLAIM', claimName, 'sub', {
    group: 'oauth',
    description:
      'Claim with the name of the agent, which the user must not be able to choose: private memories ' +
      'belong to it.',
  }),
  oauthScopeClaim: withDefault('MINDGLUE_OAUTH_SCOPE_CLAIM', claimName, 'scope', {
    group: 'oauth',
    description: 'Claim with the scopes, as words with spaces between them or as a list.',
  }),
  oauthScopes: withDefault<readonly Scope[]>(
    'MINDGLUE_OAUTH_SCOPES',
    list(choice(allScopes), allScopes.length),
    Object.freeze([...agentScopes]),
    {
      group: 'oauth',
      description: 'The most that a token may allow, whatever it says.',
    },
  ),
  oauthScopeNames: withDefault<readonly string[]>(
    'MINDGLUE_OAUTH_SCOPE_NAMES',
    list(scopeName, allScopes.length),
    Object.freeze([]),
    {
      group: 'oauth',
      description:
        "The issuer's names of scopes that it cannot call as we do, as in `Memory.Read=memory:read`.",
      fallbackText: 'the same names',
    },
  ),
} as const
