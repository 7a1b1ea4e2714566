/** What a grant promises: the granted memories, read only, for as long as it holds, and nothing beside them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Profile } from '../../src/namespaces/namespaces.ts'
import { hitText } from '../../src/memory/text.ts'
import { allScopes } from '../../src/principal.ts'
import { contents, grantCalls, harbour } from '../support/grants.ts'
import { openProcess, openTestMemory, type TestMemory } from '../support/memory.ts'
import { until } from '../support/until.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const { run, admin, pair, grant, ask } = grantCalls(() => memory)
const [crane, visit, budget] = harbour.map(({ content }) => content)

describe.each<readonly [Profile, Profile]>([
  ['off', 'field'],
  ['field', 'off'],
  ['field', 'sealed'],
  ['sealed', 'field'],
])('from a namespace in profile %s to one in %s', (homeProfile, readerProfile) => {
  test('a grant shows public memories, with words of their own keys, and nothing else', async () => {
    const { giver, reader } = await pair(`profiles-${homeProfile}-${readerProfile}`, harbour, {
      home: homeProfile,
      reader: readerProfile,
    })
    expect(contents(await ask(reader, 'What is known of the harbour?'))).toEqual([])
    await grant(giver, reader)
    const answer = await ask(reader, 'What is known of the harbour?')
    expect(contents(answer)).toEqual([visit, crane].map(String).toSorted())
    for (const { namespace } of answer.results) expect(namespace).toBe(giver.namespaceName)
    const plain = await run(memory.operations.recall, reader, { query: 'the harbour' })
    expect(plain.results).toEqual([])
  })
})

describe('the terms of a grant', () => {
  test.each<readonly [string, object, readonly (string | undefined)[]]>([
    ['types', { types: ['fact'] }, [crane]],
    ['several types', { types: ['event', 'fact'] }, [crane, visit]],
    ['types that there are none of', { types: ['task'] }, []],
    ['a tag', { tag: '  CRANE ' }, [crane]],
    ['an entity', { entity: 'grace hopper' }, [visit]],
    ['a tag that nothing has', { tag: 'nothing' }, []],
    ['a type and a tag that do not meet', { types: ['event'], tag: 'crane' }, []],
    ['shared ones as well', { include_shared: true }, [crane, visit, budget]],
    ['shared ones of a type', { include_shared: true, types: ['fact'] }, [crane, budget]],
  ])('%s narrow or widen it, and private never crosses', async (what, terms, expected) => {
    const { giver, reader } = await pair(`terms ${what}`, harbour)
    await grant(giver, reader, terms)
    expect(contents(await ask(reader, 'harbour'))).toEqual(expected.map(String).toSorted())
  })

  test('several of one giver show each memory once, with the smallest penalty', async () => {
    const { giver, reader } = await pair('several', harbour)
    await grant(giver, reader, { penalty: 0.4 })
    await grant(giver, reader, { tag: 'crane', penalty: 0 })
    const { results } = await ask(reader, 'harbour crane', { explain: true })
    expect(results.map(({ content, parts }) => [content, parts?.['penalty']])).toEqual([
      [crane, -0],
      [visit, -0.4],
    ])
  })

  test('filters of the question hold in the granting namespace as well', async () => {
    const { giver, reader } = await pair('filters', harbour)
    await grant(giver, reader)
    expect(contents(await ask(reader, 'harbour', { tags: ['crane'] }))).toEqual([crane])
    expect(contents(await ask(reader, 'harbour', { entity: 'Grace Hopper' }))).toEqual([visit])
    expect(contents(await ask(reader, 'harbour', { types: ['task'] }))).toEqual([])
    expect(contents(await ask(reader, 'harbour', { agent: 'nobody' }))).toEqual([])
  })
})

describe('the order of the answer', () => {
  test('the same words are worth 0.15 less from elsewhere, and the caller’s own come first', async () => {
    const { giver, reader } = await pair('order', harbour.slice(0, 1))
    await run(memory.operations.store, reader, { ...harbour[0], access: 'shared' })
    const bare = await run(memory.operations.recall, reader, {
      query: 'Which colour is the crane?',
    })
    await grant(giver, reader)
    const { results } = await ask(reader, 'Which colour is the crane?', { explain: true })
    expect(results.map(({ namespace }) => namespace)).toEqual([
      reader.namespaceName,
      giver.namespaceName,
    ])
    const [own, theirs] = results
    expect(own?.score).toBe(bare.results[0]?.score)
    expect((own?.score ?? 0) - (theirs?.score ?? 0)).toBeCloseTo(0.15, 3)
    expect(own?.parts).not.toHaveProperty('penalty')
    expect(theirs?.parts).toMatchObject({ penalty: -0.15 })
  })

  test('without a penalty a tie is still the caller’s own', async () => {
    const { giver, reader } = await pair('tie', harbour.slice(0, 1))
    await run(memory.operations.store, reader, { ...harbour[0], access: 'shared' })
    await grant(giver, reader, { penalty: 0 })
    const { results } = await ask(reader, 'red harbour crane')
    expect(results.map(({ score }) => score)).toEqual([results[0]?.score, results[0]?.score])
    expect(results[0]?.namespace).toBe(reader.namespaceName)
  })

  test('the limit and the least score hold for the whole answer', async () => {
    const { giver, reader } = await pair('limits', harbour)
    await run(memory.operations.store, reader, { content: 'Our own harbour is small.' })
    await grant(giver, reader, { penalty: 1 })
    expect((await ask(reader, 'harbour', { limit: 2 })).results).toHaveLength(2)
    const { results } = await ask(reader, 'harbour', { min_score: 0.01 })
    expect(results.map(({ namespace }) => namespace)).toEqual([reader.namespaceName])
  })
})

describe('what a giver says of itself', () => {
  const logs = Array.from({ length: 20 }, (_, index) => ({
    content: `Harbour log ${index}: the red crane of the harbour is calm.`,
    access: 'public',
  }))

  test('is believed no more than what comes from outside, whoever said it there', async () => {
    const { home, giver, reader } = await pair('trust', harbour)
    const person = { ...(await admin('trust-home')), channel: 'cli' as const }
    await run(memory.operations.store, person, { ...harbour[0], content: 'A person saw a crane.' })
    await grant(giver, reader, { penalty: 0 })
    for (const detail of ['full', 'brief']) {
      const { results, hits = results } = await ask(reader, 'harbour crane', { detail })
      expect(hits).toHaveLength(3)
      for (const hit of hits) {
        expect(hit.source?.trust).toBe(1)
        const said = `from ${hit.source?.kind}, trust 1 · of namespace trust-home`
        expect(hitText(hit)).toContain(said)
      }
    }
    expect((await run(memory.operations.recall, home, { query: 'person' })).results[0]).toEqual(
      expect.objectContaining({ source: { kind: 'user', trust: 3 } }),
    )
  })

  test('fills at most two fifths of an answer, however many grants it gives and agents it has', async () => {
    const { giver, reader } = await pair('share', logs.slice(0, 10))
    const other = { ...(await admin('share-home')), agent: 'eve' }
    await run(memory.operations.store, other, { memories: logs.slice(10) })
    await grant(giver, reader, { penalty: 0 })
    await grant(giver, reader, { penalty: 0, types: ['fact', 'event', 'note'] })
    const own = { content: 'Our own harbour is small.' }
    await run(memory.operations.store, reader, own)
    for (const [limit, most] of [
      [10, 4],
      [5, 2],
      [2, 1],
    ] as const) {
      const { results } = await ask(reader, 'Is the red crane of the harbour calm?', { limit })
      const foreign = results.filter(({ namespace }) => namespace !== reader.namespaceName)
      expect(foreign).toHaveLength(most)
      expect(contents({ results })).toContain(own.content)
    }
  })

  test('is an answer also where there is nothing else, and two givers have a share each', async () => {
    const { giver, reader } = await pair('alone', logs)
    await grant(giver, reader)
    const asked = 'Is the red crane of the harbour calm?'
    expect((await ask(reader, asked, { limit: 1 })).results).toHaveLength(1)
    expect((await ask(reader, asked, { limit: 10 })).results).toHaveLength(4)
    expect((await ask(reader, asked, { limit: 50 })).results).toHaveLength(20)
    const { giver: second } = await pair('alone-second', logs)
    await grant(second, reader)
    expect((await ask(reader, asked, { limit: 10 })).results).toHaveLength(8)
  })
})

describe('the end of a grant', () => {
  test('revoked by its giver, it shows nothing from the next question on', async () => {
    const { giver, reader } = await pair('revoked', harbour)
    const { id } = await grant(giver, reader)
    expect((await ask(reader, 'harbour')).results).toHaveLength(2)
    await run(memory.operations.grantRevoke, giver, { id })
    expect((await ask(reader, 'harbour')).results).toEqual([])
    const again = await run(memory.operations.grantRevoke, giver, { id })
    expect(again.id).toBe(id)
  })

  test('its holder may give it up; nobody else ends it or hears of it', async () => {
    const { giver, reader, holder } = await pair('given-up', harbour)
    const { id } = await grant(giver, reader)
    const stranger = await admin('given-up-stranger')
    const absent = '01890000-0000-7000-8000-000000000000'
    for (const wanted of [id, absent]) {
      await expect(run(memory.operations.grantRevoke, stranger, { id: wanted })).rejects.toThrow(
        'There is no such grant in this namespace.',
      )
    }
    expect((await run(memory.operations.grantList, stranger, {})).grants).toEqual([])
    await run(memory.operations.grantRevoke, holder, { id })
    expect((await ask(reader, 'harbour')).results).toEqual([])
    const { grants } = await run(memory.operations.grantList, giver, {})
    expect(grants).toMatchObject([{ id, state: 'revoked' }])
  })

  test('at the millisecond it expires, in this process and in any other', async () => {
    const { giver, reader } = await pair('expiry', harbour)
    const other = openProcess(memory)
    const ends = Date.now() + 1500
    await grant(giver, reader, { expires_at: new Date(ends).toISOString() })
    let seen = 0
    await until(async () => {
      for (const execute of [memory.execute, other.execute]) {
        const { results } = await execute(memory.operations.recall, reader, {
          query: 'harbour',
          include_granted: true,
        })
        const now = Date.now()
        if (results.length > 0) seen += 1
        // An answer that is complete after the end holds nothing of it, but for its way out.
        if (results.length > 0) expect(now).toBeLessThan(ends + 25)
      }
      return Date.now() > ends + 100
    })
    expect(seen).toBeGreaterThan(0)
    expect((await ask(reader, 'harbour')).results).toEqual([])
    await expect(
      grant(giver, reader, { expires_at: new Date(ends).toISOString() }),
    ).rejects.toThrow('expires_at has passed')
  })
})

describe('what never crosses', () => {
  test('quarantined, expired, retired, earlier versions', async () => {
    const open = { access: 'public', tags: ['open'] }
    const { home, giver, reader } = await pair('states', [
      { ...open, content: 'The tower is open.' },
      { ...open, content: 'The tower was quarantined.' },
      { ...open, content: 'The tower has expired.', ttl_seconds: 3600 },
      { ...open, content: 'The tower was retired.' },
      { ...open, content: 'The tower of an earlier version.' },
    ])
    await grant(giver, reader, { include_shared: true })
    expect((await ask(reader, 'tower', { limit: 50 })).results).toHaveLength(5)
    const ids = new Map(
      (await run(memory.operations.recall, home, { limit: 50 })).results.map((entry) => [
        entry.content.split(' ')[3]?.replace('.', '') ?? '',
        entry.id,
      ]),
    )
    await memory.test.owner.ownerTransaction(async (sql) => {
      const set = (name: string) => `${ids.get(name)}`
      await sql`update mindglue.memories set quarantine = 2 where id = ${set('quarantined')}::uuid`
      await sql`update mindglue.memories set expires_at = now() where id = ${set('expired')}::uuid`
      await sql`update mindglue.memories set valid_to = now() where id = ${set('retired')}::uuid`
      await sql`update mindglue.memories set is_current = false where id = ${set('an')}::uuid`
    })
    expect(ids.size).toBe(5)
    expect(contents(await ask(reader, 'tower'))).toEqual(['The tower is open.'])
    const ruler = await admin('states-reader')
    const all = await ask(ruler, 'tower', { include_quarantined: true })
    expect(contents(all)).toEqual(['The tower is open.'])
  })

  test('what other agents keep to themselves, from an administrator as well', async () => {
    const { giver, holder } = await pair('private', harbour)
    await grant(giver, holder, { include_shared: true })
    const root = await memory.principal({
      namespaceName: holder.namespaceName,
      agent: 'ada',
      scopes: allScopes,
    })
    expect(contents(await ask(root, 'harbour master drinks in secret'))).not.toContain(
      harbour[3].content,
    )
  })

  test('ids, browsing, cursors, neighbours, export, forget and completion stay at home', async () => {
    const { home, giver, reader } = await pair('ways', [
      { ...harbour[0], session: 'dock' },
      { ...harbour[1], session: 'dock' },
    ])
    await grant(giver, reader)
    const { results } = await ask(reader, 'red crane', { neighbours: 5 })
    expect(results).toHaveLength(2)
    for (const entry of results) expect(entry.neighbours ?? []).toEqual([])
    const ids = results.map(({ id }) => id)
    const read = await run(memory.operations.recall, reader, { ids })
    expect(read).toMatchObject({ results: [], missing: ids })
    for (const input of [{ ids }, {}, { cursor: 'x' }, { include_history: true, ids }]) {
      await expect(
        run(memory.operations.recall, reader, { ...input, include_granted: true }),
      ).rejects.toMatchObject({ code: 'invalid_input' })
    }
    expect((await run(memory.operations.recall, reader, {})).results).toEqual([])
    expect((await run(memory.operations.export, reader, {})).count).toBe(0)
    const forgotten = await run(memory.operations.forget, reader, { ids })
    expect(forgotten).toMatchObject({ memories: 0, missing: 2 })
    const everything = await run(memory.operations.forget, reader, {
      everything: true,
      dry_run: true,
    })
    expect(everything.memories).toBe(0)
    expect((await run(memory.operations.recall, home, { ids })).results).toHaveLength(2)
  })

  test('anything of what a grant hides, down to the last digit of a score', async () => {
    const hidden = Array.from({ length: 300 }, (_, index) => ({
      content: `Harbour crane ${index} is painted red, and it is a secret of the harbour.`,
      access: index % 2 === 0 ? 'shared' : 'private',
      type: 'fact',
    }))
    const answers: unknown[] = []
    for (const more of [[], hidden]) {
      const { giver, reader } = await pair(`digits-${more.length}`, [
        ...harbour.slice(0, 2),
        ...more,
      ])
      await grant(giver, reader)
      const { results } = await ask(reader, 'Which crane of the harbour is red?', { explain: true })
      answers.push(results.map(({ content, score, parts }) => ({ content, score, parts })))
    }
    expect(answers[1]).toEqual(answers[0])
  })
})
