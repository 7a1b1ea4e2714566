/** Access per memory against statements that come past our code: the database itself refuses them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import {
  checkViolation,
  insufficientPrivilege,
  statementsOf,
  type Statements,
} from '../support/statements.ts'

let memory: TestMemory
let hostile: Statements
let ada: Principal
let sealed: Principal
let shared: string
let secret: string
/** Signed contexts. */
let as: Record<'ada' | 'grace' | 'eve' | 'admin', string>

beforeAll(async () => {
  memory = await openTestMemory()
  hostile = statementsOf(memory.test)
  ada = await memory.principal({ namespaceName: 'access' })
  const { results } = await memory.execute(memory.operations.store, ada, {
    memories: [
      { content: 'The canteen opens at noon.' },
      { content: 'Zanzibar is the code word.', access: 'private', allowed_agents: ['grace'] },
    ],
    idempotency_key: 'access',
  })
  sealed = await memory.principal({ namespaceName: 'sealed', profile: 'sealed' })
  await memory.execute(memory.operations.store, sealed, {
    content: 'Zanzibar is the code word.',
    access: 'private',
    allowed_agents: ['grace'],
  })
  shared = results[0]?.id ?? ''
  secret = results[1]?.id ?? ''
  await memory.execute(memory.operations.forget, ada, { everything: true })
  const context = (agent: string, flags?: string) => hostile.agent(ada.namespace, agent, flags)
  as = {
    ada: context('ada'),
    grace: context('grace'),
    eve: context('eve'),
    admin: context('root', 'a'),
  }
})
afterAll(() => memory.close())

const bit = '(-2147483648)::int4'
/** A copy of a memory with some columns replaced. */
const copy = (id: string, changes: Readonly<Record<string, string>>): string => {
  const columns =
    'namespace id version document is_current content type source_kind source_agent trust owner_agent access readers occurred_at valid_from recorded_at dedupe_key terms tag_terms entities length'.split(
      ' ',
    )
  const values = columns.map((column) => changes[column] ?? column)
  return `insert into memories (${columns.join(', ')}) select ${values.join(', ')} from memories where id = '${id}'`
}
const another = {
  is_current: 'false',
  document: `document + 7777`,
  dedupe_key: `'\\x01'`,
  source_agent: 'context_agent()',
}

describe('what another agent may not change of a memory it sees', () => {
  test.each<[string, () => string]>([
    ['its access', () => `update memories set access = 'public' where id = '${shared}'`],
    [
      'its access, to its own eyes alone',
      () =>
        `update memories set access = 'private', document = document # ${bit} where id = '${shared}'`,
    ],
    ['its owner', () => `update memories set owner_agent = 'eve' where id = '${shared}'`],
    ['its id', () => `update memories set id = '${secret}' where id = '${shared}'`],
    [
      'all of it at once',
      () => `update memories set access = 'public', owner_agent = 'eve' where id = '${shared}'`,
    ],
  ])('%s', async (_what, statement) => {
    expect(await hostile.stateOf(as.eve, statement())).toBe(insufficientPrivilege)
    expect(await hostile.stateOf(as.admin, statement())).not.toBe(insufficientPrivilege)
  })

  test('the readers, whom not even one of them adds or removes', async () => {
    for (const readers of ["array['grace', 'eve']", "array['x']", 'null']) {
      const statement = `update memories set readers = ${readers} where id = '${secret}'`
      expect(await hostile.stateOf(as.grace, statement)).toBe(insufficientPrivilege)
      expect(await hostile.stateOf(as.ada, statement)).toBe('done')
      expect(await hostile.stateOf(as.admin, statement)).toBe('done')
    }
  })

  test('the access of a private one that it reads', async () => {
    const open = `update memories set access = 'shared', readers = null, document = 1000 + document # ${bit}
      where id = '${secret}'`
    expect(await hostile.stateOf(as.grace, open)).toBe(insufficientPrivilege)
    expect(await hostile.stateOf(as.ada, open)).toBe('done')
  })
})

test.each([
  `content = '\\x01'`,
  `raw_content = '\\x01'`,
  `source_kind = 'user'`,
  `source_agent = 'eve'`,
  `source_request = gen_random_uuid()`,
])(
  'what a memory says and who said it: no agent sets %s in place, its owner neither',
  async (set) => {
    const statement = `update memories set ${set} where id = '${shared}'`
    expect(await hostile.stateOf(as.eve, statement)).toBe(insufficientPrivilege)
    expect(await hostile.stateOf(as.ada, statement)).toBe(insufficientPrivilege)
    expect(await hostile.stateOf(as.admin, statement)).toBe('done')
  },
)

