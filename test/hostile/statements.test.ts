/** What the application role cannot do, whatever statement it is made to run: both engines, SQLSTATE by SQLSTATE. */
import { createHmac, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SqlFragment, type Sql } from '../../src/database/database.ts'
import { sqlStateOf } from '../../src/database/faults.ts'
import type { Principal } from '../../src/principal.ts'
import { testEngine } from '../support/database.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
let mine: Principal
let theirs: Principal
/** Tables of the schema: those that the application may read under a policy, and those that it may not touch. */
let guarded: string[]
let closed: string[]
/** Guarded tables that hold a row: of an empty one the planner may ask no policy. */
let filled: string[]

beforeAll(async () => {
  memory = await openTestMemory()
  mine = await memory.principal({ namespaceName: 'mine' })
  theirs = await memory.principal({ namespaceName: 'theirs' })
  for (const principal of [mine, theirs]) {
    const input = {
      memories: [
        { content: 'Ada Lovelace lives in Lisbon.', tags: ['home'], ttl_seconds: 3600 },
        { content: 'A private note.', access: 'private', allowed_agents: ['grace'] },
      ],
      idempotency_key: 'first',
    }
    await memory.execute(memory.operations.store, principal, input)
    await memory.execute(memory.operations.forget, principal, { everything: true })
  }
  const tables = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ name: string; is_guarded: boolean }>`
      select c.relname as name, c.relrowsecurity and c.relforcerowsecurity
        and has_table_privilege('mindglue_app', c.oid, 'select') as is_guarded
      from pg_class c
      where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p')
        and c.relname <> 'migrations' order by 1`,
  )
  guarded = tables.flatMap(({ name, is_guarded: isGuarded }) => (isGuarded ? [name] : []))
  closed = tables.flatMap(({ name, is_guarded: isGuarded }) => (isGuarded ? [] : [name]))
  filled = []
  for (const table of guarded) {
    const rows = await memory.test.owner.ownerTransaction(
      (sql) => sql`select from ${raw(`mindglue.${table}`)} limit 1`,
    )
    if (rows.length > 0) filled.push(table)
  }
})
afterAll(() => memory.close())

interface ContextParts {
  readonly namespace?: bigint | string
  readonly agentHex?: string
  readonly flags?: string
  readonly expires?: number
  readonly key?: Uint8Array
}

const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600

/** A context as the program signs it, with any part replaced. */
function context(parts: ContextParts = {}): string {
  const agentHex = parts.agentHex ?? Buffer.from('ada').toString('hex')
  const body = [
    parts.namespace ?? mine.namespace,
    agentHex,
    parts.flags ?? '-',
    parts.expires ?? inAnHour(),
  ].join('|')
  const key = parts.key ?? memory.test.contextKey
  return `${body}|${createHmac('sha256', key).update(body).digest('hex')}`
}

/** Runs as the application role; the transaction is undone. `as`: a context, as it stands. */
async function attempt<T>(work: (sql: Sql) => Promise<T>, as?: string): Promise<T> {
  let result: { value: T } | undefined
  const undone = new Error('undone')
  await memory.test.database
    .transaction({}, async (sql) => {
      await sql`select set_config('search_path', 'mindglue, public', true)`
      if (as !== undefined) await sql`select set_config('mindglue.context', ${as}, true)`
      result = { value: await work(sql) }
      throw undone
    })
    .catch((error: unknown) => {
      if (error !== undone) throw error
    })
  if (result === undefined) throw new Error('the transaction did not run')
  return result.value
}

/** SQLSTATE of the refusal, or `done` when there was none. */
async function stateOf(statement: string, as?: string): Promise<string | undefined> {
  return await attempt((sql) => sql`${raw(statement)}`, as).then(
    () => 'done',
    (error: unknown) => sqlStateOf(error) ?? String(error),
  )
}

function raw(text: string): SqlFragment {
  return new SqlFragment([text], [])
}

async function countAs(table: string, as?: string): Promise<number> {
  const rows = await attempt(
    (sql) => sql<{ count: number }>`select count(*)::int as count from ${raw(table)}`,
    as,
  )
  return rows[0]?.count ?? -1
}

const insufficientPrivilege = '42501'
const invalidContext = 'MG001'

