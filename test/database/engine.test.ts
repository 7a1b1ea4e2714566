/** What both engines promise alike: types, transactions, streaming, errors, limits. */

import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fragment, type Database } from '../../src/database/database.ts'
import { sqlStateOf } from '../../src/database/faults.ts'
import { AppError } from '../../src/errors.ts'
import { openTestDatabase, testEngine, type TestDatabase } from '../support/database.ts'

let fresh: TestDatabase
let database: Database

beforeAll(async () => {
  fresh = await openTestDatabase({
    postgres: { poolMax: 3, connectTimeoutMs: 3000, idleInTransactionTimeoutMs: 1500 },
    embedded: { queueMax: 6, waitTimeoutMs: 3000, idleInTransactionTimeoutMs: 1500 },
  })
  database = fresh.database
  await fresh.owner.ownerTransaction(async (_, script) => {
    await script(`
      create table public.counter (id int primary key, value bigint not null);
      insert into public.counter values (1, 0);
      create table public.item (id int primary key, label text not null);
      grant select, insert, update, delete on public.counter, public.item to mindglue_app`)
  })
})
afterAll(() => fresh.close())

/** The rejection of a promise that must not resolve. */
async function failureOf(promise: Promise<unknown>): Promise<AppError> {
  const error: unknown = await promise.then(
    () => 'resolved',
    (reason: unknown) => reason,
  )
  if (!(error instanceof AppError)) throw new Error('expected an AppError', { cause: error })
  return error
}

const bytes = Buffer.from([0, 1, 34, 92, 123, 255])

describe('a transaction', () => {
  test('is undone when its work throws, and the error arrives unchanged', async () => {
    const mine = new Error('mine')
    const failed = database.transaction({}, async (sql) => {
      await sql`insert into item values (${1}, ${'never'})`
      throw mine
    })
    await expect(failed).rejects.toBe(mine)
    expect(await database.transaction({}, (sql) => sql`select id from item`)).toEqual([])
  })

  test('is undone when one statement failed, even if the work caught the error', async () => {
    const failure = await failureOf(
      database.transaction({}, async (sql) => {
        await sql`insert into item values (${2}, ${'lost'})`
        await sql`select 1 / ${0}::int4`.catch(() => [])
      }),
    )
    expect(failure.code).toBe('internal')
    expect(await database.transaction({}, (sql) => sql`select id from item`)).toEqual([])
  })

  test('survives a failed statement that nobody awaited', async () => {
    await expect(
      database.transaction({}, async (sql) => {
        void sql`select 1 / ${0}::int4`
        await sql`select 1`
      }),
    ).rejects.toThrow(AppError)
  })

  test('runs statements that were started together in their order', async () => {
    const results = await database.transaction({}, (sql) =>
      Promise.all([
        sql`select set_config('test.order', 'first', true) as value`,
        sql`select current_setting('test.order') as value`,
      ]),
    )
    expect(results[1]).toEqual([{ value: 'first' }])
  })

  test('refuses another transaction inside itself', async () => {
    await expect(
      database.transaction({}, () => database.transaction({}, (sql) => sql`select 1`)),
    ).rejects.toThrow('inside another')
  })

  test('refuses statements after its end', async () => {
    const kept = await database.transaction({}, (sql) => Promise.resolve(sql))
    await expect(kept`select 1`).rejects.toThrow('after the end')
  })

  test('works as the application role, without rights on the schema or its secrets', async () => {
    const [row] = await database.transaction({}, (sql) => sql`select current_user as who`)
    expect(row).toEqual({ who: 'mindglue_app' })
    for (const forbidden of [
      fragment`create table public.mine (id int)`,
      fragment`select * from mindglue.context_keys`,
      fragment`truncate item`,
      fragment`alter table item disable row level security`,
    ]) {
      const failure = await failureOf(database.transaction({}, (sql) => sql`${forbidden}`))
      expect(sqlStateOf(failure)).toBe('42501')
    }
  })

  test('leaves no setting behind for the next one', async () => {
    await database.transaction({}, (sql) => sql`select set_config('test.left', 'over', true)`)
    const [row] = await database.transaction(
      {},
      (sql) => sql`select nullif(current_setting('test.left', true), '') as value`,
    )
    expect(row).toEqual({ value: null })
  })

  test('has the isolation and access it asked for', async () => {
    const [row] = await database.transaction(
      { isolation: 'repeatable read', readOnly: true },
      (sql) => sql`select current_setting('transaction_isolation') as isolation,
        current_setting('transaction_read_only') as read_only`,
    )
    expect(row).toEqual({ isolation: 'repeatable read', read_only: 'on' })
    const failure = await failureOf(
      database.transaction({ readOnly: true }, (sql) => sql`delete from item`),
    )
    expect(failure.code).toBe('unavailable')
  })

  test('concurrent read-modify-write transactions lose no update', async () => {
    const increment = () =>
      database.transaction({}, async (sql) => {
        const [row] = await sql<{
          value: bigint
        }>`select value from counter where id = 1 for update`
        await sql`update counter set value = ${(row?.value ?? 0n) + 1n} where id = 1`
      })
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([increment(), increment(), increment(), increment(), increment()])
    }
    const [row] = await database.transaction({}, (sql) => sql`select value from counter`)
    expect(row).toEqual({ value: 25n })
  })
})

