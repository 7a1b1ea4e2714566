/** Applies a namespace's policy to what it holds already, in bounded batches while it serves; may be repeated. */
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { countFound } from '../memory/door.ts'
import { examine, rewrite } from '../memory/rewrite.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { Principal } from '../principal.ts'
import { everyVersion, type VersionBatch } from './every-version.ts'
import type { ReembedOptions } from './reembed.ts'

export interface ScanDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  /** Leaves nothing of old rows in the files; false when this process has no right to. */
  readonly rewriteTables: () => Promise<boolean>
}

/** What a scan did. */
export interface Scanned {
  /** Versions looked at: every version of every memory, quarantined and expired ones too. */
  readonly versions: number
  /** Versions that were written anew, or would be. */
  readonly changed: number
  /** By what was done and kind: `redacted:github-token`. */
  readonly found: Readonly<Record<string, number>>
  /** False when the files of the database may still hold the rows of before. */
  readonly rewritten: boolean
}

/**
 * Looks at every version of the principal's namespace and, unless `isDryRun`, writes anew what the policy
 * does not let stand, an audit event a batch. Run again after an interruption, it goes on.
 */
export async function scanNamespace(
  { scope, namespaces, rewriteTables }: ScanDependencies,
  operator: Principal,
  isDryRun: boolean,
  options: ReembedOptions,
): Promise<Scanned> {
  const found: Record<string, number> = {}
  let versions = 0
  let changed = 0
  const work = (batch: VersionBatch) => scanBatch(batch, operator, isDryRun)
  for await (const batch of everyVersion({ scope, namespaces }, operator, options, work)) {
    versions += batch.versions
    changed += batch.changed
    for (const [what, count] of Object.entries(batch.found))
      found[what] = (found[what] ?? 0) + count
  }
  // Also when nothing changed: the scan before may have been killed when it came to this.
  const rewritten = isDryRun || (await rewriteTables())
  return { versions, changed, found, rewritten }
}

async function scanBatch(
  { tx, settings, rows }: VersionBatch,
  operator: Principal,
  isDryRun: boolean,
) {
  const examined = rows.map((row) => examine(settings, row))
  const changed = examined.filter((one) => one.isChanged)
  const found = countFound(examined)
  if (!isDryRun && changed.length > 0) {
    await rewrite({ tx, settings, now: new Date() }, changed)
    await recordEvent(tx, operator, 'scan', 'ok', {
      resourceIds: [...new Set(changed.map(({ row }) => row.id))],
      counts: { versions: changed.length, ...found },
    })
  }
  return { versions: rows.length, changed: changed.length, found }
}
