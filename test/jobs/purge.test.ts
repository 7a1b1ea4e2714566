/** What the purge promises: expired memories leave every table, on their own. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { InNamespace } from '../../src/database/scope.ts'
import { purgeJob, purgeNamespaces } from '../../src/jobs/purge.ts'
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

test('two processes with two workers each purge every memory once, private ones too', async () => {
  const count = 2_400
  const principal = await memory.principal({ namespaceName: 'purge-large' })
  for (let start = 0; start < count; start += 400) {
    await memory.execute(memory.operations.store, principal, {
      memories: Array.from({ length: 400 }, (_, index) => ({
        content: `Locker ${start + index} belongs to Hedy Lamarr`,
        expires_at: '2020-01-01',
        ...((start + index) % 5 === 0 && { access: 'private', allowed_agents: ['grace'] }),
      })),
    })
  }
  const { scope } = memory.test
  const purge = () =>
    purgeNamespaces(
      { scope, metrics: memory.metrics, workers: 2 },
      [principal.namespace],
      new AbortController().signal,
    )
  const purged = await Promise.all([purge(), purge()])
  expect(purged[0] + purged[1]).toBe(count)
  const rows = Object.values(await countEverything(memory, principal))
  expect(rows.filter((number) => number > 0)).toEqual([])
  const admin = { ...principal, scopes: new Set(allScopes) }
  const { events } = await memory.execute(memory.operations.auditQuery, admin, {
    action: 'purge',
    limit: 500,
  })
  const listed = events.flatMap((event) => event.resource_ids)
  expect(listed).toHaveLength(count)
  expect(new Set(listed).size).toBe(count)
})

test('a namespace that fails keeps no other waiting, and the failure is told', async () => {
  const principal = await memory.principal({ namespaceName: 'purge-after-failure' })
  await memory.execute(memory.operations.store, principal, {
    content: 'A parking ticket.',
    expires_at: '2020-01-01',
  })
  const broken = 1n
  const scope = {
    ...memory.test.scope,
    withJob: ((actor, options, work) =>
      actor.namespace === broken
        ? Promise.reject(new Error('broken'))
        : memory.test.scope.withJob(actor, options, work)) satisfies InNamespace,
  }
  const purge = purgeNamespaces(
    { scope, metrics: memory.metrics, workers: 1 },
    [broken, principal.namespace],
    new AbortController().signal,
  )
  await expect(purge).rejects.toThrow('broken')
  expect(await countRows(memory, principal, 'memories')).toBe(0)
})
