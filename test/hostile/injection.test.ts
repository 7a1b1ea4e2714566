/**
 * Statements that an injection would try, as the application's role under a valid context of its own
 * namespace: each with the refusal that it meets, or the nothing that it sees. Both engines.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Principal } from '../../src/principal.ts'
import { testEngine } from '../support/database.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import {
  insufficientPrivilege,
  invalidContext,
  statementsOf,
  type Statements,
} from '../support/statements.ts'

const canary = `zq${randomBytes(8).toString('hex')}`
let memory: TestMemory
let hostile: Statements
let mine: Principal
let theirs: Principal
let as: string
/** A memory, a version's document and a key of the other namespace. */
let foreign: { id: string; document: number; key: string }
let absent: bigint

beforeAll(async () => {
  memory = await openTestMemory()
  hostile = statementsOf(memory.test)
  mine = await memory.principal({ namespaceName: 'mine' })
  theirs = await memory.principal({ namespaceName: 'theirs', agent: 'eve', profile: 'sealed' })
  await memory.execute(memory.operations.store, mine, { content: 'Ada lives in Lisbon.' })
  const { results } = await memory.execute(memory.operations.store, theirs, {
    content: `Eve ${canary} lives in Oslo.`,
    tags: ['home'],
    idempotency_key: 'theirs',
  })
  await memory.execute(memory.operations.forget, theirs, { everything: true })
  const operator = await memory.principal({
    namespaceName: 'theirs',
    scopes: ['admin'],
    channel: 'cli',
  })
  const issued = await memory.execute(memory.operations.keyIssue, operator, { agent: 'eve' })
  as = hostile.agent(mine.namespace, 'ada')
  absent = (mine.namespace ^ theirs.namespace) >> 1n
  const id = results[0]?.id ?? ''
  const [row] = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ document: number; key: string }>`
      select m.document, (select k.id::text from mindglue.api_keys k limit 1) as key
      from mindglue.memories m where m.id = ${id}`,
  )
  foreign = { id, document: row?.document ?? 0, key: row?.key ?? issued.id }
})
afterAll(() => memory.close())

const hex = (text: string): string => Buffer.from(text).toString('hex')
const forged = (): string =>
  `${theirs.namespace}|${hex('eve')}|aqj|9999999999|${randomBytes(32).toString('hex')}`
const others = (column = 'namespace'): string => `${column} = ${theirs.namespace}`

/** Statements with one expected SQLSTATE. Several texts run one after the other in one transaction. */
type Refused = readonly [what: string, state: string, statements: () => readonly string[]]
const denied = (what: string, ...texts: readonly string[]): Refused => [
  what,
  insufficientPrivilege,
  () => texts,
]
const deniedFor = (what: string, text: () => string): Refused => [
  what,
  insufficientPrivilege,
  () => [text()],
]

