/** What a grant shows to statements that come past our code, and that nothing is written under it. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { v7 as uuidv7 } from 'uuid'
import { allScopes, type Principal } from '../../src/principal.ts'
import {
  openHostileGrants,
  type GrantParts,
  type HostileGrants,
} from '../support/hostile-grants.ts'
import type { TestMemory } from '../support/memory.ts'
import { hexOf, inAnHour, invalidContext, raw, type Statements } from '../support/statements.ts'

let grants: HostileGrants
let memory: TestMemory
let hostile: Statements
let home: Principal
let reader: Principal
beforeAll(async () => {
  grants = await openHostileGrants()
  ;({ memory, hostile, home, reader } = grants)
})
afterAll(() => memory.close())

/** Tables that a grant shows a part of; `sealed_embeddings` in a namespace of that profile. */
const shown = ['memories', 'memory_keys', 'mentions', 'postings', 'embeddings'] as const

describe('a grant shows', () => {
  test.each<readonly [string, readonly string[]]>([
    ['all', ['fact', 'open']],
    ['facts', ['fact']],
    ['tagged', ['open']],
    ['named', ['open']],
    ['shared', ['fact', 'open', 'shared']],
    ['revoked', []],
    ['expired', []],
  ])('by the terms `%s` exactly those memories', async (name, expected) => {
    expect(await grants.seen(grants.named(name))).toEqual(expected)
  })

  test('of what was derived from memories the part of those, and no other row of any table', async () => {
    const documents = await memory.test.owner.ownerTransaction(
      (sql) => sql<{ document: number; id: string; version: number }>`
        select document, id, version from mindglue.memories
        where id in (${grants.memoryId('fact')}::uuid, ${grants.memoryId('open')}::uuid)`,
    )
    const allowed = new Set(documents.map(({ document }) => document))
    for (const table of ['mentions', 'postings', 'embeddings']) {
      const rows = await hostile.attempt(
        grants.named('all'),
        (sql) => sql<{ namespace: bigint; document: number }>`
          select namespace, document from ${raw(table)}`,
      )
      expect([table, rows.length > 0]).toEqual([table, true])
      for (const row of rows) {
        expect(row.namespace).toBe(home.namespace)
        expect([table, allowed.has(row.document)]).toEqual([table, true])
      }
    }
    const keys = await hostile.attempt(
      grants.named('all'),
      (sql) => sql<{ id: string }>`select id from memory_keys`,
    )
    expect(keys.map(({ id }) => id).toSorted()).toEqual(documents.map(({ id }) => id).toSorted())
    const tables = await memory.test.owner.ownerTransaction(
      (sql) => sql<{ name: string }>`
        select c.relname as name from pg_class c
        where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p')
          and c.relrowsecurity and has_table_privilege('mindglue_app', c.oid, 'select')`,
    )
    const known = new Set<string>([...shown, 'sealed_embeddings'])
    for (const { name } of tables) {
      if (known.has(name)) continue
      const rows = await hostile.attempt(
        grants.named('all'),
        (sql) => sql`select * from ${raw(name)}`,
      )
      // Its own settings, salt and the grants that the reader holds; nothing of the reader's namespace.
      const most = { namespaces: 1, namespace_keys: 1, grants: 7 }[name] ?? 0
      expect([name, rows.length]).toEqual([name, most])
    }
  })

  test('vectors of a sealed namespace likewise', async () => {
    const sealed = await memory.principal({ namespaceName: 'sealed', profile: 'sealed' })
    await memory.execute(memory.operations.store, sealed, {
      memories: [
        { content: 'The mole is open.', access: 'public' },
        { content: 'The mole is closed.' },
      ],
    })
    const giver = { ...sealed, agent: 'root', scopes: new Set(allScopes) }
    const { id } = await memory.execute(memory.operations.grantCreate, giver, { to: 'reader' })
    const as = grants.under({ home: sealed.namespace, grant: id })
    const rows = await hostile.rows(as, 'select document from sealed_embeddings')
    expect(rows).toHaveLength(1)
    expect(
      await hostile.rows(grants.own(sealed), 'select document from sealed_embeddings'),
    ).toHaveLength(2)
    const remove = 'delete from sealed_embeddings returning document'
    expect(await hostile.rows(as, remove)).toEqual([])
  })

  test('to a context of its own kind alone: the reader’s own namespace sees nothing of it', async () => {
    for (const table of shown) {
      for (const flags of ['-', 'a', 'aq', 'aqj', 'g']) {
        const rows = await hostile.attempt(
          grants.own(reader, flags),
          (sql) => sql`select 1 from ${raw(table)} where namespace <> ${reader.namespace}`,
        )
        expect([table, flags, rows]).toEqual([table, flags, []])
      }
    }
  })
})

