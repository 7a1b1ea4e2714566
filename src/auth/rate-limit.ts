/**
 * How many requests in any minute: an exact sliding window, in Redis for all processes together, and in
 * this process alone while Redis is away. Never asks anybody to wait because of an outage itself.
 */
import { randomBytes } from 'node:crypto'
import type { RedisScripts } from '../database/redis-scripts.ts'
import { noteScript, slotsPerWindow, takeScript } from './rate-limit.lua.ts'
import { SlidingWindow } from './sliding-window.ts'

/** One limit that a request must keep. */
export interface Limit {
  /** What is limited, as the headers and metrics call it. */
  readonly name: 'namespace' | 'key' | 'address'
  /** Who: an id, unique with the name within the group. */
  readonly id: string
  /** Requests in any window. */
  readonly requests: number
}

/** How much of a limit is left. */
export interface Standing extends Limit {
  readonly remaining: number
  /** Until one more is left; 0 when all are. */
  readonly resetMs: number
}

export interface Decision {
  readonly isAllowed: boolean
  /** Until there is room; 0 when it is allowed. */
  readonly waitMs: number
  /** True for the first refusal in a window: later ones are not news. */
  readonly isFirstRefusal: boolean
}

export interface RateLimiter {
  /** Takes one request from every limit, or from none. `group` names the limits' slot in a cluster. */
  take(group: string, limits: readonly Limit[]): Promise<Decision>
  /** What this process knows of limits, without asking; those that it has not met are left out. */
  standing(group: string, limits: readonly Pick<Limit, 'name' | 'id'>[]): readonly Standing[]
  /** Milliseconds for which the limit is known to be used up; 0 otherwise. Asks nobody. */
  refusedForMs(group: string, limit: Pick<Limit, 'name' | 'id'>): number
  /** To call when a lost Redis is back. */
  reconnected(): void
}

export interface RateLimiterOptions {
  /** Undefined: this process decides by itself, always. */
  readonly scripts: Pick<RedisScripts, 'isReady' | 'run'> | undefined
  /** Processes that share the limits while Redis cannot: each has an equal part. */
  readonly replicas: number
  readonly windowMs?: number
  /** After Redis is back: so long every process keeps to its own part besides, and tells it what it admitted. */
  readonly settleMs?: number
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
  /** Told at each decision whether it was made without the Redis that there should be. */
  readonly onDecision?: (isDegraded: boolean) => void
  readonly onFailure?: (error: unknown) => void
}

export const minuteMs = 60_000
/** Longer than processes need to come back after each other (redis-scripts.ts), with their first script. */
const settleMsDefault = 2000
/** After a script that failed on a live connection: Redis is left alone so long. */
const breakerMs = 500
/** Entries younger than the window by this much are surely in Redis, whatever a script took. */
const inFlightMs = 250
/** Limits a process remembers: a namespace and its keys, an address. The least recently met goes first. */
const windowsMax = 20_000
const entriesPerScript = 500
/** What the script says of a key: wait, entries, reset, slots. */
const numbersPerKey = 3 + slotsPerWindow

