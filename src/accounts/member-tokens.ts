/** Tokens of our own for a namespace: what they open is asked of the directory, not of the token. */
import { createHash } from 'node:crypto'
import type { AccessTokens, TokenHolder } from '../auth/access-tokens.ts'
import type { Sql } from '../database/database.ts'
import { AppError } from '../errors.ts'
import { enterNamespace, type Entry } from './members.sql.ts'
import { scopesOf } from './roles.ts'
import type { NamespaceClaim, SessionTokens } from './session-tokens.ts'

/** With the two seconds between looks at open streams (http/stream-end.ts): under five in sum. */
const freshMs = 2000
const rememberedMax = 10_000

/** One per process. Role, membership and session are believed for two seconds. */
export function createMemberTokens(
  tokens: Pick<SessionTokens, 'verifyFor'>,
  inDirectory: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>,
): AccessTokens {
  const remembered = new Map<string, { readonly entry: Entry | undefined; readonly at: number }>()

  const enter = async ({ session, namespaceName }: NamespaceClaim): Promise<Entry | undefined> => {
    const name = JSON.stringify([session.id, session.account, namespaceName])
    const known = remembered.get(name)
    if (known !== undefined && performance.now() - known.at < freshMs) return known.entry
    const at = performance.now()
    const entry = await inDirectory((sql) => enterNamespace(sql, session, namespaceName))
    remembered.delete(name)
    remembered.set(name, { entry, at })
    const [oldest] = remembered.keys()
    if (remembered.size > rememberedMax && oldest !== undefined) remembered.delete(oldest)
    return entry
  }

  return {
    async verify(token): Promise<TokenHolder> {
      const claim = await tokens.verifyFor(token)
      const entry = claim && (await enter(claim))
      if (claim === undefined || entry === undefined) throw refused()
      const { account } = claim.session
      return {
        id: createHash('sha256').update(account).digest('base64url').slice(0, 22),
        namespaceName: claim.namespaceName,
        namespace: entry.namespace,
        agent: entry.agent,
        scopes: new Set(scopesOf(entry.role)),
        expiresAt: claim.expiresAt,
        isCurrent: async () => (await enter(claim))?.role === entry.role,
      }
    },
  }
}

function refused(): AppError {
  return new AppError('unauthenticated', 'The access token is not valid here; log in again.', {
    details: { challenge: 'invalid_token' },
  })
}
