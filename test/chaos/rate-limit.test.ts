/**
 * Eight processes hammer one limit while their Redis is killed and started again: never above the limit,
 * at most a quarter more while Redis is missed, nearly all of the limit usable, and no request fails.
 * `FULL=1` runs the size required.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { LimitedProcessOptions } from '../auth/fixtures/limited-process.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'

const redisUrl = process.env['TEST_REDIS_URL']
const isFull = process.env['FULL'] === '1'
const size = isFull
  ? { requests: 800_000, kills: 20, calmWindows: 20 }
  : { requests: 80_000, kills: 2, calmWindows: 3 }
const processes = 8
const limit = 200
const windowMs = 3000
/** Shorter than in production, where a window has a minute; longer than the processes need to come back. */
const settleMs = 1500
/** Redis is away so long, and then back so long before the next kill. */
const awayMs = 1000
const backMs = 2 * windowMs

const loader = new URL('../support/typescript-loader.mjs', import.meta.url).href
const program = fileURLToPath(new URL('../auth/fixtures/limited-process.ts', import.meta.url))
const result = z.object({
  asked: z.int(),
  admitted: z.array(z.tuple([z.number(), z.number(), z.int()])),
  failures: z.array(z.string()),
})

let redis: RedisServer | undefined
const children: ReturnType<typeof spawn>[] = []
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await redis?.close()
})

/** Starts them all, lets them begin together, and gathers what they say at their end. */
async function hammer(options: LimitedProcessOptions, meanwhile: () => Promise<void>) {
  const lines = await Promise.all(
    Array.from({ length: processes }, async () => {
      const child = spawn(process.execPath, ['--import', loader, program, JSON.stringify(options)])
      children.push(child)
      child.stderr.pipe(process.stderr)
      const reader = createInterface({ input: child.stdout })
      await once(reader, 'line')
      return { child, last: once(reader, 'line') }
    }),
  )
  for (const { child } of lines) child.stdin.write('go\n')
  await meanwhile()
  const said = await Promise.all(
    lines.map(async ({ last }) => result.parse(JSON.parse(String((await last)[0])))),
  )
  return {
    asked: said.reduce((sum, { asked }) => sum + asked, 0),
    failures: said.flatMap(({ failures }) => failures),
    admitted: said.flatMap(({ admitted }) => admitted).toSorted(([, a], [, b]) => a - b),
  }
}

type Admission = z.output<typeof result>['admitted'][number]

/**
 * The most admissions that surely lie in one window: asked after its beginning and answered before its
 * end. `isDegraded`: in a window that held an answer given without Redis.
 */
function worst(admitted: readonly Admission[], degradedOnes: readonly Admission[]) {
  const windowMicros = windowMs * 1000
  const found = { together: 0, degraded: 0 }
  for (const [beginsAt] of admitted) {
    const endsAt = beginsAt + windowMicros
    let count = 0
    for (const [startedAt, endedAt] of after(admitted, beginsAt)) {
      if (endedAt >= endsAt) break
      if (startedAt >= beginsAt) count++
    }
    const isDegraded = degradedOnes.some(([at]) => at >= beginsAt - windowMicros && at < endsAt)
    const kind = isDegraded ? 'degraded' : 'together'
    found[kind] = Math.max(found[kind], count)
  }
  return found
}

/** In the order of their answers, from the first answer after a moment. */
function* after(admitted: readonly Admission[], moment: number): Iterable<Admission> {
  let low = 0
  let high = admitted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((admitted[middle]?.[1] ?? 0) < moment) low = middle + 1
    else high = middle
  }
  for (let index = low; index < admitted.length; index++) {
    const next = admitted[index]
    if (next !== undefined) yield next
  }
}

describe.skipIf(redisUrl === undefined)('eight processes', () => {
  const share = { replicas: processes, limit, windowMs, settleMs }

  test('use the whole limit and no more while Redis is there', async () => {
    redis = await startRedis(redisUrl ?? '')
    const durationMs = size.calmWindows * windowMs
    const requests = Math.ceil(size.requests / 2 / processes)
    const options = { ...share, redisUrl: redis.url, requests, durationMs }
    const { asked, failures, admitted } = await hammer(options, () => Promise.resolve())
    expect(failures).toEqual([])
    expect(asked).toBeGreaterThanOrEqual(size.requests / 2)
    const degraded = admitted.filter(([, , isDegraded]) => isDegraded === 1)
    expect(worst(admitted, degraded).together).toBeLessThanOrEqual(limit)
    const [first] = admitted
    const last = admitted.at(-1)
    if (first === undefined || last === undefined) throw new Error('nothing was admitted')
    // From the first answer to the end, in whole windows: the part of one that has begun is full too.
    const windows = Math.floor(durationMs / windowMs)
    const usable = admitted.filter(([at]) => at < first[0] + durationMs * 1000).length
    report(`calm: ${asked} asked, ${usable} of ${windows * limit} admitted`)
    expect(usable / (windows * limit)).toBeGreaterThanOrEqual(0.99)
  }, 600_000)

  test(`lose no request to ${size.kills} deaths of Redis, and admit a quarter more at most`, async () => {
    redis = await startRedis(redisUrl ?? '')
    const durationMs = size.kills * (awayMs + backMs)
    const requests = Math.ceil(size.requests / 2 / processes)
    const options = { ...share, redisUrl: redis.url, requests, durationMs }
    const { asked, failures, admitted } = await hammer(options, async () => {
      for (let kill = 0; kill < size.kills; kill++) {
        await delay(backMs / 2)
        await redis?.kill()
        await delay(awayMs)
        await redis?.start()
        await delay(backMs / 2)
      }
    })
    expect(failures).toEqual([])
    expect(asked).toBeGreaterThanOrEqual(size.requests / 2)
    const degraded = admitted.filter(([, , isDegraded]) => isDegraded === 1)
    expect(degraded.length).toBeGreaterThan(0)
    const found = worst(admitted, degraded)
    const usable = admitted.length / ((durationMs / windowMs) * limit)
    report(
      `killed: ${asked} asked, ${admitted.length} admitted, ${degraded.length} of them without Redis, ` +
        `worst ${found.together} with it and ${found.degraded} without, limit ${limit}, used ${usable.toFixed(2)}`,
    )
    expect(found.together).toBeLessThanOrEqual(limit)
    expect(found.degraded).toBeLessThanOrEqual(limit * 1.25)
  }, 1_200_000)
})

function report(line: string): void {
  process.stderr.write(`${line}\n`)
}