/** One for a process. Owns its windows; calls may overlap. */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { scripts, replicas, onDecision, onFailure } = options
  const { windowMs = minuteMs, settleMs = settleMsDefault, now = () => performance.now() } = options
  const processId = randomBytes(6).toString('base64url')
  const windows = new Map<string, SlidingWindow>()
  let members = 0
  /** A script failed: Redis is left alone until then. */
  let brokenUntil = 0
  let wasBroken = false
  /** Redis may lack what other processes admitted: until then nobody exceeds its own part either. */
  let settlingUntil = 0

  const windowOf = (group: string, limit: Limit): SlidingWindow => {
    const key = keyOf(group, limit)
    const window = windows.get(key) ?? new SlidingWindow(key, windowMs)
    windows.delete(key)
    windows.set(key, window)
    if (windows.size > windowsMax) {
      const [oldest] = windows.keys()
      if (oldest !== undefined) windows.delete(oldest)
    }
    window.limit = limit.requests
    return window
  }
  const isReachable = (at: number): boolean => scripts?.isReady() === true && at >= brokenUntil
  const failed = (error: unknown): void => {
    onFailure?.(error)
    brokenUntil = now() + breakerMs
    wasBroken = true
  }

  /** Tells Redis of requests that it does not know of; what fails is told again. */
  const tell = (window: SlidingWindow): void => {
    for (;;) {
      const batch = window.tell(now(), entriesPerScript)
      if (batch.length === 0) return
      const ages = batch.flatMap(({ at, member }) => [Math.round((now() - at) * 1000), member])
      scripts?.run(noteScript, [window.key], [windowMs * 1000, ...ages]).then(
        () => batch.forEach((entry) => (entry.state = 'known')),
        (error: unknown) => {
          for (const entry of batch) entry.state = 'new'
          failed(error)
        },
      )
    }
  }
  /** Tells Redis, in front of the next question, what was admitted without it: with a loss, everything. */
  const settle = (isLost: boolean): void => {
    settlingUntil = now() + settleMs
    wasBroken = false
    for (const window of windows.values()) {
      if (isLost) window.untellAll()
      tell(window)
    }
  }

  const decideAlone = (asked: readonly SlidingWindow[]): Decision => {
    const at = now()
    const waits = asked.map((window) => window.waitAlone(at, replicas))
    if (Math.max(...waits) > 0) return refusal(asked, waits, at)
    for (const window of asked) {
      window.admit({ at, member: `${processId}:${++members}`, state: 'new' })
    }
    return allowed
  }

  const decideTogether = async (
    redis: NonNullable<typeof scripts>,
    asked: readonly SlidingWindow[],
  ): Promise<Decision> => {
    const startedAt = now()
    const isSettling = startedAt < settlingUntil
    if (isSettling) {
      const waits = asked.map((window) => window.waitAlone(startedAt, replicas))
      if (Math.max(...waits) > 0) return refusal(asked, waits, startedAt)
    }
    const member = `${processId}:${++members}`
    const since = startedAt - windowMs + inFlightMs
    const limits = asked.flatMap((window) => [window.limit, window.countKnownSince(since)])
    const args = [windowMs * 1000, slotsPerWindow, member, ...limits]
    const keys = asked.map(({ key }) => key)
    const [status, ...said] = numbers(await askAll(asked, redis.run(takeScript, keys, args)))
    if (status === -1) {
      if (now() >= settlingUntil) settle(true)
      const decision = decideAlone(asked)
      for (const window of asked) tell(window)
      return decision
    }
    const at = now()
    const waits = asked.map((window, index) => {
      const [waitMicros = 0, used = 0, resetMicros = 0, ...slots] = said.slice(
        index * numbersPerKey,
        (index + 1) * numbersPerKey,
      )
      if (status === 1) window.admit({ at, member, state: 'known' })
      // While it settles, what Redis says is less than what it said before.
      if (!isSettling) window.see({ at, used, resetMs: resetMicros / 1000, slots })
      // Nothing leaves a full window earlier, so nobody need ask again until then.
      if (status === 0 && waitMicros > 0) window.refuse(startedAt + waitMicros / 1000)
      return waitMicros / 1000
    })
    return status === 1 ? allowed : refusal(asked, waits, startedAt)
  }

  return {
    async take(group, limits) {
      const asked = limits.map((limit) => windowOf(group, limit))
      const at = now()
      const refusedMs = Math.max(...asked.map((window) => window.refusedForMs(at)))
      if (refusedMs > 0) return { isAllowed: false, waitMs: refusedMs, isFirstRefusal: false }
      if (scripts === undefined) return decideAlone(asked)
      onDecision?.(!isReachable(at) || wasBroken || at < settlingUntil)
      if (!isReachable(at)) return decideAlone(asked)
      if (wasBroken) settle(false)
      try {
        return await decideTogether(scripts, asked)
      } catch (error) {
        failed(error)
        return decideAlone(asked)
      }
    },
    standing(group, limits) {
      const at = now()
      return limits.flatMap(({ name, id }) => {
        const window = windows.get(keyOf(group, { name, id }))
        if (window === undefined) return []
        return [{ name, id, requests: window.limit, ...window.standing(at, replicas) }]
      })
    },
    refusedForMs(group, limit) {
      const at = now()
      const window = windows.get(keyOf(group, limit))
      if (window === undefined) return 0
      const alone = isReachable(at) ? 0 : window.waitAlone(at, replicas)
      return Math.max(window.refusedForMs(at), alone)
    },
    reconnected: () => settle(true),
  }
}

/** Requests that wait for an answer at the same time must not all take the same last place. */
async function askAll<T>(asked: readonly SlidingWindow[], question: Promise<T>): Promise<T> {
  for (const window of asked) window.ask()
  try {
    return await question
  } finally {
    for (const window of asked) window.answered()
  }
}

function refusal(
  asked: readonly SlidingWindow[],
  waitsMs: readonly number[],
  at: number,
): Decision {
  const full = asked.filter((_, index) => (waitsMs[index] ?? 0) > 0)
  const isFirstRefusal = full.map((window) => window.isNews(at)).includes(true)
  return { isAllowed: false, waitMs: Math.max(...waitsMs), isFirstRefusal }
}

const allowed: Decision = { isAllowed: true, waitMs: 0, isFirstRefusal: false }

/** The braces are the hash tag: every limit of a group lies in one slot of a cluster. */
function keyOf(group: string, { name, id }: Pick<Limit, 'name' | 'id'>): string {
  return `mindglue:rate:{${group}}:${name}:${id}`
}

function numbers(reply: unknown): readonly number[] {
  if (!Array.isArray(reply)) throw new TypeError('a script answered with no list')
  return reply.map(Number)
}