describe('a new row', () => {
  test('is stored in nobody else’s name', async () => {
    const id = `'01890000-0000-7000-8000-0000000000b1'`
    const forged = copy(shared, { ...another, id, owner_agent: `'ada'` })
    expect(await hostile.stateOf(as.eve, forged)).toBe(insufficientPrivilege)
    expect(await hostile.stateOf(as.ada, forged)).toBe('done')
    const own = copy(shared, { ...another, id, owner_agent: `'eve'` })
    expect(await hostile.stateOf(as.eve, own)).toBe('done')
  })

  test('is believed as an agent is, and never as the person or a file that was brought', async () => {
    const id = `'01890000-0000-7000-8000-0000000000b1'`
    for (const changes of [
      { trust: '3' },
      { source_kind: `'user'` },
      { source_kind: `'import'` },
      { version: '2', id: `'${shared}'`, source_kind: `'user'` },
      { version: '2', id: `'${shared}'`, source_kind: `'import'` },
    ]) {
      const forged = copy(shared, { ...another, id, ...changes })
      expect([changes, await hostile.stateOf(as.ada, forged)]).toEqual([
        changes,
        insufficientPrivilege,
      ])
      expect([changes, await hostile.stateOf(as.admin, forged)]).toEqual([changes, 'done'])
    }
  })

  test('says who stored it, also of an administrator', async () => {
    const id = `'01890000-0000-7000-8000-0000000000b1'`
    const forged = copy(shared, { ...another, id, source_agent: `'grace'` })
    expect(await hostile.stateOf(as.ada, forged)).toBe(insufficientPrivilege)
    expect(await hostile.stateOf(as.admin, forged)).toBe(insufficientPrivilege)
  })

  test('is a version of nothing out of sight, and keeps owner, access, readers and trust', async () => {
    const version = { ...another, version: '2' }
    expect(await hostile.stateOf(as.eve, copy(shared, version))).toBe('done')
    const own = `'eve'`
    for (const changes of [
      { owner_agent: own },
      { access: `'public'` },
      { id: `'${secret}'`, owner_agent: own },
      { id: `'01890000-0000-7000-8000-0000000000b2'` },
    ]) {
      const state = await hostile.stateOf(as.eve, copy(shared, { ...version, ...changes }))
      expect([changes, state]).toEqual([changes, insufficientPrivilege])
    }
    for (const trust of ['3', '1']) {
      const state = await hostile.stateOf(as.eve, copy(shared, { ...version, trust }))
      expect([trust, state]).toEqual([trust, insufficientPrivilege])
    }
    const wider = copy(secret, { ...version, readers: `array['grace', 'eve']` })
    expect(await hostile.stateOf(as.grace, wider)).toBe(insufficientPrivilege)
  })
})

describe('a private memory', () => {
  test('is not there for another agent, whatever it tries', async () => {
    for (const statement of [
      `select id from memories where id = '${secret}'`,
      `update memories set importance = 1 where id = '${secret}' returning id`,
      `delete from memories where id = '${secret}' returning id`,
      `select id from memories where id = '${secret}' for update`,
    ]) {
      expect([statement, await hostile.rows(as.eve, statement)]).toEqual([statement, []])
      expect(await hostile.rows(as.grace, statement)).toHaveLength(1)
    }
  })

  test.each(['postings', 'embeddings', 'sealed_embeddings'])(
    'lends another agent none of its %s',
    async (table) => {
      const select = `select document from ${table} where document < 0`
      const remove = `delete from ${table} where document < 0 returning document`
      const namespace = table === 'sealed_embeddings' ? sealed.namespace : ada.namespace
      const context = (agent: string, flags?: string) => hostile.agent(namespace, agent, flags)
      expect(await hostile.rows(context('eve'), select)).toEqual([])
      expect(await hostile.rows(context('eve'), remove)).toEqual([])
      for (const reader of [context('ada'), context('grace'), context('root', 'a')]) {
        expect((await hostile.rows(reader, select)).length).toBeGreaterThan(0)
      }
    },
  )

  test('answers no question through a key that is taken', async () => {
    // A unique violation would tell that the private memory holds the word.
    const [posting] = await hostile.attempt(
      as.ada,
      (sql) => sql<{ term: bigint; document: number }>`
        select term, document from postings where document < 0 limit 1`,
    )
    for (const term of [posting?.term, 1]) {
      const probe = `insert into postings values (${ada.namespace}, ${term}, ${posting?.document}, 1, 1)`
      expect(await hostile.stateOf(as.eve, probe)).toBe(insufficientPrivilege)
    }
  })

  test('keeps its key and what finds it, whatever another agent tries', async () => {
    const context = (agent: string, flags?: string) => hostile.agent(sealed.namespace, agent, flags)
    for (const statement of [
      `delete from memory_keys returning 1`,
      `update memory_keys set token = '\\x00' returning 1`,
      `delete from mentions where document < 0 returning 1`,
      `update mentions set document = 1 where document < 0 returning 1`,
    ]) {
      expect([statement, await hostile.rows(context('eve'), statement)]).toEqual([statement, []])
      expect(await hostile.rows(context('ada'), statement)).toHaveLength(1)
      expect(await hostile.rows(context('root', 'a'), statement)).toHaveLength(1)
    }
    // Nobody loses a name that is mentioned, not by its reader either.
    const names = `delete from entities returning 1`
    expect(await hostile.rows(context('eve'), names)).toEqual([])
    expect(await hostile.rows(context('ada'), names)).toEqual([])
  })

  test('cannot lose its mark, whoever tries', async () => {
    for (const statement of [
      `update memories set document = document # ${bit} where id = '${secret}'`,
      `update memories set access = 'shared' where id = '${secret}'`,
      `update memories set readers = array['eve'] where id = '${shared}'`,
    ]) {
      expect(await hostile.stateOf(as.admin, statement)).toBe(checkViolation)
    }
  })
})

test('what an agent did is shown to it and to an administrator alone', async () => {
  for (const table of ['audit_events', 'confirmations', 'idempotency_keys']) {
    const select = `select agent from ${table}`
    expect([table, await hostile.rows(as.eve, select)]).toEqual([table, []])
    expect((await hostile.rows(as.ada, select)).length).toBeGreaterThan(0)
    expect((await hostile.rows(as.admin, select)).length).toBeGreaterThan(0)
  }
  for (const table of ['confirmations', 'idempotency_keys']) {
    expect([table, await hostile.rows(as.eve, `delete from ${table} returning 1`)]).toEqual([
      table,
      [],
    ])
  }
})
