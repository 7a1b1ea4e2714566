/** Access tokens of an OAuth issuer: whether one is right, and what it says of who holds it. Asks no database. */
import {
  decodeJwt,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose'
import { z } from 'zod'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import { jobAgent, type Scope } from '../principal.ts'
import { createScopeNames } from './scope-names.ts'
import { identityDigest, userNamespace } from './user-namespace.ts'

/** Who a right token stands for. */
export interface TokenHolder {
  /** Digest of issuer, subject and client: the same after a refresh. */
  readonly id: string
  readonly namespaceName: string
  /** Surrogate of it, where the directory said so already: such a namespace is never made anew. */
  readonly namespace?: bigint
  readonly agent: string
  readonly scopes: ReadonlySet<Scope>
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  /** False once what stands behind the token has ended before it; left out: nothing does. */
  readonly isCurrent?: () => Promise<boolean>
}

export interface AccessTokens {
  /**
   * Throws AppError `unauthenticated` for a token that is not one of this issuer for this server, in force;
   * `insufficient_scope` for one that says too little of who holds it; `unavailable` without the keys.
   */
  verify(token: string): Promise<TokenHolder>
}

export type TokenSettings = Pick<
  Config,
  | 'namespaceName'
  | 'oauthAlgorithms'
  | 'oauthTokenType'
  | 'oauthClockSkewSeconds'
  | 'oauthNamespace'
  | 'oauthNamespaceClaim'
  | 'oauthAgentClaim'
  | 'oauthScopeClaim'
  | 'oauthScopes'
  | 'oauthScopeNames'
> & { readonly issuer: string; readonly audience: string }

/** No token lives longer, whatever its issuer wrote; one that claims to be from the future is refused too. */
const ageMax = '24h'

/** RFC 9068 §2.2. `any` asks for what the checks and the mapping need. */
const requiredClaims = {
  'at+jwt': ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'],
  any: ['iss', 'exp', 'aud', 'sub', 'iat'],
} as const

/** What makes a JWT an ID token (OpenID Connect Core §2, §3.1.3.6, §3.3.2.11), or says so of itself. */
const identityClaims = ['nonce', 'at_hash', 'c_hash', 's_hash'] as const
const accessTypes: ReadonlySet<string | undefined> = new Set([
  undefined,
  'jwt',
  'at+jwt',
  'application/at+jwt',
])

const subjectShape = z.string().min(1).max(255)
/** As `MINDGLUE_AGENT` and `MINDGLUE_NAMESPACE` are. */
const agentShape = z
  .string()
  .max(128)
  .regex(/^[^\s\p{Cc}](?:[^\p{Cc}]*[^\s\p{Cc}])?$/u)
  .refine((name) => name !== jobAgent)
const namespaceShape = z
  .string()
  .max(63)
  .regex(/^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/u)
const scopesShape = z.union([z.string().max(4096), z.array(z.string().max(200)).max(200)])

/** True for what was meant as a JWT, right or wrong: three parts, the first of which opens an object. */
export function looksLikeToken(text: string): boolean {
  return /^eyJ[\w-]*\.[\w-]*\.[\w-]*$/u.test(text)
}

/** What a token states, true or not; nothing for what is no token. To choose who verifies it. */
export function statedClaims(token: string): JWTPayload {
  try {
    return decodeJwt(token)
  } catch {
    return {} // refused later, by whoever verifies it
  }
}

export function createAccessTokens(settings: TokenSettings, keyOf: JWTVerifyGetKey): AccessTokens {
  const verify = createVerifier(settings, keyOf)
  const holderOf = createMapping(settings)
  return { verify: async (token) => holderOf(await verify(token)) }
}

type VerifierSettings = Pick<
  TokenSettings,
  'issuer' | 'audience' | 'oauthAlgorithms' | 'oauthTokenType' | 'oauthClockSkewSeconds'
>

/**
 * The claims of a token of this issuer for this audience, in force; whoever holds it is not looked at. Throws
 * AppError `unauthenticated` for anything else, and what `keyOf` throws.
 */
export function createVerifier(
  settings: VerifierSettings,
  keyOf: JWTVerifyGetKey,
): (token: string) => Promise<JWTPayload> {
  const { issuer, audience, oauthTokenType: type } = settings
  const options: JWTVerifyOptions = {
    issuer,
    // RFC 8707 names a resource; clients and issuers disagree on the slash at its end (never on more).
    audience: [audience, `${audience}/`],
    algorithms: [...settings.oauthAlgorithms],
    clockTolerance: settings.oauthClockSkewSeconds,
    maxTokenAge: ageMax,
    requiredClaims: [...requiredClaims[type]],
    ...(type === 'at+jwt' && { typ: 'at+jwt' }),
  }
  return async (token) => {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keyOf, options)
      if (type === 'any') refuseIdentity(payload, protectedHeader.typ)
      return payload
    } catch (error) {
      if (error instanceof AppError) throw error
      throw refused(error)
    }
  }
}

