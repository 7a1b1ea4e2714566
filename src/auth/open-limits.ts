/** Limits as the configuration wants them: over Redis where there is one, with their metrics. */
import type { Config } from '../config.ts'
import { openRedisScripts } from '../database/redis-scripts.ts'
import { createPlans, type Plans } from '../namespaces/plans.ts'
import { createQuotas, type Quotas } from '../namespaces/quotas.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createFailedKeys, type FailedKeys } from './failed-keys.ts'
import { createRateLimiter, type Limit, type RateLimiter } from './rate-limit.ts'
import { createRequestLimits, type RequestLimits } from './request-limits.ts'

export interface OpenedLimits {
  readonly limits: RequestLimits
  readonly failedKeys: FailedKeys
  readonly plans: Plans
  /** Undefined where plans bound nothing. */
  readonly quotas: Quotas | undefined
  close(): void
}

/** True where plans bound what a namespace may do: on PostgreSQL, unless it was said otherwise. */
export function hasLimits({ limits, databaseUrl }: Config): boolean {
  return limits === 'on' || (limits === 'auto' && databaseUrl !== undefined)
}

/** Throws `unavailable` when a configured Redis cannot be reached at start; later it is done without. */
export async function openLimits(
  config: Config,
  log: Log,
  metrics: Metrics,
): Promise<OpenedLimits> {
  const onFailure = (error: unknown): void => {
    metrics.failure('redis')
    log.warn('rate limits work without redis', { component: 'redis', error })
  }
  const held: { limiter?: RateLimiter } = {}
  const { redisUrl } = config
  const scripts =
    redisUrl === undefined
      ? undefined
      : await openRedisScripts(redisUrl, () => held.limiter?.reconnected(), onFailure)
  const limiter = createRateLimiter({
    scripts,
    replicas: config.replicas,
    onDecision: (isDegraded) => metrics.rateLimitDegraded(isDegraded),
    onFailure,
  })
  held.limiter = limiter
  const plans = createPlans({
    requests: config.planRequests,
    memories: config.planMemories,
    megabytes: config.planMegabytes,
  })
  const onRefusal = (limit: Limit['name']): void => metrics.rateLimited(limit)
  return {
    // A key's own limit holds where plans bound nothing, too.
    limits: createRequestLimits({
      limiter,
      planRequests: (plan) => (hasLimits(config) ? plans.of(plan).requestsPerMinute : Infinity),
      onRefusal,
    }),
    failedKeys: createFailedKeys(limiter, config.failedKeysPerMinute, () =>
      metrics.rateLimited('address'),
    ),
    plans,
    quotas: hasLimits(config) ? createQuotas(plans) : undefined,
    close: () => scripts?.close(),
  }
}
