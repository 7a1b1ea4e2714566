/** The sliding window: exact alone and over a real Redis, and never a reason to wait for an outage. */
import { afterEach, describe, expect, test } from 'vitest'
import {
  createRateLimiter,
  type Limit,
  type RateLimiter,
  type RateLimiterOptions,
} from '../../src/auth/rate-limit.ts'
import { openRedisScripts } from '../../src/database/redis-scripts.ts'
import { seededRandom } from '../support/random.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const redisUrl = process.env['TEST_REDIS_URL']
const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const close of cleanUp.splice(0).toReversed()) await close()
})

const limit = (requests: number, name: Limit['name'] = 'namespace', id = ''): Limit => ({
  name,
  id,
  requests,
})

/** The most admissions in any window that is open to the left; times in order. */
function worstWindow(times: readonly number[], windowMs: number): number {
  let worst = 0
  let first = 0
  for (const [index, at] of times.entries()) {
    while ((times[first] ?? at) <= at - windowMs) first++
    worst = Math.max(worst, index - first + 1)
  }
  return worst
}

describe('in one process', () => {
  const alone = (options: Partial<RateLimiterOptions> = {}): RateLimiter =>
    createRateLimiter({ scripts: undefined, replicas: 1, ...options })

  test('no window of any place holds more than the limit, and nothing of it is lost', async () => {
    const random = seededRandom(7)
    let at = 0
    const limiter = alone({ now: () => at })
    const admitted: number[] = []
    for (let request = 0; request < 20_000; request++) {
      // Bursts with pauses between them, longer and shorter than a window.
      at += random() < 0.01 ? random() * 90_000 : random() * 30
      if ((await limiter.take('a', [limit(60)])).isAllowed) admitted.push(at)
    }
    expect(worstWindow(admitted, 60_000)).toBe(60)
  })

  test('who waits as told gets in, and not a millisecond earlier', async () => {
    let at = 0
    const limiter = alone({ now: () => at })
    for (let request = 0; request < 5; request++) {
      at = request * 1000
      expect(await limiter.take('a', [limit(5)])).toMatchObject({ isAllowed: true, waitMs: 0 })
    }
    at = 10_000
    const { waitMs } = await limiter.take('a', [limit(5)])
    expect(waitMs).toBe(50_000)
    at += waitMs - 1
    expect((await limiter.take('a', [limit(5)])).isAllowed).toBe(false)
    at += 1
    expect((await limiter.take('a', [limit(5)])).isAllowed).toBe(true)
  })

  test('of two limits both are kept, and a refusal by one costs the other nothing', async () => {
    const limiter = alone({ now: () => 0 })
    const both = [limit(10), limit(3, 'key', 'k')]
    for (let request = 0; request < 5; request++) await limiter.take('a', both)
    const standing = limiter.standing('a', both)
    expect(standing.map(({ name, remaining }) => [name, remaining])).toEqual([
      ['namespace', 7],
      ['key', 0],
    ])
  })

  test('several processes without Redis have an equal part each', async () => {
    const limiter = alone({ replicas: 4, now: () => 0 })
    let admitted = 0
    for (let request = 0; request < 100; request++) {
      if ((await limiter.take('a', [limit(60)])).isAllowed) admitted++
    }
    expect(admitted).toBe(15)
  })

  test('more processes than requests keep to the limit over time, and say when they go on', async () => {
    let at = 0
    const processes = Array.from({ length: 8 }, () => alone({ replicas: 8, now: () => at }))
    const admitted: number[] = []
    for (; at < 12 * 60_000; at += 5000) {
      for (const limiter of processes) {
        if ((await limiter.take('a', [limit(2)])).isAllowed) admitted.push(at)
      }
    }
    // 2 a minute: each of eight one in four minutes.
    expect(admitted.length).toBe(24)
    expect(worstWindow(admitted, 4 * 60_000)).toBe(8)
    const [one] = processes
    at = 12 * 60_000 + 5000
    expect(await one?.take('a', [limit(2)])).toMatchObject({ isAllowed: true })
    at += 61_000
    expect(await one?.take('a', [limit(2)])).toMatchObject({ isAllowed: false, waitMs: 179_000 })
    expect(one?.standing('a', [limit(2)])).toMatchObject([{ remaining: 0, resetMs: 179_000 }])
  })

  test('groups, names and ids do not share a limit', async () => {
    const limiter = alone({ now: () => 0 })
    for (const [group, one] of [
      ['a', limit(1)],
      ['b', limit(1)],
      ['a', limit(1, 'key', 'x')],
      ['a', limit(1, 'key', 'y')],
    ] as const) {
      expect((await limiter.take(group, [one])).isAllowed).toBe(true)
      expect((await limiter.take(group, [one])).isAllowed).toBe(false)
    }
  })

  test('only the first refusal of a window is news', async () => {
    let at = 0
    const limiter = alone({ now: () => at })
    const news: boolean[] = []
    for (let request = 0; request < 5; request++) {
      news.push((await limiter.take('a', [limit(2)])).isFirstRefusal)
    }
    at = 60_001
    for (let request = 0; request < 4; request++) {
      news.push((await limiter.take('a', [limit(2)])).isFirstRefusal)
    }
    expect(news).toEqual([false, false, true, false, false, false, false, true, false])
  })
})

