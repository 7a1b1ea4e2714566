/** A pooled session serves namespace after namespace: what a statement of one leaves in it reaches no other. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Sql } from '../../src/database/database.ts'
import { sqlStateOf } from '../../src/database/faults.ts'
import { openPostgres, type PostgresDatabase } from '../../src/database/postgres.ts'
import { createScope, type NamespaceScope } from '../../src/database/scope.ts'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { raw } from '../support/statements.ts'

let memory: TestMemory
let mine: Principal
let theirs: Principal
/** One session, so that both namespaces share it. */
let session: PostgresDatabase
let scope: NamespaceScope

beforeAll(async () => {
  memory = await openTestMemory()
  mine = await memory.principal({ namespaceName: 'mine' })
  theirs = await memory.principal({ namespaceName: 'theirs' })
  for (const principal of [mine, theirs]) {
    const content = `A note of ${principal.namespaceName}.`
    await memory.execute(memory.operations.store, principal, { content })
  }
  session = await openPostgres({ url: memory.test.url, poolMax: 1 })
  scope = createScope(session, memory.test.contextKey)
})
afterAll(async () => {
  await session.close()
  await memory.close()
})

/** Commits, as the injected part of an honest request would. */
const run = <Row extends object>(who: Principal, ...statements: readonly string[]) =>
  scope.withNamespace(who, {}, async (tx) => {
    let rows: Row[] = []
    for (const statement of statements) rows = await tx<Row>`${raw(statement)}`
    return rows
  })
const stateOf = (who: Principal, ...statements: readonly string[]): Promise<string | undefined> =>
  run(who, ...statements).then(
    () => 'done',
    (error: unknown) => sqlStateOf(error),
  )
const sessionId = async (sql: Sql): Promise<number> =>
  (await sql<{ pid: number }>`select pg_backend_pid() as pid`)[0]?.pid ?? -1

test('a cursor that outlives its transaction is gone before the next one', async () => {
  await run(mine, 'declare spy cursor with hold for select namespace, id from memories')
  expect(await stateOf(theirs, 'fetch all from spy')).toBe('34000')
})

test('a lock of the session ends with the transaction after it', async () => {
  await run(mine, `select pg_advisory_lock(hashtextextended('mindglue vector partition', 0))`)
  const pid = await scope.withNamespace(theirs, {}, sessionId)
  const held = await memory.test.owner.ownerTransaction(
    (sql) => sql`select from pg_locks where locktype = 'advisory' and pid = ${pid}::int`,
  )
  expect(held).toEqual([])
})

test('a context and a role that were set for the session do not hold in the next transaction', async () => {
  await run(
    mine,
    `select set_config('mindglue.context', current_setting('mindglue.context'), false)`,
    'set session role mindglue_job',
  )
  const rows = await run<{ namespace: bigint }>(theirs, 'select distinct namespace from memories')
  expect(rows).toEqual([{ namespace: theirs.namespace }])
  const none = await scope.withDirectory((sql) => sql`select from memories`)
  expect(none).toEqual([])
})

test('a statement that one namespace prepared sees the other’s rows under its context alone', async () => {
  await run(mine, 'prepare spy as select distinct namespace from memories')
  const rows = await run<{ namespace: bigint }>(theirs, 'execute spy')
  expect(rows).toEqual([{ namespace: theirs.namespace }])
  await run(mine, 'deallocate spy')
})

test('nobody reads the names of our statements, so none is put in the place of one', async () => {
  const own = 'select id from memories'
  await run(mine, own)
  for (const statement of [
    'select name from pg_prepared_statements',
    'select name from pg_prepared_statement()',
  ]) {
    expect([statement, await stateOf(mine, statement)]).toEqual([statement, '42501'])
  }
})
