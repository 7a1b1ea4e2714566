/** Erases expired memories in bounded batches, namespace by namespace, while stores and recalls go on. */
import { setTimeout as delay } from 'node:timers/promises'
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { removeExpired } from '../memory/remove.ts'
import { clearDue, duePage } from '../namespaces/due.sql.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Job } from './runner.ts'
import { jobPrincipal, noNamespace } from './job-principal.ts'

const namespacesPerRun = 1_000
const pauseMs = 5
/** Large enough to amortise a transaction, small enough that a store waits for none of its locks. */
const batchRows = 1_000
/**
 * A store that is still open may commit a memory whose bucket was just purged: buckets are kept this
 * long after they are done. Longer than any transaction may last.
 */
const bucketGraceMs = 70_000

export interface PurgeDependencies {
  readonly scope: NamespaceScope
  readonly metrics: Metrics
  readonly everySeconds: number
}

export function purgeJob({ scope, metrics, everySeconds }: PurgeDependencies): Job {
  return {
    name: 'purge',
    everySeconds,
    run: async (signal) => {
      const now = new Date()
      const page = await scope.withJob(jobPrincipal(noNamespace), { readOnly: true }, (tx) =>
        duePage(tx, 'expiry', now, namespacesPerRun),
      )
      for (const { namespace } of page) {
        if (signal.aborted) return
        await purgeNamespace(scope, metrics, namespace, signal)
        const principal = jobPrincipal(namespace)
        const done = new Date(now.getTime() - bucketGraceMs)
        if (!signal.aborted) {
          await scope.withJob(principal, {}, (tx) => clearDue(tx, 'expiry', done))
        }
      }
    },
  }
}

/** Purges one namespace until nothing in it is expired; returns how many memories went. */
export async function purgeNamespace(
  scope: NamespaceScope,
  metrics: Metrics,
  namespace: bigint,
  signal: AbortSignal,
): Promise<number> {
  const principal = jobPrincipal(namespace)
  let purged = 0
  while (!signal.aborted) {
    const removed = await scope.withJob(principal, {}, async (tx) => {
      const batch = await removeExpired(tx, batchRows)
      if (batch.memories === 0) return batch
      const counts = { memories: batch.memories, versions: batch.versions }
      await recordEvent(tx, principal, 'purge', 'ok', { resourceIds: batch.ids, counts })
      return batch
    })
    if (removed.memories === 0) break
    purged += removed.memories
    const lagMs = removed.oldestExpiry ? Date.now() - removed.oldestExpiry.getTime() : 0
    metrics.purged(removed.memories, Math.max(0, lagMs) / 1000)
    if (removed.memories < batchRows) break
    // Requests of this process come first: without a pause they wait until everything is purged.
    await delay(pauseMs)
  }
  return purged
}
