/** A real OAuth authorization server on loopback, and keys of its own to sign with as it would. */
import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'
import { Provider, type Configuration, type Interaction } from 'oidc-provider'
import { z } from 'zod'
import { allScopes } from '../../src/principal.ts'

export interface OAuthServer {
  readonly issuer: string
  readonly keyId: string
  /** Key id and public key, as anybody reads them. */
  readonly publicKey: Readonly<Record<string, unknown>>
  /** What it signs with: for tokens that no library would make. */
  readonly privateJwk: JsonWebKeyInput
  /** Requests it was asked for its metadata and keys. */
  readonly asked: readonly string[]
  /** A token as it signs them itself; everything can be made different. */
  sign(claims?: JWTPayload, header?: Readonly<Record<string, unknown>>): Promise<string>
  close(): Promise<void>
}

export interface OAuthServerOptions {
  /** The only resource that tokens are issued for (RFC 8707). */
  readonly resource: string
  /** Who logs in: whoever comes. */
  readonly account?: string
  readonly accessTokenSeconds?: number
  readonly port?: number
}

type JsonWebKeyInput = Readonly<Record<string, unknown>> & { readonly kty: string }

const keyId = 'test-key'

/** Signs with ES256. Everybody who comes is `account` and consents to all that is asked. */
export async function startOAuthServer(options: OAuthServerOptions): Promise<OAuthServer> {
  const { resource, account = 'ada' } = options
  const pair = await generateKeyPair('ES256', { extractable: true })
  const key = { ...(await exportJWK(pair.privateKey)), kid: keyId, alg: 'ES256', use: 'sig' }
  const publicKey = { ...(await exportJWK(pair.publicKey)), kid: keyId, alg: 'ES256', use: 'sig' }
  const asked: string[] = []
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  const issuer = `http://127.0.0.1:${address.port}`
  const provider = quietly(() => new Provider(issuer, configuration(options, key)))
  const serve = provider.callback()
  server.on('request', (request, response) => {
    const path = request.url ?? ''
    if (/well-known|jwks/u.test(path)) asked.push(path)
    if (!path.startsWith('/interaction/')) {
      void serve(request, response)
      return
    }
    const interact = async (): Promise<void> => {
      const interaction = await provider.interactionDetails(request, response)
      const result = await answer(provider, interaction, account)
      await provider.interactionFinished(request, response, result)
    }
    interact().catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  return {
    issuer,
    keyId,
    publicKey,
    privateJwk: { kty: 'EC', ...key },
    asked,
    sign: (claims = {}, header = {}) =>
      new SignJWT({
        iss: issuer,
        aud: resource,
        sub: account,
        client_id: 'test-client',
        jti: crypto.randomUUID(),
        iat: now(),
        exp: now() + 300,
        scope: 'memory:read memory:write',
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', kid: keyId, typ: 'at+jwt', ...header })
        .sign(pair.privateKey),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}

function configuration(
  { resource, accessTokenSeconds = 300 }: OAuthServerOptions,
  key: object,
): Configuration {
  return {
    jwks: { keys: [key] },
    // The set without `openid`: this is OAuth, nobody's identity is asked for.
    scopes: [...allScopes, 'offline_access'],
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: allScopes.join(' '),
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    // A client registers with the first scopes it was told of: kept, they would forbid to ask for more.
    extraClientMetadata: {
      properties: ['scope'],
      validator: (_context, _name, _value, metadata) => void (metadata.scope = undefined),
    },
    clientDefaults: { token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256' },
    cookies: { keys: ['a cookie key of these tests'] },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: () => true,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: {
      AccessToken: accessTokenSeconds,
      Grant: 3600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
  }
}

const asking = z.object({ client_id: z.string() })
const missing = z.object({
  missingOIDCScope: z.array(z.string()).optional(),
  missingResourceScopes: z.record(z.string(), z.array(z.string())).optional(),
})

async function answer(provider: Provider, interaction: Interaction, account: string) {
  const { prompt, params, session, grantId } = interaction
  if (prompt.name === 'login') return { login: { accountId: account } }
  const { client_id: clientId } = asking.parse(params)
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId)
  const grant = known ?? new provider.Grant({ accountId: session?.accountId ?? account, clientId })
  const { missingOIDCScope, missingResourceScopes } = missing.parse(prompt.details)
  if (missingOIDCScope !== undefined) grant.addOIDCScope(missingOIDCScope.join(' '))
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '))
  }
  return { consent: { grantId: await grant.save() } }
}

/** It warns of everything that only suits development, which this is. */
function quietly<T>(work: () => T): T {
  const { warn, info } = console
  Object.assign(console, { warn: () => undefined, info: () => undefined })
  try {
    return work()
  } finally {
    Object.assign(console, { warn, info })
  }
}
