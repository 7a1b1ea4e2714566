/** Who is believed how far: what the server says of a memory's origin, and what is quarantined for it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
    ['its history', () => ({ ids: [id], include_history: true })],
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

describe('the rules', () => {
  const standing: Standing = {
    namespace: 1n,
    id: '01a00000-0000-7000-8000-000000000001',
    recordedAt: new Date('2026-03-01T00:00:00Z'),
    ownerAgent: 'ada',
    access: 'shared',
    readers: null,
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
    ['other readers', { readers: ['bob'] }, { readers: ['grace'] }, false],
    ['fewer readers', {}, { readers: ['grace'] }, false],
    ['the same readers', { readers: ['bob', 'grace'] }, { readers: ['bob', 'grace'] }, true],
    ['a quarantined newer', { quarantine: 2 }, {}, false],
    ['a quarantined older', {}, { quarantine: 2 }, true],
    ['recorded before it', { recordedAt: new Date('2026-02-01T00:00:00Z') }, {}, false],
    [
      'in the same instant, made before it',
      { id: '01a00000-0000-7000-8000-000000000000' },
      {},
      false,
    ],
    ['itself', { id: standing.id }, {}, false],
  ])('a memory supersedes another: %s', (_name, newer, older, expected) => {
    const id = '01a00000-0000-7000-8000-000000000002'
    expect(maySupersede({ ...standing, id, ...newer }, { ...standing, ...older })).toBe(expected)
  })

  test('reasons keep their bits', () => {
    expect(quarantineReasons.map((reason) => reasonBits([reason]))).toEqual([
      1, 2, 4, 8, 16, 32, 64,
    ])
    expect(reasonsOf(reasonBits(['hidden', 'channel']))).toEqual(['channel', 'hidden'])
    expect(quarantineOf({ trust: 3 })).toBe(0)
    expect(quarantineOf({ trust: 1 }, ['tool'])).toBe(5)
  })

  test('what a file says of its source counts where the operator vouches for it, or against it', () => {
    expect(importedSource({ kind: 'user', trust: 3 }, false)).toEqual({ kind: 'import', trust: 2 })
    expect(importedSource({ kind: 'agent', trust: 2 }, false)).toEqual({ kind: 'import', trust: 2 })
    expect(importedSource({ kind: 'web', trust: 0 }, false)).toEqual({ kind: 'import', trust: 0 })
    expect(importedSource({ kind: 'user', trust: 3 }, true)).toEqual({ kind: 'user', trust: 3 })
  })
})
