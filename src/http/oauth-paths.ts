/** Where the authorization server answers. */
export const oauthPaths = {
  metadata: ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'],
  authorize: '/oauth/authorize',
  register: '/oauth/register',
  token: '/oauth/token',
  revoke: '/oauth/revoke',
  question: '/oauth/consent',
  /** What a person let in. */
  clients: '/oauth/clients',
} as const