describe('without a context', () => {
  test('every table shows no row or refuses, and there are rows to show', async () => {
    expect(guarded).toEqual(
      expect.arrayContaining(['audit_events', 'confirmations', 'memories', 'postings']),
    )
    for (const table of guarded) expect([table, await countAs(table)]).toEqual([table, 0])
    const [held] = await memory.test.owner.ownerTransaction(
      (sql) => sql<{ count: number }>`select count(*)::int as count from mindglue.memories`,
    )
    expect(held?.count).toBe(4)
  })

  test('keys, names and due work cannot be read', async () => {
    expect(closed.toSorted()).toEqual([
      'account_delays',
      'account_invitations',
      'account_mails',
      'account_members',
      'account_networks',
      'account_recovery_codes',
      'account_sessions',
      'accounts',
      'api_keys',
      'context_keys',
      'due',
      'namespace_names',
      'oauth_artifacts',
      'oauth_clients',
      'oauth_grants',
      'root_keys',
    ])
    for (const table of closed) {
      for (const statement of [`select * from ${table}`, `delete from ${table}`]) {
        expect([statement, await stateOf(statement)]).toEqual([statement, insufficientPrivilege])
      }
    }
  })

  test('nothing is written', async () => {
    // Which migrations ran may be read, so that a program refuses a schema that it does not fit.
    expect(await stateOf('delete from migrations')).toBe(insufficientPrivilege)
    expect(await attempt((sql) => sql`update memories set importance = 1 returning id`)).toEqual([])
    expect(await attempt((sql) => sql`delete from memories returning id`)).toEqual([])
    const entity = `insert into entities values (${mine.namespace}, 1, '\\x41', 'person')`
    expect(await stateOf(entity)).toBe(insufficientPrivilege)
  })
})

describe('a context', () => {
  test('that is valid shows its own namespace and no other', async () => {
    for (const table of guarded) {
      const rows = await attempt(
        (sql) => sql`select 1 from ${raw(table)} where namespace <> ${mine.namespace}`,
        context(),
      )
      expect([table, rows]).toEqual([table, []])
    }
    expect(await countAs('memories', context())).toBe(2)
  })

  test.each<[string, () => string]>([
    ['signed with another key', () => context({ key: randomBytes(32) })],
    ['signed with an empty key', () => context({ key: Buffer.alloc(0) })],
    ['that has expired', () => context({ expires: Math.floor(Date.now() / 1000) - 1 })],
    ['whose namespace was changed', () => change(`${mine.namespace}`, `${theirs.namespace}`)],
    ['whose agent was changed', () => change('616461', '657665')],
    ['whose flags were changed', () => change('|-|', '|a|')],
    ['whose expiry was moved', () => context().replace(/\|(\d+)(?=\|[0-9a-f]+$)/u, '|1$1')],
    ['that is cut short', () => context().slice(0, -1)],
    ['that is a signature alone', () => context().slice(-64)],
    ['that is words', () => "1|x|a|9999999999' or true --"],
    ['of one character', () => '|'],
    ['with a quote before it', () => `'${context()}`],
  ])('%s is refused by every table', async (_what, forged) => {
    expect(filled.length).toBeGreaterThan(8)
    for (const table of filled) {
      const state = await stateOf(`select * from ${table}`, forged())
      expect([table, state]).toEqual([table, invalidContext])
    }
  })

  function change(from: string, to: string): string {
    const signed = context()
    expect(signed).toContain(from)
    return signed.replace(from, to)
  }

  test('cannot be widened by a hostile agent name', async () => {
    const name = `ada|a|${String(inAnHour())}|' or true --`
    const hostile = context({ agentHex: Buffer.from(name).toString('hex') })
    const [row] = await attempt(
      (sql) => sql<{ agent: string; all: boolean }>`
        select context_agent() as agent, context_sees_all() as all`,
      hostile,
    )
    expect(row).toEqual({ agent: name, all: false })
  })

  test('of another agent shows no private memory, and of a named reader does', async () => {
    const as = (agent: string) => context({ agentHex: Buffer.from(agent).toString('hex') })
    expect(await countAs('memories', as('eve'))).toBe(1)
    expect(await countAs('memories', as('grace'))).toBe(2)
    const changed = await attempt(
      (sql) => sql`update memories set access = 'shared' where access = 'private' returning id`,
      as('eve'),
    )
    expect(changed).toEqual([])
  })

  test('does not outlive its transaction', async () => {
    await attempt((sql) => sql`select 1`, context())
    expect(await countAs('memories')).toBe(0)
  })

  test("evaluates no condition on another namespace's rows", async () => {
    // Dividing by zero would tell that such a row is there.
    const probe = `select 1 from memories where 1 / (namespace - ${theirs.namespace}) > 5`
    expect(await stateOf(probe, context())).toBe('done')
  })
})

