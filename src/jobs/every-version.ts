/** Goes over every version of a namespace while it serves: superseded, quarantined and expired ones too. */
import type { NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import { lockVersionsAfter, versionsWithin, type RewritableRow } from '../memory/rewrite.sql.ts'
import { countVersions } from '../memory/size.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { Principal } from '../principal.ts'
import type { ReembedOptions } from './reembed.ts'
import { requireSame, settingsNow } from './same-settings.ts'

/** Most of a batch: some tenth of a second of a busy processor. */
const batchOf = { rows: 100, bytes: 256 * 1024 }
const firstPlace = { id: '00000000-0000-0000-0000-000000000000', version: 0 }

/** Some versions, locked, in a transaction under settings that stay as they are until its end. */
export interface VersionBatch {
  readonly tx: NamespaceTransaction
  readonly settings: NamespaceSettings
  readonly rows: readonly RewritableRow[]
}

/**
 * Gives out what `work` returned, batch by batch, each committed. `work` may be called again for a batch whose
 * transaction was undone. Throws `conflict` when the settings change under a batch: run it again.
 */
export async function* everyVersion<T>(
  { scope, namespaces }: { readonly scope: NamespaceScope; readonly namespaces: Namespaces },
  operator: Principal,
  { signal, onProgress }: ReembedOptions,
  work: (batch: VersionBatch) => Promise<T>,
): AsyncGenerator<T> {
  // Whoever asks: what is out of sight would stay as it is.
  const principal = { ...operator, scopes: new Set(['admin'] as const) }
  const total = await scope.withNamespace(
    principal,
    { readOnly: true, seesQuarantined: true },
    countVersions,
  )
  let done = 0
  for (let after = firstPlace; ;) {
    signal.throwIfAborted()
    const settings = await settingsNow({ scope, namespaces }, principal)
    const batch = await scope.withNamespace(
      principal,
      { retryable: true, seesQuarantined: true },
      async (tx) => {
        // Held until the batch is in: a policy or a key that changes meanwhile waits, or is seen here.
        await requireSame(tx, settings)
        const rows = await lockVersionsAfter(tx, after, await versionsWithin(tx, after, batchOf))
        const last = rows.at(-1)
        return last && { last, count: rows.length, result: await work({ tx, settings, rows }) }
      },
    )
    if (batch === undefined) return
    yield batch.result
    after = { id: batch.last.id, version: batch.last.version }
    done += batch.count
    onProgress(done, Math.max(done, total))
  }
}
