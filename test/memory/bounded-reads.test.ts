/** What a read promises about its size: bounded in bytes, whatever was stored. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { batchRows, inBatches } from '../../src/memory/batches.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

const count = 40
const kib = 1024
const words = (bytes: number): string => 'It was a long day. '.repeat(Math.ceil(bytes / 19))
let memory: TestMemory
let large: Principal

/** Forty memories of a session that a question finds, of 300 KiB each. */
beforeAll(async () => {
  memory = await openTestMemory({ profile: 'off' })
  large = await memory.principal({ namespaceName: 'large' })
  for (let index = 0; index < count; index += 1) {
    await memory.execute(memory.operations.store, large, {
      content: `The kettle of day ${index}. ${words(50 * kib)}`,
      raw_content: words(250 * kib),
      session: 'kitchen',
    })
  }
})
afterAll(() => memory.close())

const recall = (input: object) => memory.execute(memory.operations.recall, large, input)
const answers = (input: object) =>
  recall(input).then(
    ({ results }) => results.length,
    (error: unknown) => error,
  )
const tooLarge = { code: 'payload_too_large' }

test('rows are read a few at a time, and no more of them than are asked for', async () => {
  const asked: number[] = []
  const read = (after: number | undefined, rows: number) => {
    asked.push(rows)
    const from = (after ?? 0) + 1
    return Promise.resolve(Array.from({ length: rows }, (_, index) => from + index))
  }
  const seen: number[] = []
  for await (const row of inBatches(150, read)) seen.push(row)
  expect(seen).toEqual(Array.from({ length: 150 }, (_, index) => index + 1))
  expect(asked).toEqual([16, 32, 64, 38])
  expect(Math.max(...asked)).toBeLessThanOrEqual(batchRows.most)
})

describe('a recall', () => {
  test('of the usual size is answered, one that no answer holds is refused with what to do', async () => {
    expect(await answers({ query: 'kettle', limit: 10 })).toBe(10)
    for (const input of [{ limit: count }, { limit: 10, neighbours: 5 }]) {
      const error = await answers({ query: 'kettle', ...input })
      expect(error).toMatchObject(tooLarge)
      expect(String(error)).toContain('Lower limit')
    }
  })

  test('by ids is refused likewise, and answered for fewer of them', async () => {
    const ids: string[] = []
    let cursor: string | undefined
    do {
      const page = await recall({ limit: 100, ...(cursor !== undefined && { cursor }) })
      ids.push(...page.results.map(({ id }) => id))
      // A page of the listing ends early instead: the next one goes on.
      expect(page.results.length).toBeLessThan(10)
      cursor = page.next_cursor
    } while (cursor !== undefined)
    expect(new Set(ids).size).toBe(count)
    expect(await answers({ ids })).toMatchObject(tooLarge)
    expect(await answers({ ids: ids.slice(0, 20) })).toBe(20)
    expect(await answers({ ids: ids.slice(0, 4), include_history: true })).toBe(4)
  })
})

test('pages of an export and of what is quarantined end early, and miss nothing', async () => {
  const admin = { ...large, scopes: new Set(allScopes), agent: 'root' }
  let exported = 0
  let cursor: string | undefined
  do {
    const input: object = { limit: 500, ...(cursor !== undefined && { cursor }) }
    const page = await memory.execute(memory.operations.export, admin, input)
    expect(page.count).toBeLessThan(10)
    exported += page.count
    cursor = page.next_cursor
  } while (cursor !== undefined)
  expect(exported).toBe(count)
  await memory.test.owner.ownerTransaction((_sql, script) =>
    script(`update mindglue.memories set quarantine = 1 where namespace = ${large.namespace}`),
  )
  const ids = new Set<string>()
  do {
    const input: object = { limit: 500, ...(cursor !== undefined && { cursor }) }
    const page = await memory.execute(memory.operations.quarantineList, admin, input)
    expect(page.memories.length).toBeLessThan(10)
    for (const { id } of page.memories) ids.add(id)
    cursor = page.next_cursor
  } while (cursor !== undefined)
  expect(ids.size).toBe(count)
})

/** As so many edits leave it. */
async function age({ namespace }: Principal, id: string, edits: number): Promise<void> {
  await memory.test.owner.ownerTransaction(
    (sql) => sql`
      insert into mindglue.memories
      select (jsonb_populate_record(m, jsonb_build_object('version', m.version + past.number,
        'document', m.document + 10000 + past.number, 'is_current', false))).*
      from mindglue.memories m cross join generate_series(1, ${edits}::int) as past (number)
      where m.namespace = ${namespace} and m.id = ${id}::uuid`,
  )
}

test('a history is told newest first as far as an answer holds it, and how much is left is said', async () => {
  const principal = await memory.principal({ namespaceName: 'large history', profile: 'off' })
  const { results } = await memory.execute(memory.operations.store, principal, {
    content: words(60 * kib),
  })
  const ids = results.map(({ id }) => id)
  await age(principal, ids[0] ?? '', 200)
  const history = await memory.execute(memory.operations.recall, principal, {
    ids,
    include_history: true,
  })
  const versions = history.results.map(({ version }) => version)
  expect(versions.length).toBeGreaterThan(100)
  expect(versions).toEqual(versions.map((_, place) => 201 - place))
  expect(history.versions_left_out).toBe(201 - versions.length)
  // What was known at one time is one version, however many there are.
  const as_of = new Date().toISOString()
  const then = await memory.execute(memory.operations.recall, principal, { ids, as_of })
  expect(then.results.map(({ version }) => version)).toEqual([201])
})

test('a memory of a thousand versions leaves room for what else was asked for', async () => {
  const principal = await memory.principal({ namespaceName: 'long history', profile: 'off' })
  const { results } = await memory.execute(memory.operations.store, principal, {
    memories: [{ content: 'Changed often.' }, { content: 'Never changed.' }],
  })
  const ids = results.map(({ id }) => id)
  await age(principal, ids[0] ?? '', 1100)
  const input = { ids, include_history: true, detail: 'ids', max_tokens: 32_000 }
  const answer = await memory.execute(memory.operations.recall, principal, input)
  expect(answer.missing).toBeUndefined()
  expect(answer.versions_left_out).toBe(102)
})