const refused: readonly Refused[] = [
  // Contexts
  [
    'a context of another namespace, made up',
    invalidContext,
    () => [`select set_config('mindglue.context', '${forged()}', true)`, 'select * from memories'],
  ],
  [
    'a context for the session, made up',
    invalidContext,
    () => [`set session mindglue.context = '${forged()}'`, 'select * from sealed_embeddings'],
  ],
  [
    'a context made up within a block',
    invalidContext,
    () => [
      `do $$ begin perform set_config('mindglue.context', '${forged()}', true);
      perform count(*) from mindglue.memories; end $$`,
    ],
  ],
  [
    'a context signed over by one of the same length',
    invalidContext,
    () => [
      `select set_config('mindglue.context', overlay(current_setting('mindglue.context')
      placing '${theirs.namespace}' from 1), true)`,
      'select * from memories',
    ],
  ],
  denied('the key of contexts', 'select * from context_keys'),
  denied('the check of a context', 'select verified_context()'),
  denied(
    'the check behind a block that swallows errors',
    `do $$ begin begin perform 1; end;
    execute 'select * from mindglue.context_keys'; end $$`,
  ),
  // Catalogues, files, other sessions
  denied('passwords', 'select * from pg_authid'),
  denied('passwords by the view', 'select passwd from pg_shadow'),
  denied('statistics with values', 'select * from pg_statistic'),
  denied('statistics of expressions', 'select * from pg_statistic_ext_data'),
  denied('large objects of everybody', 'select * from pg_largeobject'),
  denied('a file', `select pg_read_file('PG_VERSION')`),
  denied('a file in bytes', `select pg_read_binary_file('PG_VERSION')`),
  denied('a directory', `select pg_ls_dir('.')`),
  denied('the log of writes', 'select pg_ls_waldir()'),
  denied('a file by a large object', `select lo_import('/etc/passwd')`),
  denied('a file by a copy', `copy memories from '/etc/passwd'`),
  denied('a program by a copy', `copy memories from program 'true'`),
  denied('a copy out to a file', `copy (select 1) to '/nowhere/copy'`),
  ['a copy in past the policies', '0A000', () => ['copy memories from stdin']],
  denied('rules of logins', 'select * from pg_hba_file_rules'),
  denied('settings of files', 'select * from pg_file_settings'),
  denied('shared memory', 'select * from pg_shmem_allocations'),
  denied('a replication slot', `select pg_create_physical_replication_slot('spy')`),
  denied('another segment of the log', 'select pg_switch_wal()'),
  denied('other settings for all', 'select pg_reload_conf()'),
  // Definitions
  denied('a policy of keys dropped', 'drop policy own_namespace on memory_keys'),
  denied('policies of vectors off', 'alter table sealed_embeddings disable row level security'),
  denied('policies of keys off', 'alter table namespace_keys no force row level security'),
  denied('a policy widened', 'alter policy own_namespace on postings using (true)'),
  denied('a restrictive policy dropped', 'drop policy not_quarantined on memories'),
  denied('a trigger off', 'alter table memories disable trigger keep_trust'),
  denied(
    'a trigger of its own',
    'create trigger spy before insert on memories for each row execute function suppress_redundant_updates_trigger()',
  ),
  denied('a rule', 'create rule spy as on insert to memories do also notify spy'),
  denied('a view', 'create view mindglue.all_of_it as select * from mindglue.memories'),
  denied('a materialized view', 'create materialized view public.all_of_it as select 1 as one'),
  denied('an index with a function of its own', 'create index spy on memories (content)'),
  denied(
    'a function',
    `create function public.spy(text) returns boolean language sql cost 0.0000001 as 'select true'`,
  ),
  denied(
    'an operator',
    'create operator public.=== (leftarg = text, rightarg = text, function = texteq)',
  ),
  denied('a cast', 'create cast (text as bigint) with inout'),
  denied('a table in the place of ours', 'create temporary table memories (content bytea)'),
  denied('a view in the place of ours', 'create temporary view memories as select 1 as one'),
  denied(
    'a function in the place of ours',
    `create function pg_temp.context_namespace() returns bigint language sql as 'select 1::bigint'`,
  ),
  denied(
    'an event trigger',
    'create event trigger spy on ddl_command_start execute function suppress_redundant_updates_trigger()',
  ),
  denied('a wrapper of foreign data', 'create foreign data wrapper spy'),
  denied('a publication of all', 'create publication spy for all tables'),
  denied(
    'other rights of a function',
    'alter function mindglue.context_namespace() owner to mindglue_app',
  ),
  denied(
    'other rights of tables to come',
    'alter default privileges for role mindglue_owner grant select on tables to public',
  ),
  denied('everything of the owner', 'reassign owned by mindglue_owner to mindglue_app'),
  denied('the directory of keys to all', 'grant select on api_keys to public'),
  denied('the owner for itself', 'grant mindglue_owner to mindglue_app'),
  denied('the end of the schema', 'drop schema mindglue cascade'),
  denied('all keys of memories at once', 'truncate memory_keys, sealed_embeddings'),
  denied('the marks of a job', 'select namespace_page(0, 1000)'),
  denied('root keys let go by a request', 'select root_key_remove(1)'),
  denied('the work of all namespaces', `select due_page('expiry', '2099-01-01', 100)`),
  // Rows of others, written
  deniedFor(
    'a key for another namespace',
    () => `insert into memory_keys values (${theirs.namespace}, '${foreign.id}', 9, 1, 1, '\\x00')`,
  ),
  deniedFor(
    'a vector for another namespace',
    () => `insert into sealed_embeddings values (${theirs.namespace}, 77, '\\x00')`,
  ),
  deniedFor(
    'a plain vector for another namespace',
    () => `update embeddings set namespace = ${theirs.namespace}`,
  ),
  deniedFor(
    'a salt for another namespace',
    () => `update namespace_keys set namespace = ${theirs.namespace}`,
  ),
  deniedFor(
    'a key moved to another namespace',
    () => `update memory_keys set namespace = ${theirs.namespace}`,
  ),
  deniedFor(
    'a namespace for another',
    () => `insert into namespaces (namespace, name, embedder_model, embedder_dimension, analyzer_version, index_key)
    values (${theirs.namespace}, 'x', 'x', 0, 1, '\\x00') on conflict (namespace) do update set name = 'mine now'`,
  ),
  deniedFor(
    'a posting written over',
    () => `insert into postings values (${theirs.namespace}, 1, ${foreign.document}, 1, 1)
    on conflict (namespace, term, document) do update set frequency = 9`,
  ),
  deniedFor(
    'a row merged into another namespace',
    () => `merge into entities e using (select 1) s on ${others('e.namespace')}
    when matched then delete when not matched then insert values (${theirs.namespace}, 1, '\\x41', 'person')`,
  ),
  deniedFor(
    'a namespace that is not there, with the same refusal',
    () => `insert into sealed_embeddings values (${absent}, 77, '\\x00')`,
  ),
]

