/** What completion of names promises: real names, only through memories that the caller may read. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { until } from '../support/until.ts'

let memory: TestMemory
let ada: Principal
let bob: Principal
beforeAll(async () => {
  memory = await openTestMemory()
  ada = await memory.principal({ namespaceName: 'names', agent: 'ada' })
  bob = await memory.principal({ namespaceName: 'names', agent: 'bob' })
})
afterAll(() => memory.close())

const store = (principal: Principal, input: unknown) =>
  memory.execute(memory.operations.store, principal, input)
const names = async (principal: Principal, prefix: string, limit?: number) => {
  const input = { prefix, ...(limit !== undefined && { limit }) }
  return (await memory.execute(memory.operations.entityNames, principal, input)).names
}
const mention = (name: string, times: number) =>
  Array.from({ length: times }, (_, index) => ({
    content: `In week ${index} they met ${name} again.`,
  }))

describe('a prefix', () => {
  beforeAll(async () => {
    await store(ada, {
      memories: [
        ...mention('Marta Lindqvist', 2),
        ...mention('Marius Okafor', 4),
        ...mention('Émile Zadeh', 1),
      ],
    })
  })

  test('gives whole names, the most mentioned first, however they are typed', async () => {
    expect(await names(ada, 'mar')).toEqual(['Marius Okafor', 'Marta Lindqvist'])
    expect(await names(ada, '  MARTA  l')).toEqual(['Marta Lindqvist'])
    expect(await names(ada, 'e\u0301m')).toEqual(['Émile Zadeh'])
    expect(await names(ada, 'lindqvist')).toEqual([])
    expect(await names(ada, '', 2)).toHaveLength(2)
  })

  test('that could be a pattern is taken by its letters', async () => {
    for (const prefix of ['%', '_ar', 'Mar%', '.*', '\\', "'"]) {
      expect(await names(ada, prefix), prefix).toEqual([])
    }
  })

  test('gives nothing of another namespace', async () => {
    const elsewhere = await memory.principal({ namespaceName: 'names-elsewhere' })
    await store(elsewhere, { memories: mention('Marvin Elsewhere', 9) })
    expect(await names(ada, 'marv')).toEqual([])
    expect(await names(elsewhere, 'mar')).toEqual(['Marvin Elsewhere'])
  })
})

describe('a name', () => {
  test('that only private memories of others mention is not given, typed in part or whole', async () => {
    await store(ada, { content: 'Dinner with Henrietta Quill.', access: 'private' })
    expect(await names(bob, 'henr')).toEqual([])
    expect(await names(bob, 'Henrietta Quill')).toEqual([])
    expect(await names(ada, 'henr')).toEqual(['Henrietta Quill'])
  })

  test('is spelled as in memories that the caller may read, whoever spelled it first', async () => {
    await store(ada, { content: 'Supper with ISIDORA VALMONT.', access: 'private' })
    await store(ada, { content: 'Isidora VALMONT was here.', session: 'withdrawn' })
    expect(await names(bob, 'isidora')).toEqual(['Isidora VALMONT'])
    const { results } = await store(bob, { content: 'Bob wrote to Isidora Valmont.' })
    await memory.execute(memory.operations.forget, ada, { session: 'withdrawn' })
    expect(await names(bob, 'isidora')).toEqual(['Isidora Valmont'])
    expect(await names(bob, 'ISIDORA VALMONT')).toEqual(['Isidora Valmont'])
    await memory.execute(memory.operations.forget, bob, { ids: results.map(({ id }) => id) })
    expect(await names(bob, 'isidora')).toEqual([])
    expect(await names(ada, 'isidora')).toEqual(['ISIDORA VALMONT'])
  })

  test('in a text that does not decrypt is given without its spelling', async () => {
    const { results } = await store(ada, { content: 'A letter of Ottoline Brandt.' })
    await memory.test.owner.ownerTransaction(
      (sql) => sql`update mindglue.memories set content = ${Buffer.from('damaged')}
        where namespace = ${ada.namespace} and id = ${results[0]?.id ?? ''}::uuid`,
    )
    expect(await names(bob, 'ottoline')).toEqual(['ottoline brandt'])
  })

  test('is ranked by the memories that the caller may read alone', async () => {
    const hidden = mention('Tobias Hidden', 5).map((item) => ({ ...item, access: 'private' }))
    const shown = [...mention('Tobias Shown', 2), { content: 'They met Tobias Hidden again.' }]
    await store(ada, { memories: [...shown, ...hidden] })
    expect(await names(ada, 'tobias')).toEqual(['Tobias Hidden', 'Tobias Shown'])
    expect(await names(bob, 'tobias')).toEqual(['Tobias Shown', 'Tobias Hidden'])
  })

  test('that only quarantined memories mention is not given', async () => {
    const connector = await memory.principal({ namespaceName: 'names', channel: 'job' })
    await store(connector, { memories: mention('Xaver Unasked', 3) })
    expect(await names(ada, 'xav')).toEqual([])
    expect(await names(ada, 'Xaver Unasked')).toEqual([])
  })

  test('goes with the last memory that mentions it: forgotten or expired', async () => {
    await store(ada, { content: 'Lunch with Walburga Kern.', session: 'lunch' })
    await store(ada, { content: 'Walk with Walfrid Nilsson.', ttl_seconds: 3 })
    expect((await names(ada, 'wal')).toSorted()).toEqual(['Walburga Kern', 'Walfrid Nilsson'])
    await memory.execute(memory.operations.forget, ada, { session: 'lunch' })
    expect(await names(ada, 'walburga')).toEqual([])
    await until(async () => (await names(ada, 'walfrid nilsson')).length === 0, {
      timeoutMs: 10_000,
    })
    expect(await names(ada, 'wal')).toEqual([])
  })

  test('typed whole is given however many newer memories there are', async () => {
    const busy = await memory.principal({ namespaceName: 'names-busy' })
    await store(busy, { content: 'Once upon a time there was Oldrich Novak.' })
    for (let batch = 0; batch < 10; batch += 1) {
      await store(busy, {
        memories: Array.from({ length: 500 }, (_, index) => ({ content: `${batch}.${index}` })),
      })
    }
    expect(await names(busy, 'oldr')).toEqual([])
    expect(await names(busy, 'oldrich novak')).toEqual(['Oldrich Novak'])
  }, 60_000)
})

test('completing needs the scope to read', async () => {
  const writer = await memory.principal({ namespaceName: 'names', scopes: ['memory:write'] })
  await expect(names(writer, 'mar')).rejects.toMatchObject({ code: 'insufficient_scope' })
})
