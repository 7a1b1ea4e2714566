/** The OAuth 2.1 authorization server: what of the library is on, and what it is told. */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Configuration, Interaction, InteractionResults, Provider } from 'oidc-provider'
import type { Clients } from '../accounts/clients.ts'
import { grantClaim } from '../accounts/client-tokens.ts'
import { accessTokenSeconds, grantSeconds } from '../accounts/lifetimes.ts'
import type { SigningKey, SigningKeys } from '../accounts/session-tokens.ts'
import type { Scope } from '../principal.ts'
import { problemPage } from './oauth-pages.ts'
import { oauthPaths } from './oauth-paths.ts'
import { oauthStorage } from './oauth-storage.ts'
import { pageFields } from './page.ts'

/** Name of a cookie of the library that says nothing; it leaves with no answer. */
export const idleCookie = 'mindglue_oauth_session'

const codeSeconds = 60
/** To log in with a letter from a mailbox takes a while. */
const questionSeconds = 1800

export interface OAuthProviderOptions {
  /** Origin of this server. */
  readonly issuer: string
  /** What tokens are for. */
  readonly resource: string
  /** Scopes that a client may ask for, and those it gets where it asks for none. */
  readonly scopes: readonly Scope[]
  readonly signingKeys: SigningKeys
  readonly clients: Clients
  readonly hasDocuments: boolean
  readonly onError: (error: unknown) => void
  /** Told why a client got nothing; what it is told itself is less. */
  readonly onRefusal: (error: unknown) => void
}

export interface OAuthProvider {
  /** Serves every endpoint. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** The question that this browser came with; undefined when there is none. */
  question(request: IncomingMessage, response: ServerResponse): Promise<Interaction | undefined>
  /** Where the browser goes on once it is answered. */
  answer(
    request: IncomingMessage,
    response: ServerResponse,
    result: InteractionResults,
  ): Promise<string>
}

/** Loads the library. Made anew when the signing key changes, once in thirty days. */
export async function createOAuthProvider(options: OAuthProviderOptions): Promise<OAuthProvider> {
  const library = await loadQuietly()
  let built: Built | undefined
  const build = async (): Promise<Built> => {
    const key = await options.signingKeys.current()
    if (built?.keyId === key.id) return built
    const made = new library.Provider(
      options.issuer,
      configuration(options, library, await options.signingKeys.known()),
    )
    made.on('server_error', (_context, error) => options.onError(error))
    made.on('authorization.error', (_context, error) => options.onRefusal(error))
    made.on('grant.error', (_context, error) => options.onRefusal(error))
    const emitter: EventEmitter = made
    emitter.on('error', options.onError)
    built = { keyId: key.id, provider: made, serve: made.callback() }
    return built
  }
  return {
    handle: async (request, response) => await (await build()).serve(request, response),
    async question(request, response) {
      const { provider } = await build()
      try {
        return await provider.interactionDetails(request, response)
      } catch (error) {
        if (error instanceof library.errors.SessionNotFound) return undefined
        throw error
      }
    },
    async answer(request, response, result) {
      const { provider } = await build()
      const once = { mergeWithLastSubmission: false }
      return await provider.interactionResult(request, response, result, once)
    },
  }
}

interface Built {
  readonly keyId: string
  readonly provider: Provider
  readonly serve: ReturnType<Provider['callback']>
}

type Library = typeof import('oidc-provider')

/** It says on the console what it thinks of the runtime; that belongs in nobody's log. */
async function loadQuietly(): Promise<Library> {
  const { warn } = console
  Object.assign(console, { warn: () => undefined })
  try {
    return await import('oidc-provider')
  } finally {
    Object.assign(console, { warn })
  }
}

function configuration(
  options: OAuthProviderOptions,
  { default: provider, errors, interactionPolicy }: Library,
  keys: readonly SigningKey[],
): Configuration {
  const { issuer, resource, scopes, signingKeys, clients } = options
  /** Clients disagree on the slash at the end, never on more. */
  const resources = [resource, `${resource}/`]
  const { Prompt, Check } = interactionPolicy
  const undecided = new Check('undecided', 'a person decides', 'consent_required', ({ oidc }) =>
    oidc.result?.consent === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
  )
  const policy = interactionPolicy.base()
  policy.clear()
  policy.add(new Prompt({ name: 'login', requestable: true }))
  policy.add(new Prompt({ name: 'consent', requestable: true }, undecided))
  return {
    adapter: oauthStorage({
      errors,
      clients,
      resources,
      mayFetch: () => /^(?:authorization|resume)$/u.test(provider.ctx?.oidc.route ?? ''),
    }),
    jwks: {
      keys: keys.map(({ id, privateKey }) => ({
        ...privateKey.export({ format: 'jwk' }),
        kid: id,
        alg: 'EdDSA',
        use: 'sig',
      })),
    },
    // Without `openid`: this is OAuth, nobody's identity is handed out.
    scopes: [...scopes, 'offline_access'],
    claims: { openid: ['sub'] },
    responseTypes: ['code'],
    clientAuthMethods: ['none'],
    clientDefaults: {
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'EdDSA',
      grant_types: ['authorization_code', 'refresh_token'],
    },
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    rotateRefreshToken: true,
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    // The entrance decides which pages may call at all.
    clientBasedCORS: () => true,
    extraTokenClaims: (_context, token) => ({
      [grantClaim]: 'grantId' in token ? token.grantId : undefined,
    }),
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: {
      // Whoever comes, comes to the page: nothing is agreed to without a person.
      policy,
      url: (_context, { uid }) => `${oauthPaths.question}/${uid}`,
    },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_context, client, token) => token.clientId === client.clientId,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: async (_context, indicator) => {
          if (!resources.includes(indicator)) throw new errors.InvalidTarget()
          const { id } = await signingKeys.current()
          return {
            scope: scopes.join(' '),
            audience: resource,
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: 'EdDSA', kid: id } },
          }
        },
      },
    },
    discovery: {
      registration_endpoint: `${issuer}${oauthPaths.register}`,
      client_id_metadata_document_supported: options.hasDocuments,
      protected_resources: [resource],
      service_documentation: `${issuer}/docs`,
    },
    renderError: (context, { error, error_description: text }) => {
      context.set({ ...pageFields })
      context.body = problemPage(text ?? error)
    },
    cookies: {
      names: {
        session: idleCookie,
        interaction: 'mindglue_oauth',
        resume: 'mindglue_oauth_resume',
      },
    },
    routes: {
      authorization: oauthPaths.authorize,
      token: oauthPaths.token,
      revocation: oauthPaths.revoke,
      jwks: '/oauth/jwks',
    },
    ttl: {
      AccessToken: accessTokenSeconds,
      AuthorizationCode: codeSeconds,
      Grant: grantSeconds,
      Interaction: questionSeconds,
      RefreshToken: grantSeconds,
      Session: questionSeconds,
    },
  }
}
