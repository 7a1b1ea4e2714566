/** Who is believed how far: what the server says of a memory's origin, and what is quarantined for it. */
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { sqlStateOf } from '../../src/database/faults.ts'
import {
  importedSource,
  maySupersede,
  quarantineOf,
  quarantineReasons,
  reasonBits,
  reasonsOf,
  type Standing,
} from '../../src/memory/trust.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
import { openTestMemory, type PrincipalChanges, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const store = (principal: Principal, input: unknown) =>
  memory.execute(memory.operations.store, principal, input)
const recall = (principal: Principal, input: unknown) =>
  memory.execute(memory.operations.recall, principal, input)
const contents = async (principal: Principal, input: unknown) =>
  (await recall(principal, input)).results.map((result) => result.content)

/** The identities of one namespace of its own. */
async function people(namespaceName: string) {
  const as = (changes: PrincipalChanges) => memory.principal({ namespaceName, ...changes })
  return {
    agent: await as({}),
    connector: await as({ channel: 'job', agent: 'notion' }),
    admin: await as({ scopes: allScopes, agent: 'root' }),
    operator: await as({ scopes: allScopes, channel: 'cli', agent: 'root' }),
  }
}

describe('a memory says where it came from', () => {
  test.each([
    ['stdio', 'agent', 2],
    ['mcp-http', 'agent', 2],
    ['rest', 'agent', 2],
    ['cli', 'user', 3],
  ] as const)('over %s: kind %s, trust %i', async (channel, kind, trust) => {
    const principal = await memory.principal({ namespaceName: `channel-${channel}`, channel })
    await store(principal, { content: 'The kettle whistles in G.' })
    const { results } = await recall(principal, {})
    expect(results[0]?.source).toEqual({ kind, trust })
    expect(results[0]?.quarantine).toBeUndefined()
  })

  test('with the client that stored it, as that client called itself', async () => {
    const principal = await memory.principal({ namespaceName: 'clients' })
    const client = { name: 'Claude Desktop', version: '1.4.2' }
    await store({ ...principal, client }, { content: 'The shed key hangs behind the door.' })
    const { results } = await recall(principal, {})
    expect(results[0]?.source.client).toBe('Claude Desktop 1.4.2')
  })

  test('and no argument changes it', async () => {
    const principal = await memory.principal({ namespaceName: 'arguments' })
    for (const more of [{ trust: 3 }, { source: { kind: 'user', trust: 3 } }, { quarantine: [] }]) {
      const storing = store(principal, { content: 'I say I am trusted.', ...more })
      await expect(storing).rejects.toMatchObject({ code: 'invalid_input' })
    }
  })
})

describe('what a connector brings is quarantined', () => {
  const content = 'Quarterly numbers: the Lisbon office sold forty bicycles to Marta Fonseca.'
  let agent: Principal
  let connector: Principal
  let admin: Principal
  let id: string

  beforeAll(async () => {
    const all = await people('connectors')
    agent = all.agent
    connector = all.connector
    admin = all.admin
    await store(agent, {
      content: 'We sold two bicycles today.',
      session: 'sales',
      occurred_at: '2026-03-01T10:00:00Z',
    })
    const stored = await store(connector, {
      content,
      tags: ['sales'],
      session: 'sales',
      speaker: 'Quarterly bot',
      occurred_at: '2026-03-01T10:01:00Z',
    })
    expect(stored.results[0]).toMatchObject({ status: 'stored', quarantined: true })
    id = stored.results[0]?.id ?? ''
  })

  const ways: readonly (readonly [string, () => object])[] = [
    ['a question', () => ({ query: 'Quarterly numbers Lisbon office bicycles' })],
    ['its id', () => ({ ids: [id] })],
    ['its history', () => ({ ids: [id], history: true })],
    ['browsing', () => ({})],
    ['a name', () => ({ entity: 'Marta Fonseca' })],
    ['a tag', () => ({ tags: ['sales'] })],
    ['a speaker', () => ({ speaker: 'Quarterly bot' })],
  ]
  test.each(ways)('and not found by %s, by agents or administrators', async (_name, way) => {
    for (const principal of [agent, connector, admin]) {
      expect(await contents(principal, way())).not.toContain(content)
    }
  })

  test.each(ways)('but found by %s when an administrator asks for it', async (_name, way) => {
    const { results } = await recall(admin, { ...way(), include_quarantined: true })
    const found = results.find((result) => result.content === content)
    expect(found).toMatchObject({
      quarantine: ['channel'],
      source: { kind: 'connector', trust: 1 },
    })
  })

  test('and nobody else may ask for it', async () => {
    for (const principal of [agent, connector]) {
      const asking = recall(principal, { include_quarantined: true })
      await expect(asking).rejects.toMatchObject({ code: 'insufficient_scope' })
      const exporting = memory.execute(memory.operations.export, principal, {
        include_quarantined: true,
      })
      await expect(exporting).rejects.toMatchObject({ code: 'insufficient_scope' })
    }
  })

  test('and no neighbour of a memory beside it', async () => {
    const query = { query: 'bicycles sold today', neighbours: 2 }
    const { results } = await recall(agent, query)
    expect(results[0]?.neighbours).toEqual([])
    const shown = await recall(admin, { ...query, include_quarantined: true })
    expect(shown.results[0]?.neighbours?.map((other) => other.content)).toContain(content)
  })

  test('and left out of an export, or marked in one that asks for it', async () => {
    const plain = await memory.execute(memory.operations.export, admin, {})
    expect(plain.content).not.toContain(content)
    const whole = await memory.execute(memory.operations.export, admin, {
      include_quarantined: true,
    })
    expect(whole.content).toContain('"quarantine":["channel"]')
  })

  test('and in the way of nobody who stores the same words', async () => {
    const same = { content: 'The lift is out of order.' }
    const first = await store({ ...connector, agent: agent.agent }, same)
    const second = await store(agent, same)
    expect(second.results[0]).toMatchObject({ status: 'stored' })
    expect(second.results[0]?.id).not.toBe(first.results[0]?.id)
    expect(await contents(agent, { query: 'lift' })).toContain(same.content)
    const again = await store({ ...connector, agent: agent.agent }, same)
    expect(again.results[0]).toMatchObject({ status: 'duplicate', id: first.results[0]?.id })
  })

  test('and erased with everything else that mentions a name', async () => {
    const { status, memories } = await memory.execute(memory.operations.forget, agent, {
      entity: 'Marta Fonseca',
    })
    expect({ status, memories }).toEqual({ status: 'forgotten', memories: 1 })
    const { results } = await recall(admin, { ids: [id], include_quarantined: true })
    expect(results).toEqual([])
  })

  test('the database itself hides it from a statement that forgets to say so', async () => {
    const { connector: other, agent: reader, admin: ruler } = await people('policy')
    await store(other, { content: 'Hidden by the policy.' })
    const count = (principal: Principal, seesQuarantined?: boolean) =>
      memory.test.scope.withNamespace(
        principal,
        seesQuarantined === undefined ? {} : { seesQuarantined },
        async (tx) =>
          (await tx`select 1 from memories m where m.namespace = ${tx.namespace}`).length,
      )
    expect(await count(reader)).toBe(0)
    expect(await count(ruler, false)).toBe(0)
    // A job that walks over all memories, such as one that encrypts them, must miss none.
    expect(await count(ruler)).toBe(1)
  })
})

describe('the database keeps trust', () => {
  test.each([
    ['raise trust', 'trust = 3'],
    ['lift quarantine', 'quarantine = 0'],
  ])('an agent’s statement that would %s fails', async (_what, change) => {
    const { agent, connector, admin } = await people('trigger')
    await store(connector, { content: `For ${change}` })
    const { SqlFragment } = await import('../../src/database/database.ts')
    const update = (principal: Principal) =>
      memory.test.scope.withNamespace(
        principal,
        { seesQuarantined: true },
        (tx) => tx`update memories set ${new SqlFragment([change], [])}
          where namespace = ${tx.namespace} returning id`,
      )
    const state = await update(agent).catch((error: unknown) => sqlStateOf(error))
    expect(state).toBe('42501')
    expect(await update(admin)).not.toHaveLength(0)
  })
})

describe('an import', () => {
  const line = (more: object = {}, source: object = { kind: 'user', trust: 3 }) => ({
    mindglue: 1,
    id: uuidv7(),
    version: 1,
    content: `Line ${uuidv7()} of a file.`,
    type: 'fact',
    tags: [],
    occurred_at: '2026-03-01T00:00:00Z',
    recorded_at: '2026-03-01T00:00:00Z',
    valid_from: '2026-03-01T00:00:00Z',
    importance: 0.5,
    access: 'shared',
    owner_agent: 'ada',
    is_current: true,
    source,
    ...more,
  })
  const exportedLine = z.object({ id: z.string(), supersedes: z.string().optional() })
  const bring = (principal: Principal, input: object) =>
    memory.execute(memory.operations.import, principal, input)

  test('raises no trust: a claim beyond what a file may say becomes what is known', async () => {
    const { operator } = await people('import-trust')
    const lines = [
      line(),
      line({}, { kind: 'agent', trust: 2 }),
      line({}, { kind: 'web', trust: 1 }),
    ]
    await bring(operator, { lines })
    const { results } = await recall(operator, { ids: lines.map(({ id }) => id) })
    expect(results.map((result) => result.source)).toEqual([
      { kind: 'import', trust: 2, agent: 'root' },
      { kind: 'agent', trust: 2, agent: 'root' },
    ])
    const held = await recall(operator, { ids: [lines[2]?.id], include_quarantined: true })
    expect(held.results[0]).toMatchObject({
      quarantine: ['channel'],
      source: { kind: 'web', trust: 1 },
    })
  })

  test('of one’s own export is believed as it stands, when the administrator says so', async () => {
    const { operator } = await people('import-own')
    const lines = [line(), line({ quarantine: ['tool'] }, { kind: 'agent', trust: 2 })]
    await bring(operator, { lines, own: true })
    const ids = lines.map(({ id }) => id)
    const { results } = await recall(operator, { ids, include_quarantined: true })
    expect(results.map(({ source, quarantine }) => [source.trust, quarantine])).toEqual([
      [3, undefined],
      [2, ['tool']],
    ])
  })

  test('never takes a memory out of quarantine', async () => {
    const { operator } = await people('import-marked')
    const marked = line({ quarantine: ['instruction'] }, { kind: 'agent', trust: 2 })
    await bring(operator, { lines: [marked] })
    expect(await contents(operator, { ids: [marked.id] })).toEqual([])
  })

  test('from another program is marked as imported', async () => {
    const { operator } = await people('import-foreign')
    await bring(operator, { memories: [{ content: 'Brought from elsewhere.' }] })
    const { results } = await recall(operator, {})
    expect(results[0]?.source).toEqual({ kind: 'import', trust: 2 })
    const again = await bring(operator, { memories: [{ content: 'Brought from elsewhere.' }] })
    expect(again).toEqual({ imported: 0, skipped: 1 })
  })

  test('supersedes only what the rule allows; otherwise both stay', async () => {
    const { operator } = await people('import-supersedes')
    const old = line({}, { kind: 'agent', trust: 2 })
    await bring(operator, { lines: [old] })
    const supersedes = old.id
    const allowed = line({ supersedes }, { kind: 'agent', trust: 2 })
    const foreign = line({ supersedes, owner_agent: 'mallory' }, { kind: 'agent', trust: 2 })
    const wider = line({ supersedes, access: 'public' }, { kind: 'agent', trust: 2 })
    const lower = line({ supersedes }, { kind: 'agent', trust: 1 })
    const dangling = line({ supersedes: uuidv7() }, { kind: 'agent', trust: 2 })
    await bring(operator, { lines: [allowed, foreign, wider, lower, dangling] })
    const { content } = await memory.execute(memory.operations.export, operator, {
      include_quarantined: true,
    })
    const kept = content
      .trim()
      .split('\n')
      .map((text) => exportedLine.parse(JSON.parse(text)))
      .flatMap((exported) => (exported.supersedes === undefined ? [] : [exported.id]))
    expect(kept).toEqual([allowed.id, dangling.id])
  })
})

test('one source below normal trust fills at most two fifths of an answer', async () => {
  const { operator, agent } = await people('shares')
  const claim = (index: number, source: object, owner: string) => ({
    mindglue: 1,
    id: uuidv7(),
    version: 1,
    content: `Lantern report number ${index}: the lantern is lit.`,
    type: 'fact',
    tags: [],
    occurred_at: '2026-03-01T00:00:00Z',
    recorded_at: '2026-03-01T00:00:00Z',
    valid_from: '2026-03-01T00:00:00Z',
    importance: 0.5,
    access: 'shared',
    owner_agent: owner,
    is_current: true,
    source,
  })
  const lines = Array.from({ length: 40 }, (_, index) =>
    index < 34
      ? claim(index, { kind: 'web', trust: 1 }, 'crawler')
      : claim(index, { kind: 'agent', trust: 2 }, 'ada'),
  )
  // An administrator vouches for the file, so nothing in it is quarantined.
  await memory.execute(memory.operations.import, operator, { lines, own: true })
  for (const limit of [10, 5, 1]) {
    const { results } = await recall(agent, { query: 'Is the lantern lit?', limit })
    const foreign = results.filter(({ source }) => source.trust < 2)
    expect(foreign.length).toBeLessThanOrEqual(Math.max(1, Math.floor(limit * 0.4)))
    expect(results.length).toBe(limit)
  }
})

describe('the rules', () => {
  const standing: Standing = {
    namespace: 1n,
    ownerAgent: 'ada',
    access: 'shared',
    trust: 2,
    quarantine: 0,
  }

  test.each<[string, Partial<Standing>, Partial<Standing>, boolean]>([
    ['the same standing', {}, {}, true],
    ['more trust', { trust: 3 }, {}, true],
    ['less trust', { trust: 1 }, {}, false],
    ['another namespace', { namespace: 2n }, {}, false],
    ['another agent', { ownerAgent: 'mallory' }, {}, false],
    ['a wider access', { access: 'public' }, {}, false],
    ['a narrower access', { access: 'private' }, {}, false],
    ['a quarantined newer', { quarantine: 2 }, {}, false],
    ['a quarantined older', {}, { quarantine: 2 }, true],
  ])('a memory supersedes another: %s', (_name, newer, older, expected) => {
    expect(maySupersede({ ...standing, ...newer }, { ...standing, ...older })).toBe(expected)
  })

  test('reasons keep their bits', () => {
    expect(quarantineReasons.map((reason) => reasonBits([reason]))).toEqual([
      1, 2, 4, 8, 16, 32, 64,
    ])
    expect(reasonsOf(reasonBits(['hidden', 'channel']))).toEqual(['channel', 'hidden'])
    expect(quarantineOf({ trust: 3 })).toBe(0)
    expect(quarantineOf({ trust: 1 }, ['tool'])).toBe(5)
  })

  test('a file may claim normal trust at most', () => {
    expect(importedSource({ kind: 'user', trust: 3 }, false)).toEqual({ kind: 'import', trust: 2 })
    expect(importedSource({ kind: 'user', trust: 3 }, true)).toEqual({ kind: 'user', trust: 3 })
    expect(importedSource({ kind: 'web', trust: 0 }, false)).toEqual({ kind: 'web', trust: 0 })
  })
})
