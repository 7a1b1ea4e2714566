/** The doctor's eyes: a fresh set-up is clean, and each way to weaken it is found with its remedy. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import {
  inspectDatabase,
  requireSafe,
  serverVersionFindings,
  vectorVersionFindings,
} from '../../src/database/doctor.sql.ts'
import { openPostgres, type PostgresDatabase } from '../../src/database/postgres.ts'
import { openTestDatabase, testEngine, type TestDatabase } from '../support/database.ts'

describe('versions', () => {
  test.each([150_019, 160_015, 170_011, 180_006, 190_000])('server %i is accepted', (number) => {
    expect(serverVersionFindings(number)).toEqual([])
  })
  test.each([140_020, 150_018, 160_014, 170_010, 180_005])('server %i is refused', (number) => {
    expect(serverVersionFindings(number)).toMatchObject([{ severity: 'problem' }])
  })
  test.each(['0.8.7', '0.8.10', '0.9.0', '1.0'])('pgvector %s is accepted', (version) => {
    expect(vectorVersionFindings(version)).toEqual([])
  })
  test.each(['0.8.4', '0.8.6'])('pgvector %s is warned about', (version) => {
    expect(vectorVersionFindings(version)).toMatchObject([{ severity: 'warning' }])
  })
  test.each(['0.8.3', '0.8.1', '0.7.4', '0.8', null])('pgvector %s is refused', (version) => {
    expect(vectorVersionFindings(version)).toMatchObject([{ severity: 'problem' }])
  })
})

/** Removes what a remedy left without harm: a table or a view that nobody may read. */
const restore = `
  drop materialized view if exists mindglue.leak_m, public.leak_m;
  drop view if exists mindglue.leak, public.leak;
  drop function if exists public.leak(), mindglue.due_page(text)`

/** What was done, how, and what the doctor says about it. */
const faults: readonly (readonly [string, string, string])[] = [
  [
    'a table whose owner no policy binds',
    'alter table mindglue.memories no force row level security',
    'not enabled and forced on memories',
  ],
  [
    'a table without row-level security',
    'alter table mindglue.memories disable row level security',
    'not enabled and forced on memories',
  ],
  [
    'an open directory',
    'grant select on mindglue.context_keys to mindglue_app',
    'may touch context_keys, which has no row-level security',
  ],
  [
    'a directory open to jobs',
    'grant insert on mindglue.due to mindglue_job',
    'may touch due, which has no row-level security',
  ],
  ['truncating', 'grant truncate on mindglue.memories to mindglue_app', 'has truncate on memories'],
  [
    'referring to a table',
    'grant references on mindglue.memories to mindglue_app',
    'has references on memories',
  ],
  [
    'referring to a column',
    'grant references (id) on mindglue.memories to public',
    'has references on memories',
  ],
  ['triggers', 'grant trigger on mindglue.memories to mindglue_job', 'has trigger on memories'],
  [
    'a policy for everybody',
    'create policy "all of it" on mindglue.memories using (true)',
    'The policy "all of it" on memories',
  ],
  [
    'a policy that lets everything in',
    `create policy writes on mindglue.memories
       using (namespace = mindglue.context_namespace()) with check (true)`,
    'The policy writes on memories',
  ],
  [
    'a view with the rights of its owner',
    'create view mindglue.leak as select * from mindglue.memories',
    'The view mindglue.leak reads',
  ],
  [
    'a view in another schema',
    `create view public.leak as select * from mindglue.memories;
     grant select on public.leak to public`,
    'The view public.leak reads',
  ],
  [
    'a materialised view',
    'create materialized view mindglue.leak_m as select 1 as one',
    'row-level security does not apply to it',
  ],
  [
    'a function with the rights of its owner',
    `create function public.leak() returns int language sql security definer
       set search_path = pg_catalog as 'select 1'`,
    "public.leak() runs with its owner's rights and is none of ours",
  ],
  [
    'a function under the name of one of ours',
    `create function mindglue.due_page(work text) returns int language sql security definer
       set search_path = pg_catalog as 'select 1'`,
    'mindglue.due_page(text) runs',
  ],
  [
    'a function without a fixed search_path',
    'alter function mindglue.due_page(text, timestamptz, integer, timestamptz, bigint) reset search_path',
    'has no fixed search_path',
  ],
  [
    'a function of a superuser',
    'alter function mindglue.namespace_find(text) owner to current_user',
    'no policy binds that owner',
  ],
  [
    'a function of jobs for everybody',
    'grant execute on function mindglue.namespace_page(bigint, integer) to public',
    'whoever logs in may run it',
  ],
  [
    'reading the names of prepared statements',
    'grant select on pg_catalog.pg_prepared_statements to public',
    'may read the names of prepared statements',
  ],
  [
    'asking a function for them',
    'grant execute on function pg_catalog.pg_prepared_statement() to mindglue_app',
    'may read the names of prepared statements',
  ],
  [
    'making objects in the schema',
    'grant create on schema mindglue to mindglue_app',
    'may create objects in the schema mindglue',
  ],
  [
    'making objects beside the schema',
    'grant create on schema public to public',
    'may create objects in the schema public',
  ],
  [
    'making schemas',
    `do $$ begin execute format('grant create on database %I to public', current_database()); end $$`,
    'may create schemas',
  ],
  [
    'temporary tables',
    `do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$`,
    'may create temporary tables',
  ],
]