describe.skipIf(redisUrl === undefined)('over Redis', () => {
  interface Process {
    readonly limiter: RateLimiter
    readonly degraded: () => boolean
  }

  async function ownRedis(): Promise<RedisServer> {
    const redis = await startRedis(redisUrl ?? '')
    cleanUp.push(() => redis.close())
    return redis
  }

  /** The limiter of one more process, with a connection of its own. */
  async function join(redis: RedisServer, options: Partial<RateLimiterOptions> = {}) {
    const process: { limiter?: RateLimiter; isDegraded: boolean } = { isDegraded: false }
    const scripts = await openRedisScripts(
      redis.url,
      () => process.limiter?.reconnected(),
      () => undefined,
    )
    cleanUp.push(() => scripts.close())
    process.limiter = createRateLimiter({
      scripts,
      replicas: 1,
      settleMs: 500,
      onDecision: (isDegraded) => (process.isDegraded = isDegraded),
      ...options,
    })
    const { limiter } = process
    return { limiter, degraded: () => process.isDegraded } satisfies Process
  }

  const admittedOf = async (processes: readonly Process[], requests: number, one: Limit) => {
    const limiters = processes.map(({ limiter }) => limiter)
    const rounds = Array.from({ length: Math.ceil(requests / limiters.length) }, () => limiters)
    const asked = rounds.flat().slice(0, requests)
    const decisions = await Promise.all(asked.map((limiter) => limiter.take('a', [one])))
    return decisions.filter(({ isAllowed }) => isAllowed).length
  }

  test('processes share one limit exactly, however they burst at once', async () => {
    const redis = await ownRedis()
    const processes = [await join(redis), await join(redis), await join(redis)]
    expect(await admittedOf(processes, 500, limit(100))).toBe(100)
  })

  test('a burst across the edge of a minute gets no second helping', async () => {
    const redis = await ownRedis()
    const windowMs = 1000
    const process = await join(redis, { windowMs })
    expect(await admittedOf([process], 80, limit(60))).toBe(60)
    const wait = process.limiter.refusedForMs('a', limit(60))
    expect(wait).toBeGreaterThan(0)
    expect(wait).toBeLessThanOrEqual(windowMs)
    expect(await admittedOf([process], 80, limit(60))).toBe(0)
    let later = 0
    await until(async () => (later += await admittedOf([process], 80, limit(60))) >= 60)
    expect(later).toBe(60)
  })

  test('the clocks of the processes do not matter', async () => {
    const redis = await ownRedis()
    const fiveMinutes = 300_000
    const processes = [
      await join(redis),
      await join(redis, { now: () => performance.now() + fiveMinutes }),
      await join(redis, { now: () => performance.now() - fiveMinutes }),
    ]
    expect(await admittedOf(processes, 300, limit(100))).toBe(100)
  })

  test('a limit that is raised makes room at once', async () => {
    const redis = await ownRedis()
    const process = await join(redis)
    expect(await admittedOf([process], 20, limit(10))).toBe(10)
    expect(await admittedOf([process], 40, limit(30))).toBe(20)
  })

  test('scripts that Redis has forgotten are sent again', async () => {
    const redis = await ownRedis()
    const process = await join(redis)
    expect(await admittedOf([process], 5, limit(100))).toBe(5)
    await redis.command('script', 'flush')
    expect(await admittedOf([process], 200, limit(100))).toBe(95)
    expect(process.degraded()).toBe(false)
  })

  test('a flushed Redis learns again what was admitted', async () => {
    const redis = await ownRedis()
    const processes = [await join(redis, { replicas: 2 }), await join(redis, { replicas: 2 })]
    expect(await admittedOf(processes, 60, limit(100))).toBe(60)
    await redis.command('flushall')
    const after = await admittedOf(processes, 400, limit(100))
    expect(60 + after).toBeLessThanOrEqual(125)
    await until(async () => {
      await processes[0]?.limiter.take('other', [limit(1000)])
      return processes[0]?.degraded() === false
    })
    const known = Number(await redis.command('zcard', 'mindglue:rate:{a}:namespace:'))
    expect(known).toBe(60 + after)
  })

  test('a killed Redis costs nobody a request, and gives nobody a second helping', async () => {
    const redis = await ownRedis()
    const processes = [await join(redis, { replicas: 2 }), await join(redis, { replicas: 2 })]
    expect(await admittedOf(processes, 60, limit(100))).toBe(60)
    await redis.kill()
    await until(async () => {
      await Promise.all(processes.map(({ limiter }) => limiter.take('other', [limit(1000)])))
      return processes.every(({ degraded }) => degraded())
    })
    // 40 are left, and each process has half of what it last saw.
    const during = await admittedOf(processes, 400, limit(100))
    expect(during).toBeGreaterThanOrEqual(40)
    expect(60 + during).toBeLessThanOrEqual(125)
    await redis.start()
    await until(async () => {
      await Promise.all(processes.map(({ limiter }) => limiter.take('other', [limit(1000)])))
      return processes.every(({ degraded }) => !degraded())
    })
    expect(await admittedOf(processes, 400, limit(100))).toBe(0)
    const known = Number(await redis.command('zcard', 'mindglue:rate:{a}:namespace:'))
    expect(known).toBe(60 + during)
  })

  test('a Redis that hangs delays one answer by its timeout, and no one else', async () => {
    const redis = await ownRedis()
    const process = await join(redis)
    expect(await admittedOf([process], 5, limit(100))).toBe(5)
    redis.pause()
    cleanUp.push(() => redis.resume())
    const first = performance.now()
    expect(await admittedOf([process], 1, limit(100))).toBe(1)
    // 100 ms are the timeout; a machine under load adds its own.
    expect(performance.now() - first).toBeLessThan(1000)
    const next = performance.now()
    expect(await admittedOf([process], 50, limit(100))).toBe(50)
    expect(performance.now() - next).toBeLessThan(100)
    redis.resume()
    await until(async () => {
      await process.limiter.take('other', [limit(1000)])
      return !process.degraded()
    })
    expect(await admittedOf([process], 200, limit(100))).toBeLessThanOrEqual(44)
  })
})
