/** What each role may do: jobs write no memory, the audit role reads nothing, nobody makes objects. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SqlFragment } from '../../src/database/database.ts'
import { sqlStateOf } from '../../src/database/faults.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import type { Principal } from '../../src/principal.ts'
import { testEngine } from '../support/database.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
let mine: Principal
beforeAll(async () => {
  memory = await openTestMemory()
  mine = await memory.principal({ namespaceName: 'mine' })
  await memory.execute(memory.operations.store, mine, { content: 'Ada lives in Lisbon.' })
})
afterAll(() => memory.close())

const insufficientPrivilege = '42501'

describe('a job', () => {
  test.each([
    [`insert into memories select * from memories`],
    [`update memories set content = ''`],
    [`update memories set access = 'public'`],
    [`insert into postings select * from postings`],
    [`insert into entities select * from entities`],
    [`insert into mentions select * from mentions`],
    [`update memories set readers = array['eve']`],
    [`update entities set name = ''`],
    [`update namespaces set index_key = ''`],
    [`update namespaces set profile = 'off'`],
    [`delete from namespaces`],
    [`insert into confirmations select * from confirmations`],
    [`select * from audit_events`],
    [`select * from context_keys`],
    [`select namespace_find('mine')`],
    [`select namespace_register('other')`],
    ['truncate memories'],
    ['create table mindglue.copies (content bytea)'],
    ['create temporary table memories (content bytea)'],
  ])('%s is refused', async (statement) => {
    const refused = memory.test.scope.withJob(
      jobPrincipal(mine.namespace),
      {},
      (tx) => tx`${new SqlFragment([statement], [])}`,
    )
    const state = await refused.then(
      () => 'done',
      (error: unknown) => sqlStateOf(error),
    )
    expect(state).toBe(insufficientPrivilege)
  })

  test('sees its own namespace and no other', async () => {
    const other = await memory.principal({ namespaceName: 'other' })
    const seen = (namespace: bigint) =>
      memory.test.scope.withJob(jobPrincipal(namespace), {}, (tx) => tx`select id from memories`)
    expect(await seen(mine.namespace)).toHaveLength(1)
    expect(await seen(other.namespace)).toEqual([])
    expect(await seen(0n)).toEqual([])
  })

  test.runIf(testEngine === 'postgres')('leaves its role behind with its transaction', async () => {
    const { scope } = memory.test
    const role = () =>
      scope.withNamespace(mine, {}, (tx) => tx<{ role: string }>`select current_user as role`)
    await scope.withJob(jobPrincipal(mine.namespace), {}, (tx) => tx`select 1`)
    expect(await role()).toEqual([{ role: 'mindglue_app' }])
    // Not even when a statement put it on for the session.
    await scope.withNamespace(mine, {}, (tx) => tx`set session role mindglue_job`)
    expect(await role()).toEqual([{ role: 'mindglue_app' }])
  })
})

test('the audit role adds events and cannot read them back', async () => {
  const [rights] = await memory.test.owner.ownerTransaction(
    (sql) => sql`
      select has_table_privilege('mindglue_audit', 'mindglue.audit_events', 'insert') as adds,
        has_table_privilege('mindglue_audit', 'mindglue.audit_events',
          'select, update, delete, truncate, references, trigger') as more`,
  )
  expect(rights).toEqual({ adds: true, more: false })
})

test('a session of the application looks in our schema first and in its own objects last', async () => {
  const rows = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ setting: string }>`
      select unnest(setconfig) as setting from pg_db_role_setting
      where setrole = 'mindglue_app'::regrole and setdatabase = 0`,
  )
  expect(rows).toEqual([{ setting: 'search_path=mindglue, public, pg_temp' }])
})