/** What `set role`, which jobs and functions live by, would put on besides. */
const roleFaults: readonly (readonly [string, string, string])[] = [
  ...['mindglue_job', 'mindglue_owner', 'mindglue_audit'].flatMap((role) =>
    ['superuser', 'bypassrls', 'createrole', 'createdb', 'replication', 'login'].map(
      (attribute) =>
        [
          `${role} has ${attribute}`,
          `alter role ${role} ${attribute}`,
          `${role} must be no${attribute}`,
        ] as const,
    ),
  ),
  [
    'mindglue_job belongs to the owner',
    'grant mindglue_owner to mindglue_job',
    'mindglue_job is a member of mindglue_owner',
  ],
]

describe('a database', () => {
  let db: TestDatabase
  beforeAll(async () => {
    db = await openTestDatabase()
  })
  afterAll(() => db.close())

  /** As an administrator; `remedies` are what the doctor says. */
  const run = (statements: readonly string[]): Promise<void> =>
    db.owner.ownerTransaction((_sql, script) => script(statements.join('\n')))

  test('fresh from the migrations gives no finding', async () => {
    expect(await inspectDatabase(db.database)).toEqual([])
  })

  test.runIf(testEngine === 'postgres').each(faults)(
    '%s is refused, and the remedy mends it',
    async (_what, weaken, message) => {
      await run([weaken])
      const findings = await inspectDatabase(db.database)
      await run(findings.map(({ remedy }) => remedy))
      expect(findings).toMatchObject([
        { severity: 'problem', message: expect.stringContaining(message) as unknown },
      ])
      expect(await inspectDatabase(db.database)).toEqual([])
      await run([restore])
    },
  )

  test.runIf(testEngine === 'postgres')(
    'whose administrator could never hide those names is warned about, not refused',
    async () => {
      const never = `create or replace function mindglue.session_names_hidden() returns boolean
        language sql immutable set search_path = pg_catalog as 'select false';`
      await run([never, 'grant select on pg_catalog.pg_prepared_statements to public'])
      const findings = await inspectDatabase(db.database)
      expect(findings).toMatchObject([{ severity: 'warning', check: 'sessions' }])
      await requireSafe(db.database)
      await run([never.replace('false', 'true')])
      await expect(requireSafe(db.database)).rejects.toMatchObject({ code: 'misconfigured' })
      await run(findings.map(({ remedy }) => remedy))
      await requireSafe(db.database)
    },
  )

  // The roles belong to the cluster, where other tests run: what is done to them here is undone.
  test.runIf(testEngine === 'postgres').each(roleFaults)(
    'whose role %s is refused, and the remedy mends it',
    async (_what, weaken, message) => {
      const undone = new Error('undone')
      const seen = db.owner.ownerTransaction(async (sql, script) => {
        const inspect = async () => {
          await script('set local role mindglue_app')
          const within: Database = { ...db.database, transaction: (_options, work) => work(sql) }
          const findings = await inspectDatabase(within)
          await script('reset role')
          return findings
        }
        await script(weaken)
        const findings = await inspect()
        expect(findings.filter(({ check }) => check === 'roles')).toMatchObject([
          { severity: 'problem', message: expect.stringContaining(message) as unknown },
        ])
        await script(findings.map(({ remedy }) => remedy).join('\n'))
        expect(await inspect()).toEqual([])
        throw undone
      })
      await expect(seen).rejects.toBe(undone)
    },
  )

  test.runIf(testEngine === 'postgres')('served by a superuser is refused', async () => {
    const admin = await openPostgres({ url: db.adminUrl, poolMax: 1 })
    try {
      expect(await inspectDatabase(admin)).toMatchObject([
        { severity: 'problem', message: expect.stringContaining('superuser') as unknown },
      ])
    } finally {
      await admin.close()
    }
  })
})

