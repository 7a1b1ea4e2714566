/** Gives namespaces of many vectors a partition with an approximate index, and takes it from small ones (Postgres). */
import type { NamespaceScope } from '../database/scope.ts'
import { maintainPartition, type PartitionLimits } from '../memory/vector-partitions.ts'
import { clearDue } from '../namespaces/due.sql.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { dueNamespaces } from './due.ts'
import { jobPrincipal } from './job-principal.ts'
import type { Job } from './runner.ts'

/** Two buckets of the directory: what is noted while a run works on the namespace is kept. */
const bucketGraceMs = 20_000

export interface VectorsDependencies {
  readonly scope: NamespaceScope
  readonly metrics: Metrics
  readonly log: Log
  readonly limits: PartitionLimits
}

/** Works on what others noted under `statistics`; the database lets one process build at a time. */
export function vectorsJob(dependencies: VectorsDependencies): Job {
  const { scope } = dependencies
  return {
    name: 'vectors',
    everySeconds: 10,
    run: async (signal) => {
      const now = new Date()
      for (const namespace of await dueNamespaces(scope, 'statistics', now)) {
        if (signal.aborted) return
        if (!(await maintain(dependencies, namespace, signal))) continue
        const done = new Date(now.getTime() - bucketGraceMs)
        await scope.withJob(jobPrincipal(namespace), {}, (tx) => clearDue(tx, 'statistics', done))
      }
    },
  }
}

/** False when the next run has to come back. A failure concerns one namespace: the others have their turn. */
async function maintain(
  { scope, metrics, log, limits }: VectorsDependencies,
  namespace: bigint,
  signal: AbortSignal,
): Promise<boolean> {
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const principal = jobPrincipal(namespace)
  try {
    const outcome = await maintainPartition({ scope, principal, signal }, limits)
    if (outcome === 'promoted' || outcome === 'demoted') metrics.vectorPartition(outcome, seconds())
    return outcome !== 'waiting'
  } catch (error) {
    if (signal.aborted) return false
    metrics.failure('jobs')
    metrics.vectorPartition('failed', seconds())
    log.warn('vector partition failed', { component: 'vectors', error })
    return false
  }
}
