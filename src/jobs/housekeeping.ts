/** Small upkeep of the namespaces this process served: search statistics, partitions, spent keys. */
import type { NamespaceScope } from '../database/scope.ts'
import { dropExpiredConfirmations } from '../memory/confirmations.sql.ts'
import { dropIdempotencyKeys } from '../memory/idempotency.sql.ts'
import { needsMaintenance, type PartitionLimits } from '../memory/vector-partitions.ts'
import { addDue } from '../namespaces/due.sql.ts'
import { refreshStatistics } from '../namespaces/namespaces.sql.ts'
import { jobPrincipal } from './job-principal.ts'
import type { Job } from './runner.ts'

/** How long a repeated request is recognised; README states it. */
const idempotencyKeyHours = 48
const batchRows = 1_000

/** `touched` holds namespaces written since the last run; the job empties it. */
export function housekeepingJob(
  scope: NamespaceScope,
  touched: Set<bigint>,
  limits: PartitionLimits,
): Job {
  return {
    name: 'housekeeping',
    everySeconds: 60,
    run: async (signal) => {
      const namespaces = [...touched]
      touched.clear()
      for (const namespace of namespaces) {
        if (signal.aborted) return
        const before = new Date(Date.now() - idempotencyKeyHours * 3_600_000)
        await scope.withJob(jobPrincipal(namespace), {}, async (tx) => {
          await refreshStatistics(tx)
          await dropIdempotencyKeys(tx, before, batchRows)
          await dropExpiredConfirmations(tx, batchRows)
          if (await needsMaintenance(tx, limits)) await addDue(tx, 'statistics', [new Date()])
        })
      }
    },
  }
}
