/** The doctor's eyes: a fresh set-up is clean, and each way to weaken it is found with its remedy. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  inspectDatabase,
  serverVersionFindings,
  vectorVersionFindings,
} from '../../src/database/doctor.sql.ts'
import { openPostgres } from '../../src/database/postgres.ts'
import { openTestDatabase, testEngine, type TestDatabase } from '../support/database.ts'

describe('versions', () => {
  test.each([150_019, 160_015, 170_011, 180_006, 190_000])('server %i is accepted', (number) => {
    expect(serverVersionFindings(number)).toEqual([])
  })
  test.each([140_020, 150_018, 160_014, 170_010, 180_005])('server %i is refused', (number) => {
    expect(serverVersionFindings(number)).toMatchObject([{ severity: 'problem' }])
  })
  test.each(['0.8.2', '0.8.10', '0.9.0', '1.0'])('pgvector %s is accepted', (version) => {
    expect(vectorVersionFindings(version)).toEqual([])
  })
  test.each(['0.8.1', '0.7.4', '0.8', null])('pgvector %s is refused', (version) => {
    expect(vectorVersionFindings(version)).toMatchObject([{ severity: 'problem' }])
  })
})

describe('a database', () => {
  let db: TestDatabase
  beforeAll(async () => {
    db = await openTestDatabase()
  })
  afterAll(() => db.close())

  /** Weakens the set-up, looks, and mends it again. */
  async function foundAfter(weaken: string, mend: string): Promise<readonly string[]> {
    await db.owner.ownerTransaction((_sql, script) => script(weaken))
    try {
      const findings = await inspectDatabase(db.database)
      return findings.map(({ message, remedy }) => `${message} ${remedy}`)
    } finally {
      await db.owner.ownerTransaction((_sql, script) => script(mend))
    }
  }

  test('fresh from the migrations gives no finding', async () => {
    expect(await inspectDatabase(db.database)).toEqual([])
  })

  test.runIf(testEngine === 'postgres').each([
    [
      'alter table mindglue.memories no force row level security',
      'alter table mindglue.memories force row level security',
      'not enabled and forced on memories. alter table mindglue.memories enable row level security',
    ],
    [
      'alter table mindglue.memories disable row level security',
      'alter table mindglue.memories enable row level security',
      'not enabled and forced on memories',
    ],
    [
      'grant truncate on mindglue.memories to mindglue_app',
      'revoke truncate on mindglue.memories from mindglue_app',
      'revoke truncate on mindglue.memories from mindglue_app;',
    ],
    [
      'create view mindglue.leak as select * from mindglue.memories',
      'drop view mindglue.leak',
      'alter view mindglue.leak set (security_invoker = true);',
    ],
    [
      'create materialized view mindglue.leak as select 1 as one',
      'drop materialized view mindglue.leak',
      'row-level security does not apply to it',
    ],
    [
      `create function public.leak() returns int language sql security definer
         set search_path = pg_catalog as 'select 1'`,
      'drop function public.leak()',
      'public.leak() runs with its owner',
    ],
    [
      'alter function mindglue.due_page(text, timestamptz, integer) reset search_path',
      'alter function mindglue.due_page(text, timestamptz, integer) set search_path = pg_catalog',
      'has no fixed search_path',
    ],
    [
      'grant create on schema mindglue to mindglue_app',
      'revoke create on schema mindglue from mindglue_app',
      'may create objects in the schema mindglue',
    ],
  ])('weakened by %s is found', async (weaken, mend, expected) => {
    expect(await foundAfter(weaken, mend)).toEqual([expect.stringContaining(expected)])
    expect(await inspectDatabase(db.database)).toEqual([])
  })

  test.runIf(testEngine === 'postgres')('served by a superuser is refused', async () => {
    const admin = await openPostgres({ url: db.adminUrl, poolMax: 1 })
    try {
      const logins = (await inspectDatabase(admin)).filter(({ check }) => check === 'login')
      expect(logins).toMatchObject([
        { severity: 'problem', message: expect.stringContaining('superuser') as unknown },
      ])
    } finally {
      await admin.close()
    }
  })
})