/**
 * A login of its own database for the faults that belong to the cluster: other tests log in as
 * mindglue_app at the same time.
 */
describe.runIf(testEngine === 'postgres')('a login', () => {
  let db: TestDatabase
  let database: PostgresDatabase
  const name = `mindglue_login_${randomBytes(6).toString('hex')}`
  const run = (statement: string): Promise<void> =>
    db.owner.ownerTransaction((_sql, script) => script(statement))
  beforeAll(async () => {
    db = await openTestDatabase()
    await run(`create role ${name} login noinherit password 'mindglue-test';
      alter role ${name} set search_path = mindglue, public, pg_temp;
      grant usage on schema mindglue to ${name};
      grant select on mindglue.memories to ${name}`)
    const url = new URL(db.url)
    url.username = name
    database = await openPostgres({ url: url.href, poolMax: 1 })
  })
  afterAll(async () => {
    await database.close()
    await run(
      `reassign owned by ${name} to mindglue_owner; drop owned by ${name}; drop role ${name}`,
    )
    await db.close()
  })

  test('with the rights of the application gives no finding', async () => {
    expect(await inspectDatabase(database)).toEqual([])
  })

  test.each([
    ['bypasses policies', `alter role ${name} bypassrls`, 'has BYPASSRLS'],
    ['creates roles', `alter role ${name} createrole`, 'may create roles'],
    ['creates databases', `alter role ${name} createdb`, 'may create databases'],
    ['replicates', `alter role ${name} replication`, 'may replicate'],
    ['belongs to the owner', `grant mindglue_owner to ${name}`, 'is a member of mindglue_owner'],
    [
      'runs programs',
      `grant pg_execute_server_program to ${name}`,
      'is a member of pg_execute_server_program',
    ],
    ['owns a table', `create table t (a int); alter table t owner to ${name}`, 'owns 1 objects'],
    ['looks elsewhere', `alter role ${name} reset search_path`, 'has no fixed search_path'],
    [
      'may touch a table of the directory',
      `grant select (namespace) on mindglue.due to ${name}`,
      'may touch due, which has no row-level security',
    ],
  ])('that %s is refused, and the remedy mends it', async (_what, weaken, message) => {
    await run(weaken)
    const findings = await inspectDatabase(database)
    expect(findings).toMatchObject([
      { severity: 'problem', message: expect.stringContaining(message) as unknown },
    ])
    await run(findings.map(({ remedy }) => remedy).join('\n'))
    expect(await inspectDatabase(database)).toEqual([])
  })
})
