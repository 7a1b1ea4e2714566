/** Upkeep goes batch by batch under the settings that it began with, or not at all. */
import type { NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { readRevision } from '../namespaces/namespaces.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { Principal } from '../principal.ts'

/** The settings as the database has them now, whatever this process read before. */
export async function settingsNow(
  { scope, namespaces }: { readonly scope: NamespaceScope; readonly namespaces: Namespaces },
  principal: Principal,
): Promise<NamespaceSettings> {
  const revision = await scope.withNamespace(principal, { readOnly: true }, (tx) =>
    readRevision(tx, false),
  )
  return await namespaces.settings(principal, revision)
}

/**
 * To call first in a batch. Throws AppError `conflict` when the settings have changed; until the transaction
 * ends, whoever changes them waits.
 */
export async function requireSame(
  tx: NamespaceTransaction,
  settings: NamespaceSettings,
): Promise<void> {
  if ((await readRevision(tx, true)) === settings.revision) return
  throw new AppError('conflict', 'The namespace is being reconfigured; run it again.')
}