describe('refused', () => {
  test.each(refused)('%s', async (_what, state, statements) => {
    expect(await hostile.stateOf(as, ...statements())).toBe(state)
  })

  test('at least forty of them, all different', () => {
    const texts = refused.map(([, , statements]) => statements().join(';'))
    expect(new Set(texts).size).toBe(refused.length)
    expect(refused.length).toBeGreaterThanOrEqual(40)
  })
})

/** Statements that are allowed and see, change or tell nothing of another namespace. */
const fruitless: readonly (readonly [what: string, statement: () => string])[] = [
  ['rows asked for by their namespace', () => `select id from memories where ${others()}`],
  ['a row asked for by its id', () => `select id from memories where id = '${foreign.id}'`],
  ['keys', () => `select token from memory_keys where ${others()}`],
  ['sealed vectors', () => `select token from sealed_embeddings where ${others()}`],
  ['salts', () => `select salt from namespace_keys where ${others()}`],
  ['settings', () => `select index_key from namespaces where ${others()}`],
  ['confirmations', () => `select token_hash from confirmations where ${others()}`],
  ['events', () => `select id from audit_events where ${others()}`],
  [
    'a join from the inside',
    () => `select m.id from generate_series(1, 3) g cross join lateral (
    select id from memories where ${others()} offset 0) m`,
  ],
  [
    'a recursion',
    () =>
      `with recursive r as (select id from memories where ${others()} union select id from r) select * from r`,
  ],
  ['a deletion', () => `delete from memories where ${others()} returning id`],
  ['a deletion of keys', () => `delete from memory_keys where ${others()} returning id`],
  ['an update', () => `update memories set importance = 1 where ${others()} returning id`],
  ['a lock', () => `select id from memories where ${others()} for update`],
  [
    'most common values',
    () => `select * from pg_stats where schemaname = 'mindglue' and tablename in
    ('memories', 'memory_keys', 'sealed_embeddings', 'embeddings', 'entities', 'namespaces')`,
  ],
  [
    'statistics of expressions',
    () => `select * from pg_stats_ext_exprs where schemaname = 'mindglue'`,
  ],
  ['keys of a namespace that is not its own', () => 'select * from api_key_list(null, 500)'],
  ['a key ended', () => `select 1 where api_key_revoke('${foreign.key}') is not null`],
  [
    'a key turned over',
    () => `select * from api_key_rotate('${foreign.key}', decode(repeat('00', 32), 'hex'), 0)`,
  ],
  [
    'a key made',
    () => `select 1 where api_key_issue('01890000-0000-7000-8000-0000000000aa', 'ada', '', 'admin',
    null, null, decode(repeat('00', 32), 'hex'), null) is not null`,
  ],
  [
    'queries of other roles',
    () => `select query from pg_stat_activity
    where usename is distinct from current_user and query is not null and query not in ('', '<insufficient privilege>')`,
  ],
  [
    'a word in the queries of its own role',
    () =>
      `select query from pg_stat_activity where query like '%${canary.slice(0, 6)}' || '${canary.slice(6)}%'`,
  ],
  // Conditions that would tell of a row by an error or a side effect, were they asked before the policy.
  [
    'a division that fails on a foreign row',
    () => `select 1 from memories where 1 / (namespace - ${theirs.namespace}) = 7`,
  ],
  [
    'a cast that fails on a foreign row',
    () =>
      `select 1 from memory_keys where case when ${others()} then id::text::int = 1 else false end`,
  ],
  [
    'a cast to a word on a foreign row',
    () =>
      `select 1 from entities where case when ${others()} then convert_from(name, 'UTF8')::int = 1 else false end`,
  ],
  [
    'a random number between it and the row',
    () => `select 1 from memories where random() < 0 or ${others()}`,
  ],
  [
    'an order by what fails',
    () => `select 1 from memories where ${others()} order by 1 / (document - document)`,
  ],
  [
    'an aggregate',
    () =>
      `select max(content) as content from memories where ${others()} having max(content) is not null`,
  ],
]

