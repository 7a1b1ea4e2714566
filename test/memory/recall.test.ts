/** What `recall` promises. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { filterFields } from '../../src/memory/filter.ts'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { until } from '../support/until.ts'

let memory: TestMemory
let ada: Principal
beforeAll(async () => {
  memory = await openTestMemory()
  ada = await memory.principal({ namespaceName: 'recall' })
  await store(ada, { memories: diary })
})
afterAll(() => memory.close())

const store = (principal: Principal, input: unknown) =>
  memory.execute(memory.operations.store, principal, input)
const recall = (principal: Principal, input: unknown) =>
  memory.execute(memory.operations.recall, principal, input)
const contents = async (principal: Principal, input: unknown) =>
  (await recall(principal, input)).results.map((result) => result.content)

const diary = [
  {
    content: 'We moved the billing service to Rust last week.',
    type: 'decision',
    tags: ['billing'],
    session: 's1',
    speaker: 'Mina',
    occurred_at: '2026-02-10T10:00:00Z',
  },
  {
    content: 'Why Rust and not Go?',
    session: 's1',
    speaker: 'Otto',
    occurred_at: '2026-02-10T10:01:00Z',
  },
  {
    content: 'Memory safety without a garbage collector.',
    session: 's1',
    speaker: 'Mina',
    occurred_at: '2026-02-10T10:02:00Z',
  },
  {
    content: 'Otto is allergic to peanuts.',
    type: 'fact',
    tags: ['health'],
    occurred_at: '2026-01-05T08:00:00Z',
  },
  {
    content: 'Mina prefers tea over coffee.',
    type: 'preference',
    tags: ['drinks'],
    occurred_at: '2026-03-01T08:00:00Z',
  },
  {
    content: 'Der Termin beim Zahnarzt ist am Donnerstag.',
    type: 'event',
    occurred_at: '2026-03-02T08:00:00Z',
  },
  { content: '我喜欢在周末去爬山。', type: 'preference', occurred_at: '2026-03-03T08:00:00Z' },
]

describe('a question', () => {
  test.each([
    ['its words', 'Who is allergic to peanuts?', 'Otto is allergic to peanuts.'],
    ['related words', 'What does Mina like to drink?', 'Mina prefers tea over coffee.'],
    ['German words', 'Wann ist der Zahnarzttermin?', 'Der Termin beim Zahnarzt ist am Donnerstag.'],
    ['Chinese words', '周末喜欢做什么？', '我喜欢在周末去爬山。'],
  ])('finds a memory by %s', async (_case, query, expected) => {
    expect((await contents(ada, { query, limit: 3 }))[0]).toBe(expected)
  })

  test('answers with a score, provenance and nothing of explain unless asked', async () => {
    const { results } = await recall(ada, { query: 'peanuts' })
    expect(results[0]).toMatchObject({
      owner_agent: 'ada',
      access: 'shared',
      source: { kind: 'agent', trust: 2 },
    })
    expect(results[0]?.score).toBeGreaterThan(0)
    expect(results[0]?.parts).toBeUndefined()
  })

  test('explains its score by parts and its time by steps', async () => {
    const answer = await recall(ada, { query: 'peanuts', explain: true })
    expect(Object.keys(answer.results[0]?.parts ?? {})).not.toHaveLength(0)
    expect(answer.stages_ms).toHaveProperty('postings')
  })

  test('brings the neighbours of a hit from its session', async () => {
    const { results } = await recall(ada, {
      query: 'Why Rust?',
      neighbours: 1,
      limit: 1,
      speaker: 'Otto',
    })
    expect(results[0]?.neighbours?.map(({ place, content }) => [place, content])).toEqual([
      [-1, diary[0]?.content],
      [1, diary[2]?.content],
    ])
  })

  test('in several phrasings is ranked once', async () => {
    const { results } = await recall(ada, {
      queries: ['peanut allergy', 'tea or coffee'],
      limit: 2,
    })
    expect(results.map((result) => result.content).toSorted()).toEqual([
      'Mina prefers tea over coffee.',
      'Otto is allergic to peanuts.',
    ])
  })

  test('keeps to its limit and its least score', async () => {
    expect(await contents(ada, { query: 'Rust', limit: 2 })).toHaveLength(2)
    expect(await contents(ada, { query: 'zebra xylophone', min_score: 0.9 })).toEqual([])
  })
})

describe('filters', () => {
  test.each([
    ['types', { types: ['preference'] }, 2],
    ['tags', { tags: ['Health'] }, 1],
    ['an entity', { entity: 'otto' }, 1],
    ['a session', { session: 'S1' }, 3],
    ['a speaker', { speaker: 'mina' }, 2],
    ['an agent', { agent: 'somebody else' }, 0],
    ['a time range', { after: '2026-03-01', before: '2026-03-03' }, 2],
    ['two that contradict', { session: 's1', types: ['preference'] }, 0],
  ])('by %s narrow a question and browsing alike', async (_case, filter, count) => {
    expect(await contents(ada, { ...filter, limit: 50 })).toHaveLength(count)
    const asked = await contents(ada, {
      ...filter,
      query: 'Rust tea Otto Zahnarzt 爬山',
      limit: 50,
    })
    expect(asked).toHaveLength(count)
  })
})

describe('labels', () => {
  test('are one whichever of the four Turkish I they are written with', async () => {
    const who = await memory.principal({ namespaceName: 'turkish' })
    const content = 'Dün toplantıda İSTANBUL ofisi konuşuldu.'
    const labelled = { tags: ['ISPARTA'], session: 'İZMİR', speaker: 'Işıl' }
    await store(who, { content, ...labelled })
    for (const filter of [
      { tags: ['ısparta'] },
      { tags: ['isparta'] },
      { session: 'izmir' },
      { session: 'İzmir' },
      { speaker: 'IŞIL' },
      { entity: 'İstanbul' },
      { entity: 'istanbul' },
    ]) {
      expect([filter, await contents(who, filter)]).toEqual([filter, [content]])
    }
  })
})

describe('a name in a script without capitals', () => {
  const texts = {
    chinese: ['我昨天和王小明去了上海。', '王先生昨天没有来。'],
    japanese: ['昨日は田中太郎さんと会いました。', '中田さんは来ませんでした。'],
    korean: ['어제 김민수는 부산에 갔다.', '김 씨는 어제 왔다.'],
    arabic: ['قابلت أمس محمد العلي في المكتب.', 'ذهب العلي إلى البيت.'],
    hebrew: ['אתמול פגשתי את דוד כהן במשרד.', 'דוד הלך הביתה.'],
    hindi: ['कल राम शर्मा दिल्ली गए थे।', 'राम आज आएंगे।'],
    thai: ['เมื่อวานสมชายไปตลาด', 'เมื่อวานฉันไปตลาด'],
    georgian: ['გუშინ ნინო ბათუმში წავიდა.', 'დღეს ძალიან ცხელა.'],
  }
  test.each([
    ['chinese', '王小明'],
    ['japanese', '田中太郎'],
    ['korean', '김민수'],
    ['arabic', 'محمد العلي'],
    ['hebrew', 'דוד כהן'],
    ['hindi', 'राम शर्मा'],
    ['thai', 'สมชาย'],
    ['georgian', 'ნინო'],
  ] as const)('in %s narrows to the memories with all its words', async (language, entity) => {
    const who = await memory.principal({ namespaceName: `names-${language}` })
    const { results } = await store(who, {
      memories: texts[language].map((content) => ({ content })),
    })
    const [wanted] = texts[language]
    expect(await contents(who, { entity })).toEqual([wanted])
    expect(await contents(who, { entity, query: texts[language].join(' ') })).toEqual([wanted])
    // What no longer holds is of the name as well, and so is what was said before: two versions.
    const id = results[0]?.id ?? ''
    await memory.execute(memory.operations.retire, who, { id, retire: 'no longer' })
    expect(await contents(who, { entity, include_history: true })).toEqual([wanted, wanted])
    const taken = await memory.execute(memory.operations.forget, who, { entity })
    expect(taken).toMatchObject({ status: 'forgotten', memories: 1 })
  })

  test('written with capitals is still exact', async () => {
    expect(await contents(ada, { entity: 'peanuts' })).toEqual([])
  })
})

describe('without a question', () => {
  test('ids read in the order asked and name what is missing', async () => {
    const { results } = await recall(ada, { limit: 2 })
    const absent = '01890000-0000-7000-8000-000000000000'
    const ids = [results[1]?.id, absent, results[0]?.id]
    const read = await recall(ada, { ids })
    expect(read.results.map((result) => result.id)).toEqual([ids[0], ids[2]])
    expect(read.missing).toEqual([absent])
  })

  test('browsing pages newest first and meets every memory once', async () => {
    const principal = await memory.principal({ namespaceName: 'pages' })
    const memories = Array.from({ length: 25 }, (_, index) => ({ content: `page item ${index}` }))
    await store(principal, { memories })
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await recall(principal, { limit: 10, ...(cursor !== undefined && { cursor }) })
      seen.push(...page.results.map((result) => result.content))
      cursor = page.next_cursor
    } while (cursor !== undefined)
    expect(seen).toHaveLength(25)
    expect(new Set(seen).size).toBe(25)
    expect(seen[0]).toBe('page item 24')
  })

  test.each([
    ['altered', (cursor: string) => `${cursor.slice(0, -2)}AA`, {}],
    ['of another filter', (cursor: string) => cursor, { types: ['fact'] }],
    ['made up', () => 'bm9uc2Vuc2U', {}],
  ])('a cursor that is %s is refused', async (_case, change, extra) => {
    const principal = await memory.principal({ namespaceName: 'pages' })
    const { next_cursor: cursor } = await recall(principal, { limit: 1 })
    const input = { limit: 1, cursor: change(cursor ?? ''), ...extra }
    await expect(recall(principal, input)).rejects.toMatchObject({ code: 'invalid_input' })
  })

  test('another agent’s cursor is refused', async () => {
    const principal = await memory.principal({ namespaceName: 'pages' })
    const bob = await memory.principal({ namespaceName: 'pages', agent: 'bob' })
    const { next_cursor: cursor } = await recall(principal, { limit: 1 })
    await expect(recall(bob, { limit: 1, cursor })).rejects.toMatchObject({ code: 'invalid_input' })
  })
})

describe('what must not appear', () => {
  test('a memory is gone the moment it expires, in questions, by id and in browsing', async () => {
    const principal = await memory.principal({ namespaceName: 'expiry' })
    const content = 'The door code is valid for a second.'
    const { results } = await store(principal, { content, ttl_seconds: 1 })
    const expiresAt = Date.parse(results[0]?.expires_at ?? '')
    const ways = [{ query: 'door code' }, { ids: [results[0]?.id] }, {}]
    for (const way of ways) expect(await contents(principal, way)).toEqual([content])
    await until(() => Date.now() >= expiresAt)
    for (const way of ways) expect(await contents(principal, way)).toEqual([])
  })

  test('another namespace’s memories, by question, filter, id or browsing', async () => {
    const other = await memory.principal({ namespaceName: 'other' })
    const { results } = await recall(ada, { limit: 1 })
    const ways = [{ query: 'peanuts' }, { ids: [results[0]?.id] }, { entity: 'Otto' }, {}]
    for (const way of ways) expect(await contents(other, way)).toEqual([])
  })

  test('another agent’s private memory, unless it is named as a reader', async () => {
    const namespaceName = 'private'
    const owner = await memory.principal({ namespaceName, agent: 'owner' })
    const reader = await memory.principal({ namespaceName, agent: 'reader' })
    const stranger = await memory.principal({ namespaceName, agent: 'stranger' })
    const content = 'The surprise party for Lena is on the ninth.'
    await store(owner, { content, access: 'private', allowed_agents: ['reader'] })
    for (const way of [{ query: 'surprise party' }, {}, { entity: 'Lena' }]) {
      expect(await contents(owner, way)).toEqual([content])
      expect(await contents(reader, way)).toEqual([content])
      expect(await contents(stranger, way)).toEqual([])
    }
  })

  test('a context that was forged shows nothing and is a typed error', async () => {
    const forged = await import('../../src/database/scope.ts')
    const scope = forged.createScope(memory.test.database, new Uint8Array(32).fill(7))
    const reading = scope.withNamespace(ada, {}, (tx) => tx`select id from memories`)
    await expect(reading).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('no context means no rows', async () => {
    const rows = await memory.test.scope.withDirectory((sql) => sql`select id from memories`)
    expect(rows).toEqual([])
  })
})

test('memories stored by one agent are found by another of the namespace', async () => {
  const bob = await memory.principal({ namespaceName: 'recall', agent: 'bob' })
  expect((await contents(bob, { query: 'peanuts' }))[0]).toBe('Otto is allergic to peanuts.')
})

test.each([
  ...Object.keys(filterFields).map((field) => [field]),
  ['limit'],
  ['min_score'],
  ['neighbours'],
])('%s beside ids is refused, since ids are read whatever they are', async (field) => {
  const values: Record<string, unknown> = {
    types: ['fact'],
    tags: ['x'],
    after: '2026-01-01',
    before: '2026-01-01',
    limit: 1,
    min_score: 0.5,
    neighbours: 1,
  }
  const ids = ['01890000-0000-7000-8000-000000000000']
  const refused = recall(ada, { ids, [field]: values[field] ?? 'x' })
  await expect(refused).rejects.toMatchObject({ code: 'invalid_input' })
  await expect(refused).rejects.toThrow(`leave ${field} out`)
})

test.each(['min_score', 'neighbours'])(
  '%s without a question is refused, unless it asks for nothing',
  async (field) => {
    const refused = recall(ada, { [field]: 1 })
    await expect(refused).rejects.toMatchObject({ code: 'invalid_input' })
    await expect(refused).rejects.toThrow('give query or queries')
    await expect(recall(ada, { [field]: 0 })).resolves.toHaveProperty('results')
  },
)

test('more than one way of asking is refused', async () => {
  await expect(recall(ada, { query: 'a', queries: ['b'] })).rejects.toMatchObject({
    code: 'invalid_input',
  })
})
