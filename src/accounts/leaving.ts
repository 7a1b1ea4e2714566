/** How an account leaves its namespaces when it is deleted: each in a transaction there, with its audit event. */
import { recordEvent } from '../audit/events.ts'
import { userNamespace } from '../auth/user-namespace.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import type { Principal } from '../principal.ts'
import { enterNamespace, leaveNamespace, listMemberships, listNeeded } from './members.sql.ts'
import type { Session } from './session-tokens.ts'

export interface LeavingOptions {
  readonly scope: Pick<NamespaceScope, 'withDirectory' | 'withNamespace'>
  /** Deletes a namespace with its keys and rows, for good. */
  readonly removeNamespace: (namespace: bigint) => Promise<unknown>
  /** Issuer of tokens: it names the namespace that is a person's own. */
  readonly origin: string
}

export interface LeavingWish {
  /** The namespace that was made for the account alone goes with it. */
  readonly withOwnMemories: boolean
  readonly requestId: string
}

/**
 * Out of every namespace. What fails midway may be asked for again. Throws AppError `conflict`, with nothing
 * done, where nobody else would administer one, and `confirmation_required` where there are own memories.
 */
export type Leave = (session: Session, wish: LeavingWish) => Promise<void>

export function createLeaving({ scope, removeNamespace, origin }: LeavingOptions): Leave {
  const leaveOne = async (member: Principal, account: string): Promise<void> =>
    await scope.withNamespace(member, {}, async (tx) => {
      if (!(await leaveNamespace(tx, account))) throw isNeeded([member.namespaceName])
      await recordEvent(tx, member, 'member.leave', 'ok', { counts: { members: 1 } })
    })

  return async (session, { withOwnMemories, requestId }) => {
    const { account } = session
    const ownName = userNamespace(origin, account)
    const needed = await scope.withDirectory((sql) => listNeeded(sql, account))
    const isOwn = (name: string): boolean =>
      needed.some((one) => one.namespace_name === name && name === ownName && one.others === 0)
    const kept = needed.map((one) => one.namespace_name).filter((name) => !isOwn(name))
    if (kept.length > 0) throw isNeeded(kept)
    if (isOwn(ownName) && !withOwnMemories) throw ownMemories()
    const memberships = await scope.withDirectory((sql) => listMemberships(sql, account))
    for (const { namespace_name: namespaceName } of memberships) {
      const entry = await scope.withDirectory((sql) => enterNamespace(sql, session, namespaceName))
      if (entry === undefined) continue
      const { namespace, agent } = entry
      // To leave takes no role.
      const scopes = new Set(['admin'] as const)
      const member = {
        namespace,
        namespaceName,
        agent,
        scopes,
        channel: 'rest',
        requestId,
      } as const
      if (isOwn(namespaceName)) await removeNamespace(namespace)
      else await leaveOne(member, account)
    }
  }
}

function isNeeded(namespaces: readonly string[]): AppError {
  const text = `Nobody else administers ${namespaces.join(', ')}: make another member an administrator, or have the namespace deleted by who runs this server.`
  return new AppError('conflict', text, { details: { namespaces } })
}

function ownMemories(): AppError {
  return new AppError(
    'confirmation_required',
    'Memories of your own go with the account, for good: export what you want to keep, then send `own_memories` as "delete".',
  )
}