describe('a forged or mismatched context', () => {
  test.each<readonly [string, () => GrantParts]>([
    ['of a grant that is not there', () => ({ grant: uuidv7() })],
    ['of another holder', () => ({ reader: 12345n })],
    ['of the giver itself', () => ({ reader: home.namespace })],
    ['of a home that gave it not', () => ({ home: reader.namespace })],
    ['of no home', () => ({ home: 0n })],
  ])('%s shows no row, though it is signed', async (_what, parts) => {
    for (const table of [...shown, 'namespaces', 'namespace_keys']) {
      const rows = await hostile.rows(grants.under(parts()), `select * from ${table}`)
      expect([table, rows]).toEqual([table, []])
    }
  })

  test.each<readonly [string, () => string]>([
    [
      'with another grant put in',
      () => grants.under().replace(grants.grantId('all'), grants.grantId('shared')),
    ],
    ['with another home put in', () => grants.under().replace(`${home.namespace}`, '1')],
    ['with another reader put in', () => grants.under().replace(`${reader.namespace}`, '1')],
    [
      'signed with another key',
      () => grants.under().slice(0, -64) + randomBytes(32).toString('hex'),
    ],
    ['that has expired', () => grants.under({ expires: Math.floor(Date.now() / 1000) - 1 })],
    ['with the flags of an administrator', () => grants.under({ flags: 'a' })],
    ['with the flags of an administrator as well', () => grants.under({ flags: 'ga' })],
    ['without flags', () => grants.under({ flags: '-' })],
    ['of five parts', () => hostile.sign(home.namespace, hexOf('bob'), 'g', inAnHour(), 'x')],
    ['of seven parts', () => hostile.sign(home.namespace, hexOf('b'), 'g', inAnHour(), 1, 2, 3)],
    ['of three parts', () => hostile.sign(home.namespace, hexOf('bob'), 'g')],
    [
      'of an agent’s own with something behind it',
      () => hostile.sign(home.namespace, hexOf('bob'), 'a', inAnHour(), reader.namespace, 'x'),
    ],
    ['cut off before its grant', () => grants.under().split('|').slice(0, 5).join('|')],
  ])('%s is refused by every table', async (_what, forged) => {
    for (const table of [...shown, 'namespaces', 'grants']) {
      const state = await hostile.stateOf(forged(), `select * from ${table}`)
      // Signed, but too short to hold when it ends: it has no end that could be compared.
      expect([table, state]).toEqual([table, invalidContext])
    }
  })

  test('cannot be made by a hostile agent name', async () => {
    const name = `bob|g|${inAnHour()}|${reader.namespace}|${grants.grantId('all')}`
    expect(await grants.seen(hostile.agent(reader.namespace, name))).not.toContain('open')
  })
})

describe('under a grant', () => {
  test.each<readonly [string, string]>([
    ['changing a memory', `update memories set importance = 1 returning id`],
    ['moving it to another namespace', `update memories set namespace = 1 returning id`],
    ['deleting memories', `delete from memories returning id`],
    ['locking a memory', `select id from memories for update`],
    ['sharing a lock of one', `select id from memories for key share`],
    ['deleting keys', `delete from memory_keys returning id`],
    ['changing keys', `update memory_keys set epoch = 0 returning id`],
    ['deleting words', `delete from postings returning document`],
    ['changing words', `update postings set frequency = 9 returning document`],
    ['deleting vectors', `delete from embeddings returning document`],
    ['changing vectors', `update embeddings set document = document returning document`],
    ['deleting names', `delete from mentions returning document`],
    ['changing names', `update mentions set document = document returning document`],
    ['changing settings', `update namespaces set plan = 'x' returning namespace`],
    ['deleting settings', `delete from namespaces returning namespace`],
    ['deleting the salt', `delete from namespace_keys returning namespace`],
    ['ending a grant', `update grants set revoked_at = now() returning id`],
  ])('%s touches nothing', async (_what, statement) => {
    expect([statement, await hostile.rows(grants.named('all'), statement)]).toEqual([statement, []])
  })

  test.each<readonly [string, () => string]>([
    [
      'a memory',
      () => `insert into memories (namespace, id, version, document, content, type, source_kind,
        source_agent, owner_agent, occurred_at, valid_from, recorded_at, dedupe_key, terms, tag_terms, entities,
        length) values (${home.namespace}, '${uuidv7()}', 1, 9999, '', 'fact', 'agent', 'bob', 'bob', now(), now(), now(),
        '', '', '', '', 0)`,
    ],
    ['a word', () => `insert into postings values (${home.namespace}, 1, 1, 1, 1)`],
    ['a name', () => `insert into entities values (${home.namespace}, 1, '', 'person')`],
    ['a mention', () => `insert into mentions values (${home.namespace}, 1, 1)`],
    [
      'a grant',
      () => `insert into grants (namespace, id, grantee, namespace_name, grantee_name, created_by)
        values (${home.namespace}, '${uuidv7()}', ${reader.namespace}, 'home', 'reader', 'bob')`,
    ],
    [
      'an audit event',
      () => `select audit_append('${uuidv7()}', 'stdio', 'x', 'ok', '${uuidv7()}', '{}', 0, '')`,
    ],
  ])('adding %s is refused, to the home and to the reader', async (_what, statement) => {
    const text = statement()
    for (const target of [text, text.replaceAll(`${home.namespace}`, `${reader.namespace}`)]) {
      expect(['done', await hostile.stateOf(grants.named('all'), target)]).not.toEqual([
        'done',
        'done',
      ])
    }
  })

  test('the program opens a transaction that cannot write', async () => {
    const grant = { id: grants.grantId('all'), namespace: home.namespace }
    const [row] = await memory.test.scope.withGrant(
      reader,
      grant,
      (tx) => tx<{ read: string }>`select current_setting('transaction_read_only') as read`,
    )
    expect(row?.read).toBe('on')
  })
})
