/** Access tokens of programs that a person let in: right by themselves, and only while the person wants it. */
import type { JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import {
  createVerifier,
  holderId,
  refused,
  type AccessTokens,
  type TokenHolder,
} from '../auth/access-tokens.ts'
import type { Sql } from '../database/database.ts'
import type { Scope } from '../principal.ts'
import { enterAsClient, type ClientEntry } from './clients.sql.ts'
import { scopesOf } from './roles.ts'
import type { SigningKeys } from './session-tokens.ts'

/** With the two seconds between looks at open streams (http/stream-end.ts): under five in sum. */
const freshMs = 2000
const rememberedMax = 10_000

/** Claim with the id of what the person agreed to. */
export const grantClaim = 'mindglue_grant'

const claimsShape = z.object({
  sub: z.uuid(),
  client_id: z.string().max(512),
  scope: z.string().max(500).default(''),
  exp: z.number(),
  [grantClaim]: z.uuid(),
})
type Claims = z.output<typeof claimsShape>

export interface ClientTokensOptions {
  readonly issuer: string
  readonly audience: string
  readonly signingKeys: SigningKeys
  readonly inDirectory: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>
  /** The most that a token may allow. */
  readonly scopes: readonly Scope[]
}

/** One per process. Grant, membership and role are believed for two seconds. */
export function createClientTokens(options: ClientTokensOptions): AccessTokens {
  const { issuer, audience, signingKeys, inDirectory } = options
  const remembered = new Map<
    string,
    { readonly entry: ClientEntry | undefined; readonly at: number }
  >()
  const keyOf: JWTVerifyGetKey = async ({ kid }) => {
    const known = (await signingKeys.known()).find(({ id }) => id === kid)
    if (known === undefined) throw new Error('no such key')
    return known.publicKey
  }
  const verify = createVerifier(
    {
      issuer,
      audience,
      oauthAlgorithms: ['EdDSA'],
      oauthTokenType: 'at+jwt',
      oauthClockSkewSeconds: 5,
    },
    keyOf,
  )

  const enter = async (claims: Claims): Promise<ClientEntry | undefined> => {
    const { sub, client_id: client, [grantClaim]: grant } = claims
    const name = JSON.stringify([grant, sub, client])
    const known = remembered.get(name)
    if (known !== undefined && performance.now() - known.at < freshMs) return known.entry
    const at = performance.now()
    const entry = await inDirectory((sql) => enterAsClient(sql, grant, sub, client))
    remembered.delete(name)
    remembered.set(name, { entry, at })
    const [oldest] = remembered.keys()
    if (remembered.size > rememberedMax && oldest !== undefined) remembered.delete(oldest)
    return entry
  }

  return {
    async verify(token): Promise<TokenHolder> {
      const claims = claimsShape.safeParse(await verify(token)).data
      const entry = claims && (await enter(claims))
      if (claims === undefined || entry === undefined) throw refused(new Error('it was taken back'))
      // What was agreed to at first and what this token says: a client may ask for less when it refreshes.
      const said = new Set(claims.scope.split(' '))
      const agreed = new Set(entry.scopes.split(' '))
      const may = new Set(scopesOf(entry.role))
      const holds = (scope: Scope): boolean =>
        said.has(scope) && agreed.has(scope) && may.has(scope)
      return {
        id: holderId(issuer, claims.sub, claims.client_id),
        namespaceName: entry.namespace_name,
        namespace: entry.namespace,
        agent: entry.agent,
        scopes: new Set(options.scopes.filter((scope) => holds(scope))),
        expiresAt: claims.exp * 1000,
        isCurrent: async () => (await enter(claims))?.role === entry.role,
      }
    },
  }
}
