/** Applies a namespace's policy to what it holds already, in bounded batches while it serves; may be repeated. */
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { countFound } from '../memory/door.ts'
import { examine, rewrite } from '../memory/rewrite.ts'
import { lockVersionsAfter } from '../memory/rewrite.sql.ts'
import { countVersions } from '../memory/size.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { readRevision } from '../namespaces/namespaces.sql.ts'
import type { Principal } from '../principal.ts'
import type { ReembedOptions } from './reembed.ts'
import { requireSame } from './same-settings.ts'

const batchRows = 100
const firstPlace = { id: '00000000-0000-0000-0000-000000000000', version: 0 }

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
  { signal, onProgress }: ReembedOptions,
): Promise<Scanned> {
  // Whoever asks: what is out of sight would keep what it holds.
  const principal = { ...operator, scopes: new Set(['admin'] as const) }
  const total = await scope.withNamespace(
    principal,
    { readOnly: true, seesQuarantined: true },
    countVersions,
  )
  const found: Record<string, number> = {}
  let versions = 0
  let changed = 0
  for (let after = firstPlace; ;) {
    signal.throwIfAborted()
    const batch = await scanBatch(scope, namespaces, principal, after, isDryRun)
    if (batch.last === undefined) break
    after = batch.last
    versions += batch.versions
    changed += batch.changed
    for (const [what, count] of Object.entries(batch.found))
      found[what] = (found[what] ?? 0) + count
    onProgress(versions, Math.max(versions, total))
  }
  // Also when nothing changed: the scan before may have been killed when it came to this.
  const rewritten = isDryRun || (await rewriteTables())
  return { versions, changed, found, rewritten }
}

async function scanBatch(
  scope: NamespaceScope,
  namespaces: Namespaces,
  principal: Principal,
  after: typeof firstPlace,
  isDryRun: boolean,
) {
  const revision = await scope.withNamespace(principal, { readOnly: true }, (tx) =>
    readRevision(tx, false),
  )
  const settings = await namespaces.settings(principal, revision)
  return await scope.withNamespace(
    principal,
    { retryable: true, seesQuarantined: true },
    async (tx) => {
      // Held until the batch is in: a policy or a key that changes meanwhile waits, or is seen here.
      await requireSame(tx, settings)
      const rows = await lockVersionsAfter(tx, after, batchRows)
      const examined = rows.map((row) => examine(settings, row))
      const changed = examined.filter((one) => one.isChanged)
      const found = countFound(examined)
      if (!isDryRun && changed.length > 0) {
        await rewrite({ tx, settings, now: new Date() }, changed)
        await recordEvent(tx, principal, 'scan', 'ok', {
          resourceIds: [...new Set(changed.map(({ row }) => row.id))],
          counts: { versions: changed.length, ...found },
        })
      }
      const last = rows.at(-1)
      return {
        last: last && { id: last.id, version: last.version },
        versions: rows.length,
        changed: changed.length,
        found,
      }
    },
  )
}