describe('a stream', () => {
  test('hands out every row once in batches, while other statements run', async () => {
    const seen: number[] = []
    const sizes: number[] = []
    await database.transaction({ readOnly: true }, async (sql) => {
      const rows = sql.stream<{ n: number }>(100)
      for await (const batch of rows`select n from generate_series(1, ${250}::int4) n order by n`) {
        sizes.push(batch.length)
        seen.push(...batch.map(({ n }) => n))
        await sql`select ${'in between'}::text`
      }
    })
    expect(sizes).toEqual([100, 100, 50])
    expect(seen).toEqual(Array.from({ length: 250 }, (_, index) => index + 1))
  })

  test('keeps the column types and can be left early and followed by another', async () => {
    const first = await database.transaction({}, async (sql) => {
      const batches: unknown[] = []
      for (let round = 0; round < 2; round += 1) {
        for await (const batch of sql.stream(1)`select ${bytes}::bytea as b, ${5n}::int8 as i
          from generate_series(1, 3)`) {
          batches.push(batch)
          break
        }
      }
      return batches
    })
    expect(first).toEqual([[{ b: bytes, i: 5n }], [{ b: bytes, i: 5n }]])
  })

  test('without rows ends at once; a failing one fails its transaction', async () => {
    await database.transaction({}, async (sql) => {
      for await (const _ of sql.stream(10)`select 1 where false`) throw new Error('unexpected')
    })
    const failure = await failureOf(
      database.transaction({}, async (sql) => {
        for await (const _ of sql.stream(10)`select 1 / n from generate_series(-50, 50) n`) void _
      }),
    )
    expect(sqlStateOf(failure)).toBe('22012')
  })
})

describe('an error', () => {
  test('of a time beyond all columns is its sender’s, not ours', async () => {
    for (const day of ['0000-01-01', '300000-01-01']) {
      const failure = await failureOf(
        database.transaction({}, (sql) => sql`select ${day}::timestamptz`),
      )
      expect(failure.code).toBe('invalid_input')
    }
  })

  test('of a unique key is a conflict and repeats no value anywhere', async () => {
    const failure = await failureOf(
      database.transaction({}, async (sql) => {
        await sql`insert into item values (${77001}, ${'canary-label'})`
        await sql`insert into item values (${77001}, ${'canary-label'})`
      }),
    )
    expect(failure.code).toBe('conflict')
    expect(sqlStateOf(failure)).toBe('23505')
    const everything = JSON.stringify([
      failure,
      failure.message,
      failure.stack,
      failure.cause,
      failure.cause instanceof Error ? [failure.cause.message, failure.cause.stack] : '',
    ])
    expect(everything).not.toMatch(/77001|canary|insert into/)
  })

  test('of a malformed value is internal and repeats no value', async () => {
    const failure = await failureOf(
      database.transaction({}, (sql) => sql`select ${'canary-no-uuid'}::uuid`),
    )
    expect(failure.code).toBe('internal')
    expect(String(failure.cause)).not.toContain('canary')
  })

  test('of a NUL character is the caller’s input', async () => {
    const failure = await failureOf(
      database.transaction({}, (sql) => sql`select ${'a\0b'}::text as t`),
    )
    expect(failure.code).toBe('invalid_input')
  })

  test('names the missing thing inside and nothing outside', async () => {
    const failure = await failureOf(database.transaction({}, (sql) => sql`select * from absent`))
    expect(failure.code).toBe('internal')
    expect(failure.publicMessage).not.toContain('absent')
    expect(String(failure.cause)).toContain('absent')
  })
})

