/** Which limits a principal's requests must keep, and what is said of them in headers and refusals. */
import { AppError } from '../errors.ts'
import type { Principal } from '../principal.ts'
import { minuteMs, type Limit, type RateLimiter, type Standing } from './rate-limit.ts'

/** A request that came too soon. */
export interface Refusal {
  readonly error: AppError
  /** Later ones of the same minute are not written into the audit log, or refusing would cost more than serving. */
  readonly isFirst: boolean
}

export interface RequestLimits {
  /** Counts one request of a principal whose namespace has this plan; undefined: it may go on. */
  take(principal: Principal, plan: string): Promise<Refusal | undefined>
  /** Header fields that tell where a principal stands; none where nothing is limited or known yet. */
  headers(principal: Principal): Readonly<Record<string, string>>
}

export interface RequestLimitsOptions {
  readonly limiter: RateLimiter
  /** Requests a minute of a namespace on a plan; Infinity: as many as it likes. */
  readonly planRequests: (plan: string) => number
  /** Told which limit refused a request. */
  readonly onRefusal?: (name: Limit['name']) => void
}

/** Everybody but the operator at the command line and jobs has the limit of the namespace and of the key. */
export function createRequestLimits({
  limiter,
  planRequests,
  onRefusal,
}: RequestLimitsOptions): RequestLimits {
  return {
    async take(principal, plan) {
      if (!isLimited(principal)) return undefined
      const limits = limitsOf(principal, planRequests(plan))
      if (limits.length === 0) return undefined
      const group = groupOf(principal)
      const decision = await limiter.take(group, limits)
      if (decision.isAllowed) return undefined
      const [tightest] = inOrder(limiter.standing(group, limits))
      const name = tightest?.name ?? 'namespace'
      onRefusal?.(name)
      const retryAfterSeconds = Math.ceil(decision.waitMs / 1000)
      const whose = name === 'key' ? 'this API key' : 'this namespace'
      const requests = tightest?.requests ?? 0
      const error = new AppError(
        'rate_limited',
        `Too many requests: ${whose} may make ${requests} a minute. Wait ${retryAfterSeconds} s.`,
        { retryAfterSeconds, details: { limit: name, requests_per_minute: requests } },
      )
      return { error, isFirst: decision.isFirstRefusal }
    },
    headers(principal) {
      if (!isLimited(principal)) return {}
      return rateLimitFields(limiter.standing(groupOf(principal), windowsOf(principal)))
    },
  }
}

function isLimited({ channel }: Principal): boolean {
  return channel !== 'cli' && channel !== 'job'
}

function groupOf({ namespace }: Principal): string {
  return `n${namespace}`
}

type Window = Pick<Limit, 'name' | 'id'>

function windowsOf({ credential }: Principal): readonly Window[] {
  const namespace: Window = { name: 'namespace', id: '' }
  return credential === undefined ? [namespace] : [namespace, { name: 'key', id: credential.id }]
}

function limitsOf(principal: Principal, planRequests: number): readonly Limit[] {
  const own = principal.credential?.requestsPerMinute ?? Infinity
  return windowsOf(principal)
    .map((window) => ({ ...window, requests: window.name === 'key' ? own : planRequests }))
    .filter(({ requests }) => Number.isFinite(requests))
}

/** The one with the least left first; of equals, the one that stays so longest. */
function inOrder(standings: readonly Standing[]): readonly Standing[] {
  return standings.toSorted((a, b) => a.remaining - b.remaining || b.resetMs - a.resetMs)
}

/**
 * `RateLimit-Policy` lists every limit, `RateLimit` says how the tightest stands
 * (draft-ietf-httpapi-ratelimit-headers-11, lists of RFC 9651 structured fields). `t` is when one more
 * request is left: in a sliding window nothing is reset at once.
 */
export function rateLimitFields(standings: readonly Standing[]): Readonly<Record<string, string>> {
  const [tightest] = inOrder(standings)
  if (tightest === undefined) return {}
  const { name, remaining, resetMs } = tightest
  return {
    'ratelimit-policy': standings
      .map(({ name: policy, requests }) => `"${policy}";q=${requests};w=${minuteMs / 1000}`)
      .join(', '),
    ratelimit: `"${name}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`,
  }
}
