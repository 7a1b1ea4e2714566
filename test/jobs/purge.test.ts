/** What the purge promises: expired memories leave every table, on their own. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { purgeJob } from '../../src/jobs/purge.ts'
import { allScopes } from '../../src/principal.ts'
import { countEverything, countRows } from '../support/rows.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

test('expired memories of every namespace go with all their rows, the others stay', async () => {
  const job = purgeJob({
    scope: memory.test.scope,
    metrics: memory.metrics,
    everySeconds: 10,
    workers: 2,
  })
  const names = ['purge-a', 'purge-b']
  for (const namespaceName of names) {
    const principal = await memory.principal({ namespaceName })
    await memory.execute(memory.operations.store, principal, {
      memories: Array.from({ length: 30 }, (_, index) => ({
        content: `Visitor badge ${index} for Hedy Lamarr`,
        tags: ['badge'],
        expires_at: '2020-01-01',
      })),
    })
  }
  const kept = await memory.principal({ namespaceName: 'purge-a' })
  await memory.execute(memory.operations.store, kept, { content: 'This one stays.' })
  await job.run(new AbortController().signal)
  const empty = await memory.principal({ namespaceName: 'purge-b' })
  expect(Object.values(await countEverything(memory, empty)).every((n) => n === 0)).toBe(true)
  expect(await countRows(memory, kept, 'memories')).toBe(1)
})

test('a purge is audited with its count', async () => {
  const principal = await memory.principal({ namespaceName: 'purge-a' })
  const admin = { ...principal, scopes: new Set(allScopes) }
  const { events } = await memory.execute(memory.operations.auditQuery, admin, {
    action: 'purge',
  })
  expect(events[0]).toMatchObject({ agent: 'mindglue', channel: 'job', counts: { memories: 30 } })
})