/** Behind the signature: only the issuer decides what it says, so it may be told apart. */
export function refused(cause: unknown): AppError {
  const text =
    cause instanceof errors.JWTExpired
      ? 'The access token has expired; ask its issuer for a new one.'
      : cause instanceof errors.JWTClaimValidationFailed && cause.claim === 'aud'
        ? 'The access token was not issued for this server.'
        : 'The access token is not valid here.'
  return new AppError('unauthenticated', text, { cause, details: { challenge: 'invalid_token' } })
}

function refuseIdentity(payload: JWTPayload, headerType: string | undefined): void {
  const isIdentity =
    !accessTypes.has(headerType?.toLowerCase()) ||
    identityClaims.some((claim) => Object.hasOwn(payload, claim)) ||
    payload['token_use'] === 'id' ||
    payload['typ'] === 'ID'
  if (isIdentity) throw refused(new Error('an ID token was sent as access token'))
}

/** Verified claims → who that is. Everything of a claim is bounded and checked before it is used. */
function createMapping(settings: TokenSettings): (claims: JWTPayload) => TokenHolder {
  const { issuer, oauthTokenType: type } = settings
  const names = createScopeNames(settings.oauthScopeNames)
  const most = new Set(settings.oauthScopes)
  const namespaceOf = (claims: JWTPayload, subject: string): string => {
    if (settings.oauthNamespace === 'configured') return settings.namespaceName
    if (settings.oauthNamespace === 'user') return userNamespace(issuer, subject)
    return readClaim(claims, settings.oauthNamespaceClaim, namespaceShape)
  }
  return (claims) => {
    const subject = subjectShape.safeParse(claims.sub).data
    if (subject === undefined) throw refused(new Error('the subject is no text'))
    const client = z
      .string()
      .max(2048)
      .safeParse(claims['client_id'] ?? claims['azp'])
    // RFC 9068 §2.2.3: no scope was asked for. Elsewhere the claim tells an access token from an ID token.
    const hasNone = type === 'at+jwt' && !Object.hasOwn(claims, settings.oauthScopeClaim)
    const said = hasNone ? [] : readClaim(claims, settings.oauthScopeClaim, scopesShape)
    const words = typeof said === 'string' ? said.split(' ') : said
    const scopes = words.map((word) => names.ours(word)).filter((scope) => scope !== undefined)
    return {
      id: holderId(issuer, subject, client.data ?? ''),
      namespaceName: namespaceOf(claims, subject),
      agent: readClaim(claims, settings.oauthAgentClaim, agentShape),
      scopes: new Set(scopes.filter((scope) => most.has(scope))),
      expiresAt: (claims.exp ?? 0) * 1000,
    }
  }
}

function readClaim<T>(claims: JWTPayload, name: string, shape: z.ZodType<T>): T {
  const value = shape.safeParse(Object.hasOwn(claims, name) ? claims[name] : undefined)
  if (value.success) return value.data
  throw new AppError(
    'insufficient_scope',
    `The access token has no usable claim ${name}; the issuer or the mapping must be changed.`,
  )
}

/** The same for every token of one client of one subject. */
export function holderId(issuer: string, subject: string, client: string): string {
  return identityDigest(issuer, subject, client).toString('base64url').slice(0, 22)
}
