/**
 * PostgreSQL ends every connection of a server that is working, again and again: the process lives,
 * answers within two seconds, and what it acknowledged is there. `FULL=1`: the size required.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { OwnerDatabase } from '../../src/database/database.ts'
import { testEngine } from '../support/database.ts'
import { installProgram, type Installation, type Server } from '../support/processes.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { until } from '../support/until.ts'
import { findDamage, noDamage, readHeld } from './integrity.ts'

const isFull = process.env['FULL'] === '1'
const size = isFull
  ? { terminations: 50, timeoutMs: 900_000 }
  : { terminations: 5, timeoutMs: 180_000 }
const writers = 6
/** The required time; machines that run everything at once get five times of it. */
const backWithinMs = isFull ? 2000 : 10_000
/** Longest random pause before the next termination. */
const pauseMsMax = 400
const seed = seedOf(process.env)

const stored = z.object({ results: z.array(z.object({ id: z.string() })) })

interface Load {
  readonly acknowledged: Map<string, string>
  /** Codes of the answers that were refusals. */
  readonly refusals: Map<string, number>
  /** Refusals that did not say that the same call may succeed later. */
  readonly final: Set<string>
  isOver: boolean
}

/** Stores until told to stop, each with an idempotency key and repeated until acknowledged. */
async function write(server: Server, load: Load, writer: number): Promise<void> {
  for (let number = 0; !load.isOver; number++) {
    const key = `note-${String(writer)}-${String(number)}`
    const input = { content: `Grace Hopper wrote ${key} in Lisbon.`, idempotency_key: key }
    const id = await until(() => storeOnce(server, load, input), {
      timeoutMs: 30_000,
      intervalMs: 20,
      what: `the acknowledgement of ${key}`,
    })
    load.acknowledged.set(key, id)
  }
}

async function storeOnce(server: Server, load: Load, input: object): Promise<string | undefined> {
  const answer = await server.call('store', input)
  if (answer.ok) return stored.parse(answer.output).results[0]?.id
  load.refusals.set(answer.code, (load.refusals.get(answer.code) ?? 0) + 1)
  if (!answer.retryable) load.final.add(answer.code)
  return undefined
}

/** Ends every connection of the application role to this database; returns how many there were. */
async function terminateAll(owner: OwnerDatabase): Promise<number> {
  const [row] = await owner.ownerTransaction(
    (sql) => sql<{ ended: number }>`
      select count(pg_terminate_backend(pid))::int as ended from pg_stat_activity
      where datname = current_database() and usename = 'mindglue_app'`,
  )
  return row?.ended ?? 0
}

describe.runIf(testEngine === 'postgres')('on PostgreSQL', () => {
  let installation: Installation
  beforeAll(async () => {
    installation = await installProgram()
  })
  afterAll(() => installation.remove())

  test(
    `a server outlives ${String(size.terminations)} ends of all its connections under load`,
    { timeout: size.timeoutMs },
    async () => {
      const random = seededRandom(seed)
      const server = await installation.serve()
      const load: Load = {
        acknowledged: new Map(),
        refusals: new Map(),
        final: new Set(),
        isOver: false,
      }
      const backMs: number[] = []
      let ended = 0
      const writing = Array.from({ length: writers }, (_, writer) => write(server, load, writer))
      await until(() => load.acknowledged.size > writers, { timeoutMs: 30_000, what: 'the load' })
      await installation.inspect(async (owner) => {
        for (let round = 0; round < size.terminations; round++) {
          await delay(random() * pauseMsMax)
          ended += await terminateAll(owner)
          const began = performance.now()
          const probe = { content: `Probe ${String(round)} after the end of all connections.` }
          await until(() => storeOnce(server, load, probe), {
            timeoutMs: 30_000,
            intervalMs: 5,
            what: 'an answer after the end of all connections',
          })
          backMs.push(performance.now() - began)
        }
      })
      load.isOver = true
      await Promise.all(writing)

      const { exitCode } = server.running.child
      const { damage, held } = await installation.inspect(async (owner) => ({
        damage: await findDamage(owner),
        held: await readHeld(owner),
      }))
      const there = new Set(held.memories)
      const lost = [...load.acknowledged].filter(([, id]) => !there.has(id)).map(([key]) => key)
      const slowest = Math.max(...backMs)
      const figures = `${String(backMs.length)} rounds ended ${String(ended)} connections: back in ${slowest.toFixed(0)} ms at most, ${String(load.acknowledged.size)} acknowledged, ${String(lost.length)} lost, refusals ${JSON.stringify([...load.refusals])}, seed ${String(seed)}`
      process.stderr.write(`${figures}\n`)

      expect(exitCode, server.running.errors()).toBeNull()
      expect(lost, figures).toEqual([])
      expect([...load.final], figures).toEqual([])
      expect(slowest, figures).toBeLessThan(backWithinMs)
      expect(ended, figures).toBeGreaterThanOrEqual(size.terminations)
      expect(damage, figures).toEqual(noDamage)
      expect(held.memories, figures).toEqual(held.audited)
      expect(held.memories, figures).toHaveLength(load.acknowledged.size + backMs.length)
      expect(await server.end('SIGTERM')).toBe(0)
    },
  )
})
