/** What `forget` promises: for good, all of it, and only what was confirmed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { countEverything, countRows, derivedTables } from '../support/rows.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

let made = 0
async function freshNamespace(changes = {}): Promise<Principal> {
  made += 1
  return memory.principal({ namespaceName: `forget-${made}`, ...changes })
}

const store = (principal: Principal, input: unknown) =>
  memory.execute(memory.operations.store, principal, input)
const forget = (principal: Principal, input: unknown) =>
  memory.execute(memory.operations.forget, principal, input)
const browse = async (principal: Principal) => {
  const { results } = await memory.execute(memory.operations.recall, principal, { limit: 100 })
  return results.map((result) => result.content).toSorted()
}

const notes = [
  {
    content: 'Marie Curie presented in Paris.',
    tags: ['talks'],
    session: 'spring',
    occurred_at: '2026-03-01',
  },
  {
    content: 'Marie Curie wrote back about radium.',
    tags: ['mail'],
    session: 'spring',
    occurred_at: '2026-03-05',
  },
  {
    content: 'Niels Bohr declined the invitation.',
    tags: ['mail'],
    session: 'summer',
    occurred_at: '2026-07-01',
  },
  { content: 'Book the hall for the autumn meeting.', type: 'task', occurred_at: '2026-09-01' },
]

test.each([
  ['field', 'sealed_embeddings'],
  ['sealed', 'embeddings'],
] as const)(
  'one memory by id goes at once and leaves no row in any table (%s)',
  async (profile, unused) => {
    const principal = await freshNamespace({ profile })
    const { results } = await store(principal, {
      content: 'Ask Rosalind Franklin about photograph 51.',
      tags: ['xray'],
      access: 'private',
      allowed_agents: ['bob'],
    })
    await memory.execute(memory.operations.feedback, principal, {
      id: results[0]?.id,
      feedback: 'helpful',
    })
    const before = await countEverything(memory, principal)
    for (const table of derivedTables) {
      if (table === unused) expect(before[table], table).toBe(0)
      else expect(before[table], table).toBeGreaterThan(0)
    }
    expect(await forget(principal, { ids: [results[0]?.id] })).toMatchObject({
      status: 'forgotten',
      memories: 1,
    })
    expect(Object.values(await countEverything(memory, principal)).every((n) => n === 0)).toBe(true)
  },
)

test('an entity that another memory still mentions stays', async () => {
  const principal = await freshNamespace()
  const { results } = await store(principal, { memories: notes })
  await forget(principal, { ids: [results[0]?.id] })
  const left = await memory.execute(memory.operations.recall, principal, { entity: 'marie curie' })
  expect(left.results).toHaveLength(1)
})

describe('more than one memory', () => {
  test.each([
    ['a tag', { tag: 'mail' }, 2],
    ['an entity', { entity: 'Marie Curie' }, 2],
    ['a session', { session: 'spring' }, 2],
    ['a date range', { after: '2026-03-02', before: '2026-08-01' }, 2],
    ['everything', { everything: true }, 4],
  ])('by %s is counted first and goes only with the token', async (_case, filter, count) => {
    const principal = await freshNamespace()
    await store(principal, { memories: notes })
    const asked = await forget(principal, filter)
    expect(asked).toMatchObject({ status: 'confirmation_required', memories: count })
    expect(await browse(principal)).toHaveLength(4)
    const done = await forget(principal, { ...filter, confirm_token: asked.confirm_token })
    expect(done).toMatchObject({ status: 'forgotten', memories: count })
    expect(await browse(principal)).toHaveLength(4 - count)
  })

  test('filters narrow together', async () => {
    const principal = await freshNamespace()
    await store(principal, { memories: notes })
    const done = await forget(principal, { entity: 'Marie Curie', tag: 'mail' })
    expect(done).toMatchObject({ status: 'forgotten', memories: 1 })
  })

  test('a dry run counts and changes nothing', async () => {
    const principal = await freshNamespace()
    await store(principal, { memories: notes })
    const counted = await forget(principal, { everything: true, dry_run: true })
    expect(counted).toMatchObject({ status: 'dry_run', memories: 4, versions: 4 })
    expect(counted.confirm_token).toBeUndefined()
    expect(await browse(principal)).toHaveLength(4)
  })

  test('a dry run with a token is refused: it would be taken for one of the two', async () => {
    const principal = await freshNamespace()
    await store(principal, { memories: notes })
    const { confirm_token } = await forget(principal, { everything: true })
    for (const more of [{}, { everything: true }]) {
      const both = forget(principal, { ...more, confirm_token, dry_run: true })
      await expect(both).rejects.toMatchObject({ code: 'invalid_input' })
    }
    expect(await browse(principal)).toHaveLength(4)
    const { memories } = await forget(principal, { confirm_token, dry_run: false })
    expect(memories).toBe(4)
  })

  test('a memory stored after the count is not taken by the token', async () => {
    const principal = await freshNamespace()
    await store(principal, { memories: notes })
    const asked = await forget(principal, { tag: 'mail' })
    await store(principal, { content: 'A later letter.', tags: ['mail'] })
    await forget(principal, { confirm_token: asked.confirm_token })
    expect(await browse(principal)).toContain('A later letter.')
  })

  test('a token works once', async () => {
    const principal = await freshNamespace()
    await store(principal, { memories: notes })
    const asked = await forget(principal, { tag: 'mail' })
    await forget(principal, { confirm_token: asked.confirm_token })
    await expect(forget(principal, { confirm_token: asked.confirm_token })).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  test.each([
    ['another agent', { agent: 'bob' }],
    ['another namespace', { namespaceName: 'elsewhere' }],
  ])('a token of %s is refused like an unknown one', async (_case, changes) => {
    const principal = await freshNamespace()
    await store(principal, { memories: notes })
    const asked = await forget(principal, { everything: true })
    const other = await memory.principal({ namespaceName: principal.namespaceName, ...changes })
    await expect(forget(other, { confirm_token: asked.confirm_token })).rejects.toMatchObject({
      code: 'not_found',
    })
    expect(await browse(principal)).toHaveLength(4)
  })

  test('a token of one request is refused for another, and is not spent by it', async () => {
    const principal = await freshNamespace()
    await store(principal, { memories: notes })
    const asked = await forget(principal, { tag: 'mail' })
    const wrong = forget(principal, { session: 'spring', confirm_token: asked.confirm_token })
    await expect(wrong).rejects.toMatchObject({ code: 'conflict' })
    expect(await forget(principal, { confirm_token: asked.confirm_token })).toMatchObject({
      status: 'forgotten',
      memories: 2,
    })
  })
})

test('nothing named is refused, so an empty call can never mean everything', async () => {
  const principal = await freshNamespace()
  await expect(forget(principal, {})).rejects.toBeInstanceOf(AppError)
  await expect(forget(principal, { dry_run: true })).rejects.toMatchObject({
    code: 'invalid_input',
  })
})

test('another agent’s private memory is not there: neither counted nor forgotten', async () => {
  const ada = await freshNamespace()
  const { results } = await store(ada, { content: 'Only Ada knows.', access: 'private' })
  const bob = await memory.principal({ namespaceName: ada.namespaceName, agent: 'bob' })
  expect(await forget(bob, { ids: [results[0]?.id] })).toMatchObject({ memories: 0, missing: 1 })
  expect(await countRows(memory, ada, 'memories')).toBe(1)
})

test('another namespace’s memory is not there', async () => {
  const first = await freshNamespace()
  const second = await freshNamespace()
  const { results } = await store(first, { content: 'Stay where you are.' })
  const answer = await forget(second, { ids: [results[0]?.id] })
  expect(answer).toMatchObject({ status: 'forgotten', memories: 0, missing: 1 })
  expect(await browse(first)).toEqual(['Stay where you are.'])
})
