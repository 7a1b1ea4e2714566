/** Reading what other namespaces granted: in each its own settings, keys and context, one after another. */
import { isEnvelopeFailure } from '../crypto/envelope.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { AppError, toAppError } from '../errors.ts'
import type { GrantedAnswer, GrantedWork, PrepareContext } from '../operation.ts'
import { heldGrants, type HeldGrant } from './grants.sql.ts'
import type { Namespaces } from './namespaces.ts'
import { readRevision } from './namespaces.sql.ts'

/** Each is a search of its own. */
export const grantsMax = 8
const attemptsMax = 3

export interface GrantedDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Pick<Namespaces, 'grantedSettings'>
  /** A granting namespace could not be read; the others are. */
  readonly onFailure: (error: AppError) => void
}

class SettingsMoved extends Error {
  readonly revision: number
  constructor(revision: number) {
    super('settings moved')
    this.revision = revision
  }
}

/**
 * Does the work under each grant that the principal's namespace holds, at most eight; one that ended is left
 * out. Opens transactions, so it belongs to `prepare`. What fails in one namespace is its name in
 * `unreachable` and no error: a giver in trouble takes nobody else's answer away.
 */
export async function readGranted<Prepared, Result>(
  dependencies: GrantedDependencies,
  context: Omit<PrepareContext, 'granted'>,
  work: GrantedWork<Prepared, Result>,
): Promise<GrantedAnswer<Result>> {
  const { principal, signal } = context
  const grants = await dependencies.scope.withNamespace(principal, { readOnly: true }, (tx) =>
    heldGrants(tx, grantsMax),
  )
  const found: { grant: HeldGrant; result: Result }[] = []
  const unreachable = new Set<string>()
  for (const grant of grants) {
    signal.throwIfAborted()
    try {
      const result = await readOne(dependencies, context, grant, work)
      if (result !== undefined) found.push({ grant, result: result.value })
    } catch (error) {
      if (signal.aborted) throw error
      dependencies.onFailure(toAppError(error))
      unreachable.add(grant.namespaceName)
    }
  }
  return { found, unreachable: [...unreachable] }
}

/** Undefined once the grant has ended. */
async function readOne<Prepared, Result>(
  { scope, namespaces }: GrantedDependencies,
  context: Omit<PrepareContext, 'granted'>,
  grant: HeldGrant,
  work: GrantedWork<Prepared, Result>,
): Promise<{ readonly value: Result } | undefined> {
  const { principal } = context
  let freshest = 0
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const known = await namespaces.grantedSettings(principal, grant, freshest)
    if (known === undefined) return undefined
    // Its estimates count what the grant does not show: what it shows is counted instead.
    const settings = { ...known, documentCount: 0 }
    const prepared = await work.prepare({ ...context, settings })
    try {
      return await scope.withGrant(principal, grant, async (tx) => {
        const revision = await readRevision(tx, false)
        if (revision === undefined) return undefined
        if (revision !== settings.revision) throw new SettingsMoved(revision)
        return { value: await work.read({ ...context, settings, tx }, prepared) }
      })
    } catch (error) {
      if (error instanceof SettingsMoved) freshest = error.revision
      // A read holds no lock: keys may have been wrapped anew between its check and its rows.
      else if (isEnvelopeFailure(error)) freshest = settings.revision + 1
      else throw error
    }
  }
  throw new AppError('conflict', 'A granting namespace is being reconfigured; try again.')
}
