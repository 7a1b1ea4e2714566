/** Postgres's own promises: a lost server never ends the process nor mixes sessions; limits; retries. */

import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sql } from '../../src/database/database.ts'
import { openPostgres, type PostgresOptions } from '../../src/database/postgres.ts'
import { parsePostgresUrl } from '../../src/database/postgres-url.ts'
import { AppError } from '../../src/errors.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { codeOf, through } from './fixtures/postgres.ts'
import { openProxy } from './fixtures/proxy.ts'

let fresh: TestDatabase
let server: { host: string; port: number }

beforeAll(async () => {
  fresh = await openTestDatabase()
  const url = new URL(fresh.url)
  server = { host: url.hostname, port: Number(url.port || '5432') }
  await fresh.owner.ownerTransaction(async (_, script) => {
    await script(`
      create table public.account (id int primary key, amount bigint not null);
      insert into public.account values (1, 100), (2, 100);
      grant select, insert, update, delete on public.account to mindglue_app`)
  })
})
afterAll(() => fresh.close())

/** Ends every connection of the application role to this test's database; returns how many. */
async function terminateAll(): Promise<number> {
  const rows = await fresh.owner.ownerTransaction(
    (sql) => sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and usename = 'mindglue_app'`,
  )
  return rows.length
}

describe('a server that goes away', () => {
  test('50 times under load: the process lives, nobody hangs, service is back within two seconds', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 4 })
    const stop = new AbortController()
    const outcomes = { done: 0, unavailable: 0, other: [] as string[] }
    const transfer = async (sql: Sql): Promise<void> => {
      await sql`update account set amount = amount - 1 where id = 1`
      await sql`update account set amount = amount + 1 where id = 2`
    }
    const worker = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        try {
          await database.transaction({}, transfer)
          outcomes.done += 1
        } catch (error) {
          const code = error instanceof AppError ? error.code : String(error)
          if (code === 'unavailable') outcomes.unavailable += 1
          else outcomes.other.push(code)
        }
      }
    }
    const workers = Array.from({ length: 8 }, worker)
    let terminated = 0
    let slowestMs = 0
    for (let round = 0; round < 50; round += 1) {
      terminated += await terminateAll()
      const startedAt = performance.now()
      const before = outcomes.done
      await until(() => outcomes.done > before, { timeoutMs: 2000, what: 'service after a kill' })
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
    }
    stop.abort()
    await Promise.all(workers)
    const [row] = await database.transaction({}, (sql) => sql`select sum(amount) from account`)
    await database.close()
    expect(row).toEqual({ sum: '200' })
    expect(terminated).toBeGreaterThanOrEqual(50)
    expect(outcomes.unavailable).toBeGreaterThan(0)
    expect(outcomes.other).toEqual([])
    expect(slowestMs).toBeLessThan(2000)
  }, 120_000)

  test('in the middle of a transaction: its later statements reach no other session', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 1 })
    const outcome = database.transaction({}, async (sql) => {
      await sql`insert into account values (50, 1)`
      await terminateAll()
      // Someone else wants the one connection meanwhile, as the driver's own reconnect would serve.
      await sql`insert into account values (51, 1)`.catch(() => undefined)
      await sql`insert into account values (52, 1)`
    })
    const next = database.transaction({}, (sql) => sql`select count(*) from account where id > 49`)
    expect(await codeOf(outcome)).toBe('unavailable')
    expect(await next).toEqual([{ count: 0n }])
    await database.close()
  })

  test('while work waits for something else: the work is given up, its place is free again', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 1 })
    const outcome = database.transaction({}, async (sql) => {
      await sql`select 1`
      await terminateAll()
      await new Promise(() => undefined)
    })
    expect(await codeOf(outcome)).toBe('unavailable')
    expect(await database.transaction({}, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }])
    await database.close()
  })

  test('before COMMIT: work that may run again does, other work does not', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 1 })
    const runs = { retryable: 0, once: 0 }
    const killFirst = (kind: 'retryable' | 'once') => async (sql: Sql) => {
      runs[kind] += 1
      if (runs[kind] === 1) await terminateAll()
      return sql`select 1 as one`
    }
    expect(await database.transaction({ retryable: true }, killFirst('retryable'))).toEqual([
      { one: 1 },
    ])
    expect(await codeOf(database.transaction({}, killFirst('once')))).toBe('unavailable')
    expect(runs).toEqual({ retryable: 2, once: 1 })
    await database.close()
  })

  test('with all connections idle: the next request does not notice', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 2 })
    await Promise.all([1, 2].map((n) => database.transaction({}, (sql) => sql`select ${n}::int4`)))
    await terminateAll()
    const next = database.transaction({ retryable: true }, (sql) => sql`select 1 as one`)
    expect(await next).toEqual([{ one: 1 }])
    await database.close()
  })

  test('whose network cuts every connection is reached again at once by work that may run again', async () => {
    const proxy = await openProxy(server)
    const database = await openPostgres({ url: through(fresh.url, proxy.port), poolMax: 2 })
    const sleeping = database.transaction({}, (sql) => sql`select pg_sleep(30)`)
    await until(async () => (await database.status()).poolInUse === 1)
    proxy.cut()
    expect(await codeOf(sleeping)).toBe('unavailable')
    const again = database.transaction({ retryable: true }, (sql) => sql`select 1 as one`)
    expect(await again).toEqual([{ one: 1 }])
    await database.close()
    await proxy.close()
  })

  test('whose network swallows everything: callers are answered at their deadline', async () => {
    const proxy = await openProxy(server)
    const limits = { poolMax: 1, statementTimeoutMs: 200, connectTimeoutMs: 500 }
    const database = await openPostgres({ url: through(fresh.url, proxy.port), ...limits })
    proxy.freeze()
    const startedAt = performance.now()
    expect(await codeOf(database.transaction({}, (sql) => sql`select 1`))).toBe('timeout')
    expect(performance.now() - startedAt).toBeLessThan(8000)
    // The next one needs a new connection, which gets no answer either.
    expect(await codeOf(database.transaction({}, (sql) => sql`select 1`))).toMatch(
      /unavailable|timeout/,
    )
    await database.close()
    await proxy.close()
  })
})

describe('opening', () => {
  const open = async (options: PostgresOptions): Promise<string> =>
    codeOf(
      openPostgres({ connectTimeoutMs: 1000, ...options }).then((database) => database.close()),
    )

  test('fails as unavailable where nobody listens, or nobody answers', async () => {
    expect(await open({ url: 'postgres://mindglue_app@127.0.0.1:1/x' })).toBe('unavailable')
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const startedAt = performance.now()
    expect(await open({ url: through(fresh.url, port) })).toMatch(/unavailable|timeout/)
    expect(performance.now() - startedAt).toBeLessThan(3000)
    silent.close()
  })

  test('fails as misconfigured for a database or role that does not exist', async () => {
    const database = new URL(fresh.url)
    database.pathname = '/no_such_database'
    expect(await open({ url: database.href })).toBe('misconfigured')
    const role = new URL(fresh.url)
    role.username = 'no_such_role'
    expect(await open({ url: role.href })).toBe('misconfigured')
  })

  test('never repeats the password of a URL it cannot use', async () => {
    const error: unknown = await openPostgres({ url: 'postgres://u:hunter2@[bad/x' }).catch(
      (reason: unknown) => reason,
    )
    expect(String(error)).not.toContain('hunter2')
    expect(error).toMatchObject({ code: 'misconfigured' })
  })

  test('takes apart a URL as libpq does, and refuses what it does not understand', () => {
    expect(parsePostgresUrl('postgres://a%40b:p%2Fw@db.example:6000/my%20db')).toMatchObject({
      host: 'db.example',
      port: 6000,
      user: 'a@b',
      password: 'p/w',
      database: 'my db',
      tls: { rejectUnauthorized: true, servername: 'db.example' },
    })
    expect(parsePostgresUrl('postgres://u@[::1]/x')).toMatchObject({ host: '::1', tls: undefined })
    expect(parsePostgresUrl('postgres://u@h/x?host=/run/pg')).toMatchObject({
      socketPath: '/run/pg/.s.PGSQL.5432',
    })
    for (const url of [
      'mysql://u@h/x',
      'postgres://u@h/x?sslmode=prefer',
      'postgres://u@h/x?sslmode=allow',
      'postgres://u@h/x?frobnicate=1',
      'postgres://h/x',
    ]) {
      expect(() => parsePostgresUrl(url), url).toThrow(AppError)
    }
  })
})

describe('limits', () => {
  test('a slow statement, a held lock and an idle transaction end as timeouts', async () => {
    const database = await openPostgres({
      url: fresh.url,
      poolMax: 3,
      statementTimeoutMs: 300,
      lockTimeoutMs: 100,
      idleInTransactionTimeoutMs: 400,
    })
    expect(await codeOf(database.transaction({}, (sql) => sql`select pg_sleep(5)`))).toBe('timeout')
    let holds: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      holds = resolve
    })
    const idle = database.transaction({}, async (sql) => {
      await sql`select amount from account where id = 1 for update`
      holds()
      await new Promise(() => undefined)
    })
    await held
    const waiting = database.transaction(
      {},
      (sql) => sql`select amount from account where id = 1 for update`,
    )
    expect(await codeOf(waiting)).toBe('timeout')
    expect(await codeOf(idle)).toBe('timeout')
    await database.close()
  })

  test('a transaction may ask for a longer statement than the others', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 1, statementTimeoutMs: 50 })
    const slow = (sql: Sql) => sql`select pg_sleep(0.3)`
    expect(await codeOf(database.transaction({}, slow))).toBe('timeout')
    expect(await codeOf(database.transaction({ statementTimeoutMs: 5000 }, slow))).toBe(
      'not an AppError: resolved',
    )
    await database.close()
  })

  test('aborted work stops on the server as well', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 1 })
    const controller = new AbortController()
    const slow = database.transaction(
      { signal: controller.signal },
      (sql) => sql`select pg_sleep(60), 'abort-me'`,
    )
    const running = (): Promise<number> =>
      fresh.owner.ownerTransaction(
        async (sql) =>
          (
            await sql`select from pg_stat_activity where state = 'active'
              and pid <> pg_backend_pid() and query like ${'%abort-me%'}`
          ).length,
      )
    await until(async () => (await running()) === 1)
    controller.abort()
    expect(await codeOf(slow)).toBe('timeout')
    await until(async () => (await running()) === 0, { timeoutMs: 3000 })
    await database.close()
  })

  test('connections are replaced when they are old', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 1, connectionLifetimeMs: 0 })
    const backend = async () => {
      const [row] = await database.transaction({}, (sql) => sql`select pg_backend_pid() as pid`)
      return row?.['pid']
    }
    expect(await backend()).not.toBe(await backend())
    await database.close()
  })

  test('more statements than are kept prepared still work', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 1 })
    await database.transaction({}, async (sql) => {
      for (let number = 0; number < 600; number += 1) {
        const text = Object.assign([`select ${number} + `, '::int4 as sum'], { raw: [] })
        expect(await sql(text, 1)).toEqual([{ sum: number + 1 }])
      }
    })
    await database.close()
  })

  test('maintenance belongs to the server: the application role is told so', async () => {
    expect(await codeOf(fresh.database.maintain('checkpoint'))).toBe('unsupported')
  })
})

describe('conflicts', () => {
  /** Two transactions that read what the other writes; the second to commit must fail. */
  async function writeSkew(retryable: boolean): Promise<string[]> {
    const database = await openPostgres({ url: fresh.url, poolMax: 2 })
    let arrived = 0
    let go: () => void = () => undefined
    const both = new Promise<void>((resolve) => {
      go = resolve
    })
    const move = (to: number) =>
      database.transaction({ isolation: 'serializable', retryable }, async (sql) => {
        await sql`select sum(amount) from account`
        arrived += 1
        if (arrived === 2) go()
        await both
        await sql`update account set amount = amount + 1 where id = ${to}`
      })
    const outcomes = await Promise.all([codeOf(move(1)), codeOf(move(2))])
    await database.close()
    return outcomes.toSorted()
  }

  test('between serializable transactions fail one of them', async () => {
    expect(await writeSkew(false)).toEqual(['conflict', 'not an AppError: resolved'])
  })

  test('are retried when the work may run again', async () => {
    expect(await writeSkew(true)).toEqual([
      'not an AppError: resolved',
      'not an AppError: resolved',
    ])
  })

  test('of a deadlock end one of the two as a conflict', async () => {
    const database = await openPostgres({ url: fresh.url, poolMax: 2, lockTimeoutMs: 10_000 })
    let arrived = 0
    let go: () => void = () => undefined
    const both = new Promise<void>((resolve) => {
      go = resolve
    })
    const lock = (first: number, second: number) =>
      database.transaction({}, async (sql) => {
        await sql`select from account where id = ${first} for update`
        arrived += 1
        if (arrived === 2) go()
        await both
        await sql`select from account where id = ${second} for update`
      })
    const outcomes = await Promise.all([codeOf(lock(1, 2)), codeOf(lock(2, 1))])
    expect(outcomes.toSorted()).toEqual(['conflict', 'not an AppError: resolved'])
    await database.close()
  })
})
