/** Small upkeep of the namespaces this process wrote: search statistics, partitions, common terms; old codes go. */
import { purgeClients } from '../accounts/clients.sql.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { needsMaintenance, type PartitionLimits } from '../memory/vector-partitions.ts'
import { addDue } from '../namespaces/due.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { refreshStatistics } from '../namespaces/namespaces.sql.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { dropCommonTerms } from './common-terms.ts'
import { jobPrincipal } from './job-principal.ts'
import type { Job } from './runner.ts'

export interface HousekeepingDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  readonly metrics: Metrics
  readonly log: Log
  /** Namespaces written since their last turn; the job takes out those it is done with. */
  readonly touched: Set<bigint>
  /** Sizes from which a namespace gets and loses a partition of its vectors. */
  readonly limits: PartitionLimits
}

const expiredMax = 5000

export function housekeepingJob(dependencies: HousekeepingDependencies): Job {
  const { touched, metrics, log } = dependencies
  return {
    name: 'housekeeping',
    everySeconds: 60,
    run: async (signal) => {
      const written = [...touched]
      for (const namespace of written) {
        if (signal.aborted) return
        // Before its turn: what is written during it has another one.
        touched.delete(namespace)
        try {
          await keepHouse(dependencies, namespace, signal)
        } catch (error) {
          touched.add(namespace)
          if (signal.aborted) return
          metrics.failure('jobs')
          log.warn('upkeep of a namespace failed', { component: 'housekeeping', error })
        }
      }
      // More than expires in a minute; what one run leaves the next one takes.
      await dependencies.scope.withDirectory((sql) => purgeClients(sql, expiredMax))
    },
  }
}

async function keepHouse(
  { scope, namespaces, limits }: HousekeepingDependencies,
  namespace: bigint,
  signal: AbortSignal,
): Promise<void> {
  const memories = await scope.withJob(jobPrincipal(namespace), {}, async (tx) => {
    if (await needsMaintenance(tx, limits)) await addDue(tx, 'statistics', [new Date()])
    return await refreshStatistics(tx)
  })
  await dropCommonTerms({ scope, namespaces }, { namespace, memories }, signal)
}
