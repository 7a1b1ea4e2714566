/** What a caller is told when the server goes, or refuses, while it commits. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isOutcomeUnknown } from '../../src/database/faults.ts'
import { openPostgres } from '../../src/database/postgres.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { through } from './fixtures/postgres.ts'
import { openProxy, type Proxy } from './fixtures/proxy.ts'

let fresh: TestDatabase
let proxy: Proxy

beforeAll(async () => {
  fresh = await openTestDatabase()
  const { hostname: host, port } = new URL(fresh.url)
  proxy = await openProxy({ host, port: Number(port || '5432') })
  await fresh.owner.ownerTransaction(async (_, script) => {
    await script(`
      create table public.item (id int primary key, seconds float not null);
      grant select, insert on public.item to mindglue_app;
      create function public.linger() returns trigger language plpgsql as $$
        begin
          if new.seconds < 0 then raise unique_violation; end if;
          perform pg_sleep(new.seconds);
          return null;
        end $$;
      create constraint trigger linger after insert on public.item
        deferrable initially deferred for each row execute function public.linger()`)
  })
})
afterAll(async () => {
  await proxy.close()
  await fresh.close()
})

/** Stores a row whose COMMIT takes so long, and does something once it is on its way. */
async function failureOf(
  seconds: number,
  meanwhile: () => void,
  statementTimeoutMs = 15_000,
): Promise<unknown> {
  const database = await openPostgres({ url: through(fresh.url, proxy.port), poolMax: 1 })
  try {
    await database.transaction({ statementTimeoutMs }, async (sql) => {
      await sql`insert into item values (${Math.floor(Math.random() * 1e9)}, ${seconds})`
      setImmediate(meanwhile)
    })
    return 'stored'
  } catch (error) {
    return error
  } finally {
    await database.close()
  }
}

test('a server that is lost while it commits leaves open what became of the change', async () => {
  const failure = await failureOf(0.2, () => proxy.cut())
  expect(failure).toMatchObject({ code: 'unavailable', details: { outcome: 'unknown' } })
  expect(String(failure)).toContain('may or may not')
  expect(isOutcomeUnknown(failure)).toBe(true)
})

test('a backend that is ended while it commits leaves it open as well', async () => {
  const failure = await failureOf(30, () => {
    void fresh.owner.ownerTransaction(
      (sql) => sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and usename = 'mindglue_app'`,
    )
  })
  expect(isOutcomeUnknown(failure)).toBe(true)
})

test('so does our own deadline: the server may commit after it', async () => {
  // statement_timeout ends with the statements; COMMIT is given up by us, five seconds later.
  const failure = await failureOf(30, () => undefined, 100)
  expect(isOutcomeUnknown(failure)).toBe(true)
})

test('a change that the server refuses to commit is known to be undone', async () => {
  const failure = await failureOf(-1, () => undefined)
  expect(failure).toMatchObject({ code: 'conflict' })
  expect(isOutcomeUnknown(failure)).toBe(false)
})
