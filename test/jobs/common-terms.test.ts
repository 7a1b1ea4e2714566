/** Encrypted namespaces do not show how often their commonest words occur, and are found in as before. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { housekeepingJob } from '../../src/jobs/housekeeping.ts'
import { dropCommonTerms } from '../../src/jobs/common-terms.ts'
import { addCommonTerms, placesOf } from '../../src/memory/common-terms.sql.ts'
import { partitionLimits } from '../../src/memory/vector-partitions.ts'
import type { Profile } from '../../src/namespaces/namespaces.ts'
import type { Principal } from '../../src/principal.ts'
import { findDamage, noDamage } from '../chaos/integrity.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { countRows } from '../support/rows.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const syllables = ['ba', 'ke', 'lo', 'mi', 'nu', 'ra', 'so', 'ti', 'vu', 'ze']
/** A word of its own for every number. */
const word = (index: number): string =>
  Array.from(index.toString().padStart(4, '0'), (digit) => syllables[Number(digit)]).join('')

/** Half of them speak of the garden, a tenth of the fence. */
const content = (index: number): string =>
  [
    `The ${word(index)} note`,
    ...(index % 2 === 0 ? ['is about the garden'] : []),
    ...(index % 10 === 0 ? ['and its fence'] : []),
  ].join(' ')

let made = 0
async function filled(profile: Profile, count = 400): Promise<Principal> {
  made += 1
  const principal = await memory.principal({ namespaceName: `common-${made}`, profile })
  await store(principal, count)
  return principal
}

async function store(principal: Principal, count: number, from = 0): Promise<void> {
  for (let start = from; start < from + count; start += 200) {
    const indexes = Array.from(
      { length: Math.min(200, from + count - start) },
      (_, at) => start + at,
    )
    await memory.execute(memory.operations.store, principal, {
      memories: indexes.map((index) => ({ content: content(index) })),
    })
  }
}

const { signal } = new AbortController()
const keepHouse = ({ namespace }: Principal) =>
  housekeepingJob({
    scope: memory.test.scope,
    namespaces: memory.namespaces,
    metrics: memory.metrics,
    log: memory.log,
    touched: new Set([namespace]),
    limits: partitionLimits,
  }).run(signal)

/** How many documents hold the most frequent terms. */
async function highest({ namespace }: Principal, terms = 2): Promise<number[]> {
  const rows = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ documents: number }>`
      select count(*)::int as documents from mindglue.postings
      where namespace = ${namespace} group by term order by 1 desc limit ${terms}`,
  )
  return rows.map((row) => row.documents)
}

async function best(principal: Principal, query: string): Promise<string | undefined> {
  const { results } = await memory.execute(memory.operations.recall, principal, { query, limit: 1 })
  return results[0]?.content
}

const whole = async () => expect(await findDamage(memory.test.owner)).toEqual(noDamage)

describe.each(['field', 'sealed'] as const)('profile %s', (profile) => {
  test('keeps no postings of what more than a fifth of the memories share', async () => {
    const principal = await filled(profile)
    expect(await highest(principal, 3)).toEqual([400, 200, 40])
    await keepHouse(principal)
    expect(await highest(principal, 1)).toEqual([40])
    for (const index of [4, 250, 399]) {
      expect(await best(principal, `the ${word(index)} garden note`)).toBe(content(index))
    }
    // What comes afterwards adds none, and what goes leaves none.
    await store(principal, 20, 400)
    expect(await highest(principal, 1)).toEqual([42])
    const everything = { everything: true }
    const asked = await memory.execute(memory.operations.forget, principal, everything)
    await memory.execute(memory.operations.forget, principal, {
      ...everything,
      confirm_token: asked.confirm_token,
    })
    expect(await countRows(memory, principal, 'postings')).toBe(0)
  })
})

test('a plain namespace and a small one keep all of theirs', async () => {
  for (const principal of [await filled('off'), await filled('field', 200)]) {
    const before = await highest(principal)
    await keepHouse(principal)
    expect(await highest(principal)).toEqual(before)
  }
})

test('the list never outgrows its bound, and no term is on it twice', async () => {
  const principal = await filled('field', 1)
  const add = (terms: readonly bigint[]) =>
    memory.test.scope.withJob(principal, {}, (tx) => addCommonTerms(tx, terms, 4))
  expect(await add([7n, 8n])).toEqual([7n, 8n])
  expect(await add([8n, 5n, 9n, 6n])).toEqual([7n, 8n, 5n, 9n])
  expect(await add([6n])).toEqual([7n, 8n, 5n, 9n])
})

test('a batch finds so many postings in all, not so many of every term', async () => {
  const principal = await filled('field')
  const rows = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ term: bigint }>`
      select distinct term from mindglue.postings where namespace = ${principal.namespace}`,
  )
  const terms = rows.map((row) => row.term)
  const found = await memory.test.scope.withJob(principal, {}, (tx) => placesOf(tx, terms, 30))
  expect(found).toHaveLength(30)
})

test('an interrupted run is finished by the next, and every list fits its postings', async () => {
  const principal = await filled('field', 1_200)
  const stop = new AbortController()
  stop.abort()
  const target = { namespace: principal.namespace, memories: 1_200 }
  const dependencies = { scope: memory.test.scope, namespaces: memory.namespaces }
  await dropCommonTerms(dependencies, target, stop.signal)
  expect(await highest(principal)).toEqual([1_200, 600])
  await dropCommonTerms(dependencies, target, signal)
  expect(await highest(principal, 1)).toEqual([120])
  await whole()
})

test('stores and forgets that run meanwhile leave nothing behind', async () => {
  const principal = await filled('field')
  const { results } = await memory.execute(memory.operations.recall, principal, { limit: 12 })
  await Promise.all([
    store(principal, 60, 400),
    keepHouse(principal),
    ...results.map(({ id }) => memory.execute(memory.operations.forget, principal, { ids: [id] })),
    store(principal, 60, 500),
  ])
  await keepHouse(principal)
  expect((await highest(principal))[0]).toBeLessThan(100)
  await whole()
})