describe('without a fruit', () => {
  test.each(fruitless)('%s', async (_what, statement) => {
    expect(await hostile.rows(as, statement())).toEqual([])
  })

  test('what a condition writes down of the rows it was asked about is its own alone', async () => {
    const seen = await hostile.attempt(as, async (sql) => {
      await sql`select set_config('spy.rows', '', true)`
      // Not leakproof: asked before the policy it would hear of every row of the table.
      await sql`select count(*) from memories
        where set_config('spy.rows', current_setting('spy.rows') || namespace || ' ', true) is null`
      const [row] = await sql<{ seen: string }>`select current_setting('spy.rows') as seen`
      return row?.seen.trim().split(' ') ?? []
    })
    expect(new Set(seen)).toEqual(new Set([String(mine.namespace)]))
  })

  test('a savepoint gives back the context that was there, and no other', async () => {
    const namespaces = await hostile.attempt(as, async (sql) => {
      await sql`savepoint before`
      await sql`select set_config('mindglue.context', ${forged()}, true)`
      await sql`rollback to savepoint before`
      return await sql<{ namespace: bigint }>`select distinct namespace from memories`
    })
    expect(namespaces).toEqual([{ namespace: mine.namespace }])
  })

  test('a grant that is not its own to give changes nothing', async () => {
    await hostile.stateOf(
      as,
      'grant select, insert on memories to public',
      'grant all on memory_keys to mindglue_audit',
    )
    const [rights] = await memory.test.owner.ownerTransaction(
      (
        sql,
      ) => sql`select has_table_privilege('mindglue_audit', 'mindglue.memories', 'select') as one,
        has_table_privilege('mindglue_audit', 'mindglue.memory_keys', 'select') as two`,
    )
    expect(rights).toEqual({ one: false, two: false })
  })

  test('an id that another namespace has is free in its own: no key tells', async () => {
    const copy = `insert into memory_keys values (${mine.namespace}, '${foreign.id}', 1, 1, 1, '\\x00')`
    expect(await hostile.stateOf(as, copy)).toBe('done')
  })
})

// The embedded engine's session belongs to its administrator: there the process is the boundary.
describe.runIf(testEngine === 'postgres')('a session', () => {
  test.each([
    ['the owner’s role', 'set role mindglue_owner'],
    ['the role of the audit', 'set role mindglue_audit'],
    ['a superuser', 'set session authorization postgres'],
    ['another database’s way in', 'create extension dblink'],
    ['files as tables', 'create extension file_fdw'],
    ['a setting for all', `alter system set log_statement = 'all'`],
    ['words in the log', `set log_statement = 'all'`],
    ['parameters in the log', 'set log_parameter_max_length = -1'],
    ['a library', `load 'auto_explain'`],
    ['a checkpoint', 'checkpoint'],
    ['a database', 'create database evil'],
    ['a tablespace', `create tablespace evil location '/nowhere'`],
    ['a role of its own', 'create role evil superuser'],
  ])('%s is refused', async (_what, statement) => {
    const state = await hostile.stateOf(as, statement)
    // What may not run in a transaction is refused for that before anything else is looked at.
    expect([insufficientPrivilege, '25001']).toContain(state)
    expect(state).not.toBe('done')
  })

  test('ending the transaction ends the context with it', async () => {
    const rows = await hostile.attempt(as, async (sql) => {
      await sql`commit`
      return await sql`select id from mindglue.memories`
    })
    expect(rows).toEqual([])
  })
})
