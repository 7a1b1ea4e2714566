/**
 * The limit as clients meet it: server processes on one database answer over HTTP while their Redis is killed
 * and started again. Every answer is an answer or a 429, and the limit holds. The limiter by itself, under far
 * more requests: rate-limit.test.ts. `FULL=1` runs more processes and kills.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testEngine } from '../support/database.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { addressesOf, freshStore, startProgram, type Served, type Store } from '../support/serve.ts'

const redisUrl = process.env['TEST_REDIS_URL']
const size = process.env['FULL'] === '1' ? { processes: 4, kills: 4 } : { processes: 2, kills: 1 }
/** Admissions between one change of Redis and the next. */
const part = 100
const limit = (2 * size.kills + 2) * part
const windowMs = 60_000
const lanes = 4
const key = randomBytes(32).toString('base64url')

// Many processes need a server to share; the embedded engine has one owner.
describe.skipIf(redisUrl === undefined || testEngine === 'embedded')('server processes', () => {
  let redis: RedisServer
  let store: Store
  const served: Served[] = []
  const origins: string[] = []

  beforeAll(async () => {
    redis = await startRedis(redisUrl ?? '')
    store = await freshStore()
    const environment = {
      ...store.environment,
      REDIS_URL: redis.url,
      MINDGLUE_API_KEY: key,
      MINDGLUE_LIMITS: 'on',
      MINDGLUE_PLAN_REQUESTS: `free=${limit}, pro=${limit}, scale=${limit}`,
      MINDGLUE_REPLICAS: `${size.processes}`,
      MINDGLUE_HTTP_PORT: '0',
      MINDGLUE_SIDECAR_PORT: '0',
      MINDGLUE_LOG_LEVEL: 'error',
    }
    // The first makes the schema and the keys.
    for (let started = 0; started < size.processes; started++) {
      const one = startProgram(['serve'], environment)
      served.push(one)
      origins.push(new URL((await addressesOf(one)).mcp).origin)
    }
  }, 300_000)
  afterAll(async () => {
    for (const { process } of served) process.kill('SIGKILL')
    await Promise.all(served.map(({ ended }) => ended))
    await store.remove()
    await redis.close()
  })

  test(`lose no request to ${size.kills} deaths of Redis, and keep the limit`, async () => {
    const answers: {
      readonly status: number
      readonly at: number
      readonly wait: string | null
    }[] = []
    const admitted = () => answers.filter(({ status }) => status === 200).length
    /** Each lane asks one process after the other, until there is enough. */
    const ask = async (isEnough: () => boolean): Promise<void> => {
      const lane = async (first: number): Promise<void> => {
        for (let turn = first; !isEnough(); turn++) {
          const origin = origins[turn % origins.length] ?? ''
          const response = await fetch(`${origin}/plans`, {
            headers: { authorization: `Bearer ${key}` },
          })
          await response.arrayBuffer()
          const wait = response.headers.get('retry-after')
          answers.push({ status: response.status, at: performance.now(), wait })
        }
      }
      await Promise.all(Array.from({ length: lanes }, (_, first) => lane(first)))
    }
    const askFor = async (more: number): Promise<void> => {
      const wanted = admitted() + more
      await ask(() => admitted() >= wanted)
    }
    const startedAt = performance.now()
    for (let kill = 0; kill < size.kills; kill++) {
      await askFor(part)
      // Nobody counts for all: these are admitted by each process alone, while Redis is silent, then gone.
      redis.pause()
      await askFor(part / 2)
      await redis.kill()
      await askFor(part / 2)
      await redis.start()
    }
    // To the end of the limit: refused by every process, again and again.
    await ask(() => answers.length >= limit && answers.slice(-limit / 2).every(isRefusal))

    const others = answers.filter((answer) => answer.status !== 200 && !isRefusal(answer))
    expect(others).toEqual([])
    expect(answers.filter((answer) => isRefusal(answer) && answer.wait === null)).toEqual([])
    const inWindow = answers.filter(
      ({ status, at }) => status === 200 && at < startedAt + windowMs,
    ).length
    process.stderr.write(`served: ${answers.length} answers, ${inWindow} of ${limit} admitted\n`)
    expect(inWindow).toBeLessThanOrEqual(limit * 1.25)
    expect(inWindow).toBeGreaterThanOrEqual(limit * 0.99)
  }, 300_000)
})

function isRefusal({ status }: { readonly status: number }): boolean {
  return status === 429
}
