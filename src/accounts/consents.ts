/** What a person allows programs, and takes back: each in a transaction of the namespace, with its audit event. */
import { v7 as uuidv7 } from 'uuid'
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import type { Principal, Scope } from '../principal.ts'
import { addGrant, endOwnClient, listOwnClients, type OwnClientRow } from './clients.sql.ts'
import { newGrantSeconds, usedClientSeconds } from './lifetimes.ts'
import { enterNamespace } from './members.sql.ts'
import { scopesOf } from './roles.ts'
import type { Session } from './session-tokens.ts'

export interface Allowed {
  readonly client: string
  readonly namespaceName: string
  readonly scopes: readonly Scope[]
}

export interface Consents {
  /** Programs that the person let in, a row for each namespace; the last used first. */
  list(session: Session): Promise<readonly OwnClientRow[]>
  /** Id of the grant; undefined where the session may not enter the namespace. Durable and audited. */
  allow(session: Session, allowed: Allowed, requestId: string): Promise<string | undefined>
  /**
   * Shuts a client out of every namespace, one transaction each: what fails midway may be asked for again.
   * Throws AppError `not_found` for one that is not in.
   */
  end(session: Session, client: string, requestId: string): Promise<void>
}

/** Not through `execute`: a program that uses up the namespace's limits could not be shut out. */
export function createConsents(
  scope: Pick<NamespaceScope, 'withDirectory' | 'withNamespace'>,
): Consents {
  /** The member that the session's person is there, with the rights of the role and no more. */
  const enter = async (
    session: Session,
    namespaceName: string,
    requestId: string,
  ): Promise<Principal | undefined> => {
    const entry = await scope.withDirectory((sql) => enterNamespace(sql, session, namespaceName))
    if (entry === undefined) return undefined
    const { namespace, agent, role } = entry
    const scopes = new Set(scopesOf(role))
    return { namespace, namespaceName, agent, scopes, channel: 'rest', requestId }
  }
  const list: Consents['list'] = ({ account }) =>
    scope.withDirectory((sql) => listOwnClients(sql, account))

  /** How many grants ended. */
  const endIn = async (member: Principal, account: string, client: string): Promise<number> =>
    await scope.withNamespace(member, {}, async (tx) => {
      const resourceIds = await endOwnClient(tx, account, client)
      const counts = { clients: resourceIds.length }
      // Taken back by somebody else meanwhile, who is in the log for it.
      if (resourceIds.length === 0) return 0
      await recordEvent(tx, member, 'client.end', 'ok', { resourceIds, counts })
      return resourceIds.length
    })

  return {
    list,

    async allow(session, { client, namespaceName, scopes }, requestId) {
      const member = await enter(session, namespaceName, requestId)
      if (member === undefined) return undefined
      const { account } = session
      const id = uuidv7()
      const lives = { lifeSeconds: newGrantSeconds, clientSeconds: usedClientSeconds }
      const grant = { id, account, client, scopes: scopes.join(' '), ...lives }
      return await scope.withNamespace(member, {}, async (tx) => {
        if (!(await addGrant(tx, grant))) return undefined
        const counts = { scopes: scopes.length }
        await recordEvent(tx, member, 'client.allow', 'ok', { resourceIds: [id], counts })
        return id
      })
    },

    async end(session, client, requestId) {
      const rows = await list(session)
      const names = rows.filter((row) => row.client === client).map((row) => row.namespace_name)
      let ended = 0
      for (const name of new Set(names)) {
        const member = await enter(session, name, requestId)
        if (member !== undefined) ended += await endIn(member, session.account, client)
      }
      if (ended === 0) throw new AppError('not_found', 'This account let no such client in.')
    },
  }
}