describe('limits', () => {
  test('work that never comes back is undone, and others are served meanwhile or after', async () => {
    const stuck = failureOf(
      database.transaction({}, async (sql) => {
        await sql`update counter set value = -1 where id = 1`
        await new Promise(() => undefined)
      }),
    )
    const [row] = await database.transaction({}, (sql) => sql`select value from counter`)
    expect(row).toEqual({ value: 25n })
    expect((await stuck).code).toBe('timeout')
    const [after] = await database.transaction(
      {},
      (sql) => sql`update counter set value = value where id = 1 returning value`,
    )
    expect(after).toEqual({ value: 25n })
  })

  /** Runs `step` again until a timer of this process has fired, or 200 times. */
  async function untilTimer(step: () => Promise<unknown>): Promise<boolean> {
    const fired = new AbortController()
    const timer = setTimeout(() => fired.abort(), 1)
    for (let count = 0; count < 200 && !fired.signal.aborted; count += 1) await step()
    clearTimeout(timer)
    return fired.signal.aborted
  }

  test('one transaction after the other leaves the process its timers and sockets', async () => {
    expect(await untilTimer(() => database.transaction({}, (sql) => sql`select 1`))).toBe(true)
  })

  test('so does a single transaction of many statements', async () => {
    expect(
      await database.transaction({}, (sql) => untilTimer(() => sql`select pg_sleep(0.001)`)),
    ).toBe(true)
  })

  test('a full queue refuses the next one at once, with a time to try again', async () => {
    let open: () => void = () => undefined
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    const running = testEngine === 'postgres' ? 3 : 1
    const hold = Array.from({ length: running + 6 }, () =>
      database.transaction({}, async (sql) => {
        await sql`select 1`
        await opened
      }),
    )
    const failure = await failureOf(database.transaction({}, (sql) => sql`select 1`))
    expect(failure).toMatchObject({ code: 'unavailable', retryAfterSeconds: 1 })
    open()
    await Promise.all(hold)
    const status = await database.status()
    expect(status).toMatchObject({ poolWaiting: 0 })
    expect(status.serverVersion).toMatch(/^\d+\.\d+/)
    expect(status.vectorVersion).toMatch(/^0\.\d+/)
  })

  test('aborted work is undone, aborted waiting leaves the queue', async () => {
    const controller = new AbortController()
    const running = failureOf(
      database.transaction({ signal: controller.signal }, async (sql) => {
        await sql`update counter set value = -2 where id = 1`
        controller.abort()
        await delay(0)
        await sql`update counter set value = -3 where id = 1`
      }),
    )
    expect((await running).code).toBe('timeout')
    const late = failureOf(
      database.transaction({ signal: controller.signal }, (sql) => sql`select 1`),
    )
    expect((await late).code).toBe('timeout')
    const [row] = await database.transaction({}, (sql) => sql`select value from counter`)
    expect(row).toEqual({ value: 25n })
  })

  test('a closed database refuses work as unavailable', async () => {
    const other = await openTestDatabase()
    await other.close()
    const failure = await failureOf(other.database.transaction({}, (sql) => sql`select 1`))
    expect(failure.code).toBe('unavailable')
  })
})
