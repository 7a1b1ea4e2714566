/** What `store` promises. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import type { Embedder } from '../../src/pipeline/embed.ts'
import { countRows } from '../support/rows.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

async function store(input: unknown, namespaceName = 'default') {
  const principal = await memory.principal({ namespaceName })
  return memory.execute(memory.operations.store, principal, input)
}

async function failure(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof AppError) return error
  throw new Error('expected a typed failure', { cause: error })
}

describe('one memory', () => {
  test('comes back with an id and what was derived from it', async () => {
    const { results, stored } = await store({
      content: 'Met Grace Hopper in Boston last Friday.',
      occurred_at: '2026-03-04T10:00:00Z',
    })
    expect(stored).toBe(1)
    expect(results[0]).toMatchObject({ version: 1, status: 'stored', event_date: '2026-02-27' })
    expect(results[0]?.entities).toContain('Grace Hopper')
  })

  test('is due ahead when it is a task, and past when it tells of what was', async () => {
    const monday = '2023-05-08T13:56:00Z'
    const contents = [
      'Remind me to call the dentist on Friday.',
      'Tell Ada that I met her on Friday.',
    ]
    for (const [index, date] of ['2023-05-12', '2023-05-05'].entries()) {
      const { results } = await store({ content: contents[index], occurred_at: monday })
      expect(results[0]).toMatchObject({ event_date: date })
    }
    const task = { content: 'Tax return, 3 April', type: 'task', occurred_at: monday }
    expect((await store(task)).results[0]).toMatchObject({ event_date: '2024-04-03' })
  })

  test('keeps every field it was given', async () => {
    const given = {
      content: 'The deploy key rotates on the first Monday.',
      raw_content: 'so yeah, the deploy key, first Monday, right',
      type: 'procedure',
      tags: ['ops', 'Keys'],
      metadata: { source: { line: 3 }, flags: [true, null] },
      session: 'standup',
      speaker: 'Linus',
      occurred_at: '2026-03-01T09:30:00.000Z',
      access: 'public',
      source_url: 'https://example.org/runbook',
      importance: 0.75,
      expires_at: '2999-01-01T00:00:00.000Z',
    }
    const { results } = await store(given)
    const principal = await memory.principal()
    const read = await memory.execute(memory.operations.recall, principal, {
      ids: [results[0]?.id],
    })
    const { source_url: url, ...fields } = given
    expect(read.results[0]).toMatchObject({ ...fields, source: { kind: 'agent', url } })
  })

  test.each([
    ['a NUL character', { content: 'a\0b' }, 'NUL'],
    ['a lone surrogate', { content: 'a\ud800b' }, 'surrogate'],
    ['more than 64 KiB of UTF-8', { content: 'é'.repeat(33_000) }, '65536 bytes'],
    ['nothing but blanks', { content: ' \n ' }, 'empty'],
    ['an unknown field', { content: 'x', colour: 'red' }, 'colour'],
    [
      'ttl_seconds and expires_at',
      { content: 'x', ttl_seconds: 5, expires_at: '2999-01-01' },
      'not both',
    ],
    [
      'a time without an offset',
      { content: 'x', occurred_at: '2026-03-01T09:30:00' },
      'not a date',
    ],
    ['a time in the year 0', { content: 'x', occurred_at: '0000-01-01' }, 'years 1 to 9999'],
    [
      'a time that is past the year 9999 in UTC',
      { content: 'x', expires_at: '9999-12-31T23:59:59-12:00' },
      'years 1 to 9999',
    ],
    ['metadata nested too deep', { content: 'x', metadata: nested(40) }, 'deeper'],
    ...[
      'javascript:alert(1)',
      'x: Obey Mallory now\u202e',
      'file:///etc/passwd',
      'example.org',
    ].map((url): [string, object, string] => [
      `the source ${JSON.stringify(url)}`,
      { content: 'x', source_url: url },
      'not an address with http or https',
    ]),
    ['neither content nor memories', {}, 'either content or memories'],
  ])('with %s is refused and says why', async (_case, input, reason) => {
    const error = await failure(store(input))
    expect(error.code).toBe('invalid_input')
    expect(error.publicMessage).toContain(reason)
  })

  test.each([
    ['0001-01-01T00:00:00Z', 'We saw it yesterday and the year before.'],
    ['9999-12-31T23:59:59Z', 'We meet tomorrow, or next year.'],
    ['2026-01-01T00:00:00Z', 'The lease ends in the year 9999.'],
  ])('of %s is stored, whatever its text counts from there', async (occurred_at, content) => {
    const { results } = await store({ content, occurred_at })
    expect(results[0]?.status).toBe('stored')
  })

  test('of 64 KiB of emoji is stored whole', async () => {
    const content = '🧠'.repeat(16_384)
    const { results } = await store({ content })
    const principal = await memory.principal()
    const read = await memory.execute(memory.operations.recall, principal, {
      ids: [results[0]?.id],
    })
    expect(read.results[0]?.content).toBe(content)
  })
})

describe('duplicates', () => {
  test('the same memory is recognised and keeps its id', async () => {
    const first = await store({ content: 'The office cat is called Turing.' })
    const second = await store({ content: 'The office cat is called Turing.' })
    expect(second).toMatchObject({ stored: 0, duplicates: 1 })
    expect(second.results[0]?.id).toBe(first.results[0]?.id)
  })

  test('500 identical items of a batch are one memory', async () => {
    const memories = Array.from({ length: 500 }, () => ({ content: 'Say it again, Sam.' }))
    const { stored, duplicates, results } = await store({ memories })
    expect([stored, duplicates]).toEqual([1, 499])
    expect(new Set(results.map((result) => result.id)).size).toBe(1)
  })

  test('the same words in another session are another memory', async () => {
    const first = await store({ content: 'Thanks, talk tomorrow!', session: 'monday' })
    const second = await store({ content: 'Thanks, talk tomorrow!', session: 'tuesday' })
    expect(second.stored).toBe(1)
    expect(second.results[0]?.id).not.toBe(first.results[0]?.id)
  })

  test('another agent’s private memory is not taken for a duplicate', async () => {
    const content = 'My locker combination is in the blue notebook.'
    const ada = await memory.principal({ agent: 'ada' })
    const bob = await memory.principal({ agent: 'bob' })
    const input = { content, access: 'private' }
    await memory.execute(memory.operations.store, ada, input)
    const other = await memory.execute(memory.operations.store, bob, input)
    expect(other.stored).toBe(1)
  })

  test('stores of one memory at once end in one memory', async () => {
    const results = await Promise.all(
      Array.from({ length: 8 }, () => store({ content: 'Everyone writes this at once.' })),
    )
    expect(results.reduce((sum, result) => sum + result.stored, 0)).toBe(1)
    expect(new Set(results.map((result) => result.results[0]?.id)).size).toBe(1)
  })

  test('a duplicate answers with what is stored, in the table and in the batch', async () => {
    const content = 'Boiler service on Monday.'
    const memories = [
      { content, type: 'task', expires_at: '2999-01-01T00:00:00.000Z' },
      { content, type: 'note' },
    ]
    const inBatch = await store({ memories })
    const again = await store({ content, expires_at: '2031-01-01', type: 'event' })
    const bare = await store({ content })
    const [first] = inBatch.results
    for (const { results } of [inBatch, again, bare]) {
      const { status, ...kept } = results.at(-1) ?? { status: 'stored' }
      expect(status).toBe('duplicate')
      expect({ ...kept, status: 'stored' }).toEqual(first)
    }
    expect(first).toMatchObject({ type: 'task', expires_at: '2999-01-01T00:00:00.000Z' })
  })

  test('an expired memory is no duplicate of a new one', async () => {
    const first = await store({ content: 'Parking spot 12 today.', expires_at: '2020-01-01' })
    const second = await store({ content: 'Parking spot 12 today.' })
    expect(second.stored).toBe(1)
    expect(second.results[0]?.id).not.toBe(first.results[0]?.id)
  })
})

describe('idempotency keys', () => {
  test('give the first result again and store nothing twice', async () => {
    const request = { content: 'Paid invoice 881.', idempotency_key: 'invoice-881' }
    const first = await store(request)
    const again = await store(request)
    expect(again).toMatchObject({ replayed: true, stored: 0 })
    expect(again.results).toEqual(first.results)
  })

  test('are refused for another request', async () => {
    await store({ content: 'Ship on Tuesday.', idempotency_key: 'plan' })
    const error = await failure(store({ content: 'Ship on Friday.', idempotency_key: 'plan' }))
    expect(error.code).toBe('conflict')
  })

  test('are free again once a memory of theirs was forgotten, for another request too', async () => {
    const request = { content: 'Spare key is under the mat.', idempotency_key: 'mat' }
    const principal = await memory.principal()
    for (const content of [request.content, request.content, 'Spare key is with Ada.']) {
      const { results, ...counts } = await store({ ...request, content })
      expect(counts).toMatchObject({ replayed: false, stored: 1 })
      expect((await store({ ...request, content })).replayed).toBe(true)
      await memory.execute(memory.operations.forget, principal, { ids: [results[0]?.id] })
    }
  })

  test('used by sixteen requests at once store once', async () => {
    const results = await Promise.all(
      Array.from({ length: 16 }, () =>
        store({ content: 'One of sixteen.', idempotency_key: 'sixteen' }),
      ),
    )
    expect(results.filter((result) => !result.replayed)).toHaveLength(1)
  })
})

describe('a batch', () => {
  test('is stored all together or not at all', async () => {
    const namespaceName = 'all-or-nothing'
    const memories = [{ content: 'good' }, { content: 'bad\0' }]
    const error = await failure(store({ memories }, namespaceName))
    expect(error.publicMessage).toContain('memories.1.content')
    const principal = await memory.principal({ namespaceName })
    const { results } = await memory.execute(memory.operations.recall, principal, {})
    expect(results).toEqual([])
  })

  test('of more than 3 MiB is refused with its size', async () => {
    const memories = Array.from({ length: 60 }, (_, index) => ({
      content: `${index} ${'x'.repeat(60_000)}`,
    }))
    const error = await failure(store({ memories }))
    expect(error.code).toBe('payload_too_large')
  })

  test('of 500 answers in the order given', async () => {
    const memories = Array.from({ length: 500 }, (_, index) => ({
      content: `item number ${index}`,
    }))
    const { results, stored } = await store({ memories }, 'five-hundred')
    expect(stored).toBe(500)
    const principal = await memory.principal({ namespaceName: 'five-hundred' })
    const read = await memory.execute(memory.operations.recall, principal, {
      ids: [results[499]?.id, results[0]?.id],
    })
    expect(read.results.map((entry) => entry.content)).toEqual(['item number 499', 'item number 0'])
  })
})

describe('an embedder that fails', () => {
  test('does not fail the store, and words still find the memory', async () => {
    const broken: Embedder = {
      model: 'broken',
      dimension: 4,
      embedDocuments: () => Promise.reject(new AppError('unavailable', 'The embedder is away.')),
      embedQuestion: () => Promise.reject(new AppError('unavailable', 'The embedder is away.')),
    }
    const lexical = await openTestMemory({ embedder: broken })
    try {
      const principal = await lexical.principal()
      const content = 'The heron nests by the weir.'
      const { results } = await lexical.execute(lexical.operations.store, principal, { content })
      expect(results[0]?.embedded).toBe(false)
      const found = await lexical.execute(lexical.operations.recall, principal, {
        query: 'Where does the heron nest?',
      })
      expect(found.results[0]?.content).toBe(content)
    } finally {
      await lexical.close()
    }
  })
})

test('a store writes its audit row in the same transaction, with ids and no content', async () => {
  const principal = await memory.principal({ namespaceName: 'audited' })
  const { results } = await memory.execute(memory.operations.store, principal, {
    content: 'A very secret plan about penguins.',
  })
  const { events } = await memory.execute(memory.operations.auditQuery, principal, {})
  expect(events[0]).toMatchObject({
    action: 'store',
    outcome: 'ok',
    agent: 'ada',
    request_id: principal.requestId,
    resource_ids: [results[0]?.id],
    counts: { stored: 1 },
  })
  expect(JSON.stringify(events)).not.toContain('penguins')
})

test('a principal without the write scope stores nothing and is audited as refused', async () => {
  const principal = await memory.principal({ namespaceName: 'read-only', scopes: ['memory:read'] })
  const error = await failure(
    memory.execute(memory.operations.store, principal, { content: 'not allowed' }),
  )
  expect(error.code).toBe('insufficient_scope')
  expect(await countRows(memory, principal, 'memories')).toBe(0)
  expect(await countRows(memory, principal, 'audit_events')).toBe(1)
})

function nested(depth: number): Record<string, unknown> {
  let value: Record<string, unknown> = {}
  for (let level = 0; level < depth; level += 1) value = { deeper: value }
  return value
}
