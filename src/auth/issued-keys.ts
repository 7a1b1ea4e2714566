/** The authenticator over the database: keys found there, their changes shared, their uses written down. */
import type { RedisBus } from '../database/redis.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { findApiKey, noteApiKeyUses } from './api-keys.sql.ts'
import {
  createAuthenticator,
  type Authenticator,
  type AuthenticatorOptions,
} from './authenticate.ts'

const channel = 'mindglue:keys'
const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/u

export interface OpenedAuthenticator {
  readonly authenticator: Authenticator
  /**
   * To call after keys were rotated or revoked: this process forgets them at once, the others when
   * Redis carries the news, without Redis after the two seconds that they believe what they read.
   */
  readonly keysChanged: (ids: readonly string[]) => void
}

/** Throws AppError `unavailable` when a configured Redis takes no subscription. */
export async function openAuthenticator(
  scope: NamespaceScope,
  bus: RedisBus | undefined,
  options: Omit<AuthenticatorOptions, 'find'>,
): Promise<OpenedAuthenticator> {
  const authenticator = createAuthenticator({
    ...options,
    find: (id) => scope.withDirectory((sql) => findApiKey(sql, id)),
  })
  await bus?.subscribe(channel, (message) => {
    authenticator.forget(message.split(',').filter((id) => uuid.test(id)))
  })
  return {
    authenticator,
    keysChanged: (ids) => {
      authenticator.forget(ids)
      bus?.publish(channel, ids.join(','))
    },
  }
}

/** Writes the uses of this process since the last call, a thousand keys in a transaction. */
export async function writeKeyUses(
  scope: NamespaceScope,
  authenticator: Pick<Authenticator, 'takeUses'>,
): Promise<void> {
  for (;;) {
    const uses = authenticator.takeUses()
    if (uses.length === 0) return
    await scope.withDirectory((sql) => noteApiKeyUses(sql, uses))
  }
}
