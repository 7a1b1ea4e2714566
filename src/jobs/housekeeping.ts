/** Small upkeep of the namespaces this process served: search statistics, partitions, spent keys. */
import type { NamespaceScope } from '../database/scope.ts'
import { dropExpiredConfirmations } from '../memory/confirmations.sql.ts'
import { dropIdempotencyKeys } from '../memory/idempotency.sql.ts'
import { needsMaintenance, type PartitionLimits } from '../memory/vector-partitions.ts'
import { addDue } from '../namespaces/due.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { refreshStatistics } from '../namespaces/namespaces.sql.ts'
import { dropCommonTerms } from './common-terms.ts'
import { jobPrincipal } from './job-principal.ts'
import type { Job } from './runner.ts'

/** How long a repeated request is recognised; README states it. */
const idempotencyKeyHours = 48
const batchRows = 1_000

export interface HousekeepingDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  /** Namespaces written since the last run; the job empties it. */
  readonly touched: Set<bigint>
  /** Sizes from which a namespace gets and loses a partition of its vectors. */
  readonly limits: PartitionLimits
}

export function housekeepingJob({
  scope,
  namespaces,
  touched,
  limits,
}: HousekeepingDependencies): Job {
  return {
    name: 'housekeeping',
    everySeconds: 60,
    run: async (signal) => {
      const written = [...touched]
      touched.clear()
      for (const namespace of written) {
        if (signal.aborted) return
        const before = new Date(Date.now() - idempotencyKeyHours * 3_600_000)
        const memories = await scope.withJob(jobPrincipal(namespace), {}, async (tx) => {
          await dropIdempotencyKeys(tx, before, batchRows)
          await dropExpiredConfirmations(tx, batchRows)
          if (await needsMaintenance(tx, limits)) await addDue(tx, 'statistics', [new Date()])
          return await refreshStatistics(tx)
        })
        await dropCommonTerms({ scope, namespaces }, { namespace, memories }, signal)
      }
    },
  }
}
