/** A namespace for each person alone, where accounts are open to all: made when the person first wants it. */
import { recordEvent } from '../audit/events.ts'
import { ownNamespace, type Membership } from '../accounts/members.sql.ts'
import type { Session } from '../accounts/session-tokens.ts'
import { userNamespace } from '../auth/user-namespace.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { allScopes, type Principal } from '../principal.ts'

export interface OwnNamespaces {
  nameOf(session: Session): string
  /** What the person would be there. */
  offered(session: Session, email: string): Membership
  /**
   * Makes it when it is not there, and the person its administrator. Durable and audited. Throws
   * `insufficient_scope` when another administrator removed the person from it.
   */
  make(session: Session, agent: string, requestId: string): Promise<void>
}

export interface OwnNamespacesHost {
  readonly namespaces: Pick<Namespaces, 'find' | 'resolve'>
  readonly scope: Pick<NamespaceScope, 'withNamespace'>
}

/** Not through `execute`: there is no namespace yet that a principal could act in. */
export function createOwnNamespaces(
  { namespaces, scope }: OwnNamespacesHost,
  origin: string,
): OwnNamespaces {
  const nameOf: OwnNamespaces['nameOf'] = ({ account }) => userNamespace(origin, account)
  return {
    nameOf,
    offered: (session, email) => ({
      namespace_name: nameOf(session),
      // What stands before the @, as for members who were invited.
      agent: email.slice(0, email.lastIndexOf('@')),
      role: 'admin',
    }),
    async make(session, agent, requestId) {
      const namespaceName = nameOf(session)
      const isThere = (await namespaces.find(namespaceName)) !== undefined
      const namespace = await namespaces.resolve(namespaceName, { create: true })
      const scopes = new Set(allScopes)
      const owner: Principal = {
        namespace,
        namespaceName,
        agent,
        scopes,
        channel: 'rest',
        requestId,
      }
      await scope.withNamespace(owner, {}, async (tx) => {
        const membership = await ownNamespace(tx, session.account)
        if (membership === undefined) {
          throw new AppError(
            'insufficient_scope',
            'You were removed from it. Its administrators can invite you.',
          )
        }
        if (!isThere) await recordEvent(tx, owner, 'namespace.create', 'ok', {})
        else if (membership.isNew) await recordEvent(tx, owner, 'member.enter', 'ok', {})
      })
    },
  }
}
