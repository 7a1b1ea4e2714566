/**
 * Agents of fifty namespaces at once over few connections, with calls that fail and are cancelled half-way:
 * nobody is told a word, an id or a row of another's. Requests and runs of jobs are counted. `FULL=1` runs the size required, `SEED` repeats a run.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testEngine } from '../support/database.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { agents, CanaryWorld } from './canary-world.ts'
import { JudgedCalls, startOperations, type Started } from './judged-calls.ts'
import { RandomOperations } from './random-operations.ts'

const isFull = process.env['FULL'] === '1'
const size = isFull
  ? { operations: 200_000, timeoutMs: 7_200_000 }
  : { operations: testEngine === 'postgres' ? 16_500 : 3_500, timeoutMs: 900_000 }
const namespaces = 50
const workers = 8
const seed = seedOf(process.env)

let started: Started
beforeAll(async () => {
  started = await startOperations(new CanaryWorld(seededRandom(seed)), namespaces)
}, 300_000)
afterAll(() => started.close())

test(
  `${size.operations} operations of ${namespaces} namespaces leak nothing (seed ${seed})`,
  { timeout: size.timeoutMs },
  async () => {
    const { counts } = started
    const goesOn = () => counts.of('operations') < size.operations && started.findings.length === 0
    // A worker's choices come from its own numbers, so that one seed makes the same requests again.
    const lanes = Array.from({ length: workers }, (_, worker) =>
      new RandomOperations(new JudgedCalls(started, seededRandom(seed + worker + 1), worker)).run(
        goesOn,
      ),
    )
    await Promise.all(lanes)
    expect(started.findings).toEqual([])
    process.stderr.write(
      `random operations, ${testEngine}, seed ${seed}: ${JSON.stringify(counts.all())}\n`,
    )
    expect(counts.of('operations')).toBeGreaterThanOrEqual(size.operations)
    // Bare statements that look over the shoulders of the requests; they count as no operation.
    for (const where of ['in a namespace', 'without a context']) {
      expect(counts.of(`statements ${where}`)).toBeGreaterThan(size.operations / 10)
    }
    expect(counts.of('fault met')).toBeGreaterThan(size.operations / 50)
    expect(counts.of('rows shown')).toBeGreaterThan(size.operations / 3)
    expect(counts.of('granted rows shown')).toBeGreaterThan(size.operations / 200)
    expect(counts.of('rows shown by filters alone')).toBeGreaterThan(size.operations / 1000)
    expect(counts.of('foreign asked')).toBeGreaterThan(size.operations / 20)
  },
)

describe('the judge of all this', () => {
  const audience = {
    type: 'fact',
    access: 'private',
    owner: 'ada',
    readers: ['bob'],
    held: false,
  } as const
  const asking = (namespace: bigint, agent: string, scopes: readonly 'admin'[] = []) => ({
    principal: { namespace, agent, scopes: new Set(scopes) },
  })

  test('finds a word and an id in the wrong hands, and in the right ones nothing', () => {
    const world = new CanaryWorld(seededRandom(1))
    const id = '01890000-0000-7000-8000-0000000000c1'
    world.remember(1n, audience, id)
    for (const told of [world.canaryOf(1n, audience), id]) {
      expect(world.leaksIn(`x ${told} y`, asking(2n, 'ada'))).toHaveLength(1)
      expect(world.leaksIn(told, asking(1n, 'eve'))).toHaveLength(1)
      for (const reader of [asking(1n, 'ada'), asking(1n, 'bob'), asking(1n, 'root', ['admin'])]) {
        expect(world.leaksIn(told, reader)).toEqual([])
      }
    }
    const held = world.canaryOf(1n, { ...audience, access: 'shared', held: true })
    expect(world.leaksIn(held, asking(1n, 'ada'))).toHaveLength(1)
    expect(agents).toContain('eve')
  })
})
