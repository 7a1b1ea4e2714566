/** What the purge promises: expired memories leave every table, on their own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { InNamespace } from '../../src/database/scope.ts'
import { purgeJob, purgeNamespaces } from '../../src/jobs/purge.ts'
import type { Operation } from '../../src/operation.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
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

describe('of a memory with versions', () => {
  const past = { expires_at: '2020-01-01' }
  const run = <I extends z.ZodType, O extends z.ZodType, P>(
    operation: Operation<I, O, P>,
    who: Principal,
    input: unknown,
  ) => memory.execute(operation, who, input)
  const purge = (who: Principal) =>
    purgeNamespaces(
      { scope: memory.test.scope, metrics: memory.metrics, workers: 1 },
      [who.namespace],
      new AbortController().signal,
    )
  async function store(who: Principal, content: string, more: object = {}): Promise<string> {
    const { results } = await run(memory.operations.store, who, { content, ...more })
    return results[0]?.id ?? ''
  }

  test('every one goes: superseded, retired, private and restored', async () => {
    const ada = await memory.principal({ namespaceName: 'purge-versions', scopes: allScopes })
    const { edit, retire, restore } = memory.operations
    const edited = await store(ada, 'The badge opens gate one.', { tags: ['badge'] })
    const retired = await store(ada, 'The badge opens gate two.', { access: 'private' })
    const restored = await store(ada, 'The badge opens gate three, says Hedy Lamarr.')
    const kept = await store(ada, 'The badge opens gate four.')
    for (const id of [edited, kept]) await run(edit, ada, { id, content: `${id} is its name.` })
    for (const id of [retired, restored]) await run(retire, ada, { id, retire: 'lost' })
    await run(restore, ada, { id: restored, restore_version: 1 })
    for (const id of [edited, retired, restored]) await run(edit, ada, { id, ...past })
    expect(await purge(ada)).toBe(3)
    expect(await countRows(memory, ada, 'memories')).toBe(2)
    expect(await countRows(memory, ada, 'memory_keys')).toBe(2)
    const { events } = await run(memory.operations.auditQuery, ada, { action: 'purge' })
    expect(events[0]?.counts).toEqual({ memories: 3, versions: 10 })
    await run(memory.operations.forget, ada, { ids: [kept] })
    expect(Object.values(await countEverything(memory, ada)).every((n) => n === 0)).toBe(true)
  })

  test('goes too where an import brought older versions alone, and not where it says pinned', async () => {
    const cli = { scopes: allScopes, channel: 'cli' } as const
    const from = await memory.principal({ namespaceName: 'purge-from', ...cli })
    await store(from, 'The ferry sails at six.')
    const { content } = await run(memory.operations.export, from, {})
    const line = z.looseObject({}).parse(JSON.parse(content))
    const to = await memory.principal({ namespaceName: 'purge-to', ...cli })
    const pinned = { ...line, id: '01956f3c-7a10-7cc2-9d35-0f6f2d8c4b11', version: 1 }
    const lines = [
      { ...line, version: 1, is_current: false, ...past },
      { ...line, version: 2, is_current: false, ...past },
      { ...pinned, content: 'The spare key is with Lena.', pinned_at: '2026-01-01', ...past },
    ]
    await run(memory.operations.import, to, { lines, own: true })
    expect(await purge(to)).toBe(1)
    const { results } = await run(memory.operations.recall, to, {})
    expect(results).toMatchObject([{ id: pinned.id, pinned: true }])
    expect(await countRows(memory, to, 'memories')).toBe(1)
  })
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
