/** Giving, listing and ending grants: what administrators are told, and what nobody is. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { grantCalls, harbour } from '../support/grants.ts'
import { openProcess, openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const { run, agent, admin, pair, grant, ask } = grantCalls(() => memory)

describe('an administrator', () => {
  test('lists what is given and held; the filter is told to its giver alone', async () => {
    const { giver, reader, holder } = await pair('listed', harbour)
    const { id } = await grant(giver, reader, { tag: 'crane', types: ['note', 'fact'] })
    const given = await run(memory.operations.grantList, giver, {})
    expect(given.grants).toMatchObject([
      {
        id,
        direction: 'given',
        from: 'listed-home',
        to: 'listed-reader',
        types: ['fact', 'note'],
        tag: 'crane',
        include_shared: false,
        penalty: 0.15,
        state: 'active',
        created_by: 'root',
        expires_at: null,
      },
    ])
    const held = await run(memory.operations.grantList, holder, {})
    expect(held.grants).toMatchObject([{ id, direction: 'held', from: 'listed-home' }])
    expect(held.grants[0]).not.toHaveProperty('tag')
    expect(held.grants[0]).not.toHaveProperty('created_by')
  })

  test('finds every act in the audit log, and the reading in the reader’s', async () => {
    const { giver, reader, holder } = await pair('audited', harbour)
    const { id } = await grant(giver, reader)
    await ask(reader, 'harbour')
    await run(memory.operations.grantList, giver, {})
    await run(memory.operations.grantRevoke, giver, { id })
    const { events } = await run(memory.operations.auditQuery, giver, { agent: 'root' })
    expect(events.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
      'grant.revoke ok',
      'grant.list ok',
      'grant.create ok',
    ])
    expect(events[2]?.resource_ids).toEqual([id])
    const read = await run(memory.operations.auditQuery, holder, { action: 'recall' })
    expect(read.events[0]?.counts).toMatchObject({ results: 2, granted: 2 })
  })

  test('learns of no other namespace: a name that nobody has is answered as any other', async () => {
    const { giver, reader } = await pair('oracle', harbour)
    const there = await grant(giver, reader)
    const absent = await run(memory.operations.grantCreate, giver, { to: 'oracle-nobody' })
    expect(Object.keys(absent)).toEqual(Object.keys(there))
    const { grants } = await run(memory.operations.grantList, giver, {})
    expect(grants.map(({ to, state }) => [to, state])).toEqual([
      ['oracle-nobody', 'active'],
      ['oracle-reader', 'active'],
    ])
    // Whoever takes the name later holds nothing by it.
    const late = await agent('oracle-nobody')
    expect((await ask(late, 'harbour')).results).toEqual([])
    // The operator, who may list all of them, is told of a typing error.
    const operator = { ...giver, channel: 'cli' as const }
    await expect(
      run(memory.operations.grantCreate, operator, { to: 'oracle-nobdy' }),
    ).rejects.toMatchObject({ code: 'not_found' })
  })

  test('is asked for: no other scope gives, lists or ends a grant', async () => {
    const { home, reader } = await pair('scopes', harbour)
    const { grantCreate, grantList, grantRevoke } = memory.operations
    const id = '01890000-0000-7000-8000-000000000000'
    for (const refused of [
      () => run(grantCreate, home, { to: reader.namespaceName }),
      () => run(grantList, home, {}),
      () => run(grantRevoke, home, { id }),
    ]) {
      await expect(refused()).rejects.toMatchObject({ code: 'insufficient_scope' })
    }
  })

  test.each<readonly [string, object]>([
    ['to itself', { to: 'refused-home' }],
    ['to no name', { to: '' }],
    ['of a type that is none', { types: ['secret'] }],
    ['of no type', { types: [] }],
    ['by a tag and an entity', { tag: 'a', entity: 'b' }],
    ['with a penalty beyond the scale', { penalty: 1.5 }],
    ['with a penalty that rewards', { penalty: -0.1 }],
    ['of private memories', { access: 'private' }],
    ['until a day that was', { expires_at: '2020-01-01T00:00:00Z' }],
  ])('cannot grant %s', async (_what, terms) => {
    await memory.principal({ namespaceName: 'refused-home' })
    await expect(
      run(memory.operations.grantCreate, await admin('refused-home'), { to: 'other', ...terms }),
    ).rejects.toMatchObject({ code: 'invalid_input' })
  })
})

describe('many givers', () => {
  test('at most eight grants are read, one of each giver before a second of any', async () => {
    const reader = await agent('many-reader', 'bob')
    const flood = await pair('many-flood', [
      { content: 'Beacon number 0 is lit.', access: 'public' },
    ])
    for (let index = 0; index < 9; index += 1) await grant(flood.giver, reader)
    for (let index = 1; index <= 7; index += 1) {
      const { giver } = await pair(`many-${index}`, [
        { content: `Beacon number ${index} is lit.`, access: 'public' },
      ])
      await grant(giver, reader)
    }
    const { results } = await ask(reader, 'Which beacon is lit?', { limit: 50 })
    expect(new Set(results.map(({ namespace }) => namespace)).size).toBe(8)
  })

  test('one whose keys are gone is named, and takes nobody else’s answer away', async () => {
    const { giver, home, reader } = await pair('broken', harbour)
    const sound = await pair('sound', harbour.slice(0, 1))
    await run(memory.operations.store, reader, { content: 'Our own harbour is small.' })
    await grant(giver, reader)
    await grant(sound.giver, reader)
    await memory.vault.keystore.destroy(home.namespace)
    const fresh = openProcess(memory)
    const answer = await fresh.execute(memory.operations.recall, reader, {
      query: 'harbour',
      include_granted: true,
    })
    // The second grant went to the same reader.
    expect(answer.results.map(({ namespace }) => String(namespace)).toSorted()).toEqual([
      'broken-reader',
      'sound-home',
    ])
    expect(answer.unreachable).toEqual(['broken-home'])
  })
})
