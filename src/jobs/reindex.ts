/** Gives a namespace the words of the present analyzer while it serves; may be repeated. */
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { reindex } from '../memory/reindex.ts'
import { Unreadable } from '../memory/unreadable.ts'
import { addDue } from '../namespaces/due.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { changeAnalyzer } from '../namespaces/namespaces.sql.ts'
import type { NamespaceSettings } from '../operation.ts'
import { analyzerVersion } from '../pipeline/terms.ts'
import type { Principal } from '../principal.ts'
import { everyVersion, type VersionBatch } from './every-version.ts'
import type { ReembedOptions } from './reembed.ts'
import { settingsNow } from './same-settings.ts'

export interface Reindexed {
  /** Versions looked at: every version of every memory, quarantined and expired ones too. */
  readonly versions: number
  /** Versions that are found by other words, names or labels than before. */
  readonly changed: number
  /** Memories with a version that does not decrypt, which stays as it is. */
  readonly unreadable: number
}

/**
 * Until a version is reached it is found as before. Interrupted, the next run passes over what is done and
 * goes on. Throws `conflict` when a newer program has indexed the namespace, or its settings change meanwhile.
 */
export async function reindexNamespace(
  dependencies: { readonly scope: NamespaceScope; readonly namespaces: Namespaces },
  principal: Principal,
  options: ReembedOptions,
): Promise<Reindexed> {
  requireNoNewer(await settingsNow(dependencies, principal))
  const unreadable = new Unreadable()
  let versions = 0
  let changed = 0
  const work = async ({ tx, settings, rows }: VersionBatch) => {
    requireNoNewer(settings)
    const done = await reindex({ tx, settings, now: new Date() }, rows, unreadable)
    return { rows: rows.length, changed: done }
  }
  for await (const batch of everyVersion(dependencies, principal, options, work)) {
    versions += batch.rows
    changed += batch.changed
  }
  await dependencies.scope.withNamespace(principal, {}, async (tx) => {
    await changeAnalyzer(tx, analyzerVersion)
    // The mean length of a memory, which scores rest on.
    await addDue(tx, 'statistics', [new Date()])
    await recordEvent(tx, principal, 'reindex', 'ok', { counts: { versions, changed } })
  })
  return { versions, changed, unreadable: unreadable.count }
}

function requireNoNewer({ analyzerVersion: present }: NamespaceSettings): void {
  if (present <= analyzerVersion) return
  throw new AppError('conflict', 'A newer MindGlue has indexed this namespace. Update this one.')
}