describe('with a valid context', () => {
  test.each<[string, (row: { mine: bigint; theirs: bigint }) => string]>([
    ['moving a memory', ({ theirs: to }) => `update memories set namespace = ${to}`],
    ['moving a posting', ({ theirs: to }) => `update postings set namespace = ${to}`],
    [
      'adding a name elsewhere',
      ({ theirs: to }) => `insert into entities values (${to}, 1, '\\x41', 'person')`,
    ],
    ['changing the audit', () => `update audit_events set outcome = 'ok'`],
    ['deleting from the audit', () => 'delete from audit_events'],
    ['adding to the audit by hand', () => 'insert into audit_events select * from audit_events'],
    ['emptying a table', () => 'truncate memories'],
    ['emptying the audit', () => 'truncate audit_events'],
    ['switching a policy off', () => 'alter table memories disable row level security'],
    ['lifting the force', () => 'alter table memories no force row level security'],
    ['dropping a policy', () => 'drop policy visible on memories'],
    ['adding a policy', () => 'create policy all_of_it on memories using (true)'],
    ['dropping a table', () => 'drop table memories'],
    ['making a table', () => 'create table mindglue.copies (content bytea)'],
    ['making a public table', () => 'create table public.copies (content bytea)'],
    [
      'replacing the check of the context',
      () =>
        'create or replace function mindglue.context_namespace() returns bigint language sql as $$ select 1::bigint $$',
    ],
    ['making a schema', () => 'create schema evil'],
    ['making a role', () => 'create role evil login'],
    ['changing itself', () => 'alter role mindglue_app bypassrls'],
    ['joining the owner', () => 'grant mindglue_owner to mindglue_app'],
    ['giving its rights away', () => 'alter table memories owner to mindglue_app'],
    ['calling the internal check', () => 'select verified_context()'],
    ['reading a file', () => "select pg_read_file('PG_VERSION')"],
    ['writing a file', () => "copy memories to '/nowhere/memories'"],
    ['running a program', () => "copy memories to program 'true'"],
    ['turning triggers off', () => "set session_replication_role = 'replica'"],
  ])('%s is refused', async (_what, statement) => {
    const text = statement({ mine: mine.namespace, theirs: theirs.namespace })
    expect([text, await stateOf(text, context())]).toEqual([text, insufficientPrivilege])
  })

  test('asking for the tables without policies is refused, not granted', async () => {
    const state = await attempt(async (sql) => {
      await sql`set local row_security = off`
      return await sql`select * from memories`
    }, context()).then(
      () => 'done',
      (error: unknown) => sqlStateOf(error),
    )
    expect(state).toBe(insufficientPrivilege)
  })

  // The embedded engine's session belongs to its administrator: there the process is the boundary.
  test
    .runIf(testEngine === 'postgres')
    .each([
      'set role mindglue_owner',
      'set role mindglue_audit',
      'set local role postgres',
      'set session authorization postgres',
      "select set_config('role', 'mindglue_owner', true)",
      'create extension pg_stat_statements',
    ])('%s is refused', async (statement) => {
    expect(await stateOf(statement, context())).toBe(insufficientPrivilege)
  })
})

describe('a function with more rights', () => {
  test('writes an audit event for its own namespace and agent alone', async () => {
    const append = `select audit_append('01890000-0000-7000-8000-0000000000aa', 'stdio', 'store', 'ok',
      '01890000-0000-7000-8000-0000000000ab', '{}', 0, '')`
    const rows = await attempt(async (sql) => {
      await sql`${raw(append)}`
      return await sql`select namespace, agent from audit_events
        where id = '01890000-0000-7000-8000-0000000000aa'`
    }, context())
    expect(rows).toEqual([{ namespace: mine.namespace, agent: 'ada' }])
    expect(await stateOf(append)).toBe(insufficientPrivilege)
  })

  test('opens the list of namespaces with work to a job alone', async () => {
    const page = `select * from due_page('expiry', '2099-01-01', 100)`
    const done = `select due_done('expiry', '2099-01-01')`
    for (const statement of [page, done]) {
      expect([statement, await stateOf(statement, context())]).toEqual([
        statement,
        insufficientPrivilege,
      ])
    }
    // The role can be put on by an injected statement as well: what counts is what was signed.
    const asJob = (as: string) =>
      attempt(async (sql) => {
        await sql`set local role mindglue_job`
        await sql`${raw(done)}`
        const rows = await sql<{ namespace: bigint }>`${raw(page)}`
        return rows.map(({ namespace }) => namespace)
      }, as)
    expect(await asJob(context())).toEqual([])
    expect(await asJob(context({ flags: 'a' }))).toEqual([])
    expect(await asJob(context({ flags: 'aj' }))).toEqual([theirs.namespace])
  })

  test('notes due work of its own namespace alone', async () => {
    const added = await attempt(
      async (sql) => {
        await sql`select due_add('embed', '2026-01-01')`
        await sql`set local role mindglue_job`
        return await sql<{ namespace: bigint }>`
        select namespace from due_page('embed', '2099-01-01', 100)`
      },
      context({ flags: 'j' }),
    )
    expect(added).toEqual([{ namespace: mine.namespace }])
    const unsigned = await attempt((sql) => sql`select due_add('embed', '2026-01-01')`)
    expect(unsigned).toHaveLength(1)
  })

  test('gives a taken name or number to nobody else', async () => {
    const [name] = await attempt(
      (sql) => sql<{ taken: boolean }>`select namespace_register('theirs') as taken`,
      context(),
    )
    expect(name?.taken).toBe(false)
    // A namespace has one name.
    expect(await stateOf(`select namespace_register('another')`, context())).toBe('23505')
  })
})
