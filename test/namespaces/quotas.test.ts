/** What a plan lets a namespace hold: refused beyond it, found again as room, and never in anybody's way. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp, type App } from '../../src/app.ts'
import { planOf } from '../../src/daemon/plan.ts'
import { AppError } from '../../src/errors.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import { refreshStatistics } from '../../src/namespaces/namespaces.sql.ts'
import { createPlans } from '../../src/namespaces/plans.ts'
import type { Principal } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { testEngine } from '../support/database.ts'
import { until } from '../support/until.ts'

const redisUrl = process.env['TEST_REDIS_URL']
const memoriesMax = 10

let running: TestApp
beforeAll(async () => {
  running = await startTestApp({
    environment: {
      MINDGLUE_LIMITS: 'on',
      MINDGLUE_PLAN_REQUESTS: 'free=1000, large=1000',
      MINDGLUE_PLAN_MEMORIES: `free=${memoriesMax}, large=1000`,
      MINDGLUE_PLAN_MEGABYTES: 'free=1',
      ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
    },
  })
})
afterAll(() => running.close())

const agentOf = (namespaceName: string, app: App = running.app): Promise<Principal> =>
  app.principal({ namespaceName, agent: 'ada', channel: 'mcp-http' })
const notes = (count: number, from = 0) =>
  Array.from({ length: count }, (_, item) => ({ content: `Note number ${from + item}.` }))
const store = async (namespaceName: string, input: object, app: App = running.app) =>
  await app.execute(app.operations.store, await agentOf(namespaceName, app), input)
/** What the job does every minute. */
const count = async (namespaceName: string): Promise<void> => {
  const { namespace } = await agentOf(namespaceName)
  await running.app.scope.withJob(jobPrincipal(namespace), {}, refreshStatistics)
}
const full = { code: 'quota_exceeded' }

test('a namespace takes as many memories as its plan allows, one at a time or at once', async () => {
  for (const note of notes(4)) await store('counted', note)
  await store('counted', { memories: notes(6, 4) })
  await expect(store('counted', notes(1, 10)[0] ?? {})).rejects.toMatchObject(full)
  await expect(store('at-once', { memories: notes(11) })).rejects.toMatchObject(full)
  // Refused as a whole: there is room for ten.
  expect(await store('at-once', { memories: notes(10) })).toMatchObject({ stored: 10 })
})

test('what is there already, and what was acknowledged, is no new memory', async () => {
  const first = { memories: notes(10), idempotency_key: 'first' }
  await store('again', first)
  expect(await store('again', first)).toMatchObject({ replayed: true })
  expect(await store('again', notes(1)[0] ?? {})).toMatchObject({ duplicates: 1 })
})

test('a full namespace still recalls, exports and forgets', async () => {
  await store('readable', { memories: notes(10) })
  const { execute, operations } = running.app
  const agent = await agentOf('readable')
  expect((await execute(operations.recall, agent, {})).results).toHaveLength(10)
  const [id = ''] = (await execute(operations.recall, agent, {})).results.map((hit) => hit.id)
  expect(await execute(operations.forget, agent, { ids: [id] })).toMatchObject({ memories: 1 })
})

test('forgetting makes room once it was counted', async () => {
  const { results } = await store('forgetful', { memories: notes(10) })
  const { execute, operations } = running.app
  const agent = await agentOf('forgetful')
  for (const { id } of results.slice(0, 3)) await execute(operations.forget, agent, { ids: [id] })
  await count('forgetful')
  expect(await store('forgetful', { memories: notes(3, 20) })).toMatchObject({ stored: 3 })
  await expect(store('forgetful', notes(1, 30)[0] ?? {})).rejects.toMatchObject(full)
})

test('texts are bounded by their bytes, whatever was counted when', async () => {
  const text = (item: number) => ({ content: `${item}${'ä'.repeat(31_000)}`, access: 'private' })
  await store('bytes', { memories: [text(1), text(2), text(3), text(4)] })
  await count('bytes')
  for (const item of [5, 6, 7, 8])
    await store('bytes', { ...text(item), raw_content: 'x'.repeat(120_000) })
  // 8 × 62 kB and 4 × 120 kB; the next would be above a megabyte.
  await expect(
    store('bytes', { ...text(9), raw_content: 'x'.repeat(60_000) }),
  ).rejects.toMatchObject(full)
})

test('another plan makes room at once, and an unknown one is refused', async () => {
  await store('growing', { memories: notes(10) })
  const { app } = running
  const operator = await app.principal({ namespaceName: 'growing', agent: 'op', channel: 'cli' })
  await expect(planOf(app, operator, { plan: 'huge' })).rejects.toThrow('free, large')
  expect(await planOf(app, operator, { plan: 'large' })).toMatchObject({
    plan: 'large',
    memories: { allowed: 1000 },
    bytes: { allowed: null },
    is_enforced: true,
  })
  await store('growing', { memories: notes(10, 10) })
  await count('growing')
  expect(await planOf(app, operator, {})).toMatchObject({ plan: 'large', memories: { held: 20 } })
  const { events } = await app.execute(app.operations.auditQuery, operator, {
    action: 'plan.change',
  })
  expect(events).toHaveLength(1)
})

test('the operator may put back more than the plan allows', async () => {
  const { app } = running
  const operator = await app.principal({ namespaceName: 'restored', agent: 'op', channel: 'cli' })
  const imported = await app.execute(app.operations.import, operator, { memories: notes(15) })
  expect(imported).toMatchObject({ imported: 15 })
})

describe.runIf(testEngine === 'postgres')('of two processes', () => {
  test.runIf(redisUrl !== undefined)('each knows what the other stored', async () => {
    const other = await createApp({ ...running.app.config, databasePoolMax: 2 })
    try {
      await store('together', { memories: notes(9) })
      // The news comes over Redis, a moment after the commit.
      const isHeard = async (from: number) =>
        await store('together', { memories: notes(5, from) }, other).then(
          () => false,
          (error: unknown) => error instanceof AppError && error.code === 'quota_exceeded',
        )
      await until(() => isHeard(100))
      expect(await store('together', { memories: notes(1, 50) }, other)).toMatchObject({
        stored: 1,
      })
      await until(() =>
        store('together', { memories: notes(1, 60) }).then(
          () => false,
          () => true,
        ),
      )
    } finally {
      await other.close()
    }
  })
})

test('a plan that the configuration names no more allows the least', () => {
  const plans = createPlans({
    requests: { free: 60, pro: 300 },
    memories: { free: 10 },
    megabytes: {},
  })
  expect(plans.of('pro')).toEqual({ requestsPerMinute: 300, memories: Infinity, bytes: Infinity })
  expect(plans.of('gone').requestsPerMinute).toBe(60)
})
