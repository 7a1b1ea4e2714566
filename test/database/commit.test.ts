/** COMMIT is the point of no return: whenever a caller gives up, what it is told is what the rows say. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Database, Sql } from '../../src/database/database.ts'
import { toAppError } from '../../src/errors.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let fresh: TestDatabase
let database: Database
let nextId = 0

beforeAll(async () => {
  fresh = await openTestDatabase()
  database = fresh.database
  // A deferred trigger makes COMMIT itself take longer than the event loop needs to go round.
  await fresh.owner.ownerTransaction(async (_, script) => {
    await script(`
      create table public.item (id int primary key, is_slow boolean not null);
      grant select, insert on public.item to mindglue_app;
      create function public.linger() returns trigger language plpgsql as $$
        begin perform pg_sleep(0.1); return null; end $$;
      create constraint trigger linger after insert on public.item
        deferrable initially deferred for each row when (new.is_slow)
        execute function public.linger()`)
  })
})
afterAll(() => fresh.close())

interface Attempt {
  readonly id: number
  readonly signal: AbortSignal
  readonly abort: () => void
}

/** What the caller was told, or the code of its error, and whether the row is there. */
async function outcomeOf(
  run: (attempt: Attempt) => Promise<string>,
): Promise<{ told: string; isStored: boolean }> {
  const controller = new AbortController()
  const id = ++nextId
  const attempt = { id, signal: controller.signal, abort: () => controller.abort() }
  const told = await run(attempt).catch((error: unknown) => toAppError(error).code)
  const rows = await database.transaction({}, (sql) => sql`select from item where id = ${id}`)
  return { told, isStored: rows.length === 1 }
}

function storing(
  { id, signal }: Attempt,
  then: (sql: Sql) => void | Promise<void>,
  isSlow = false,
): Promise<string> {
  return database.transaction({ signal }, async (sql) => {
    await sql`insert into item values (${id}, ${isSlow})`
    await then(sql)
    return 'stored'
  })
}

const undone = { told: 'timeout', isStored: false }
const done = { told: 'stored', isStored: true }

test('who gives up before or within the transaction has stored nothing', async () => {
  const before = await outcomeOf((attempt) => {
    attempt.abort()
    return storing(attempt, () => undefined)
  })
  const within = await outcomeOf((attempt) =>
    storing(attempt, async (sql) => {
      attempt.abort()
      await sql`select 1`
    }),
  )
  const atItsEnd = await outcomeOf((attempt) => storing(attempt, () => attempt.abort()))
  expect([before, within, atItsEnd]).toEqual([undone, undone, undone])
})

test('who gives up while COMMIT runs, or after it, has stored it and is told so', async () => {
  const during = await outcomeOf((attempt) =>
    storing(attempt, () => void setImmediate(attempt.abort), true),
  )
  const after = await outcomeOf(async (attempt) => {
    const told = await storing(attempt, () => undefined)
    attempt.abort()
    return told
  })
  expect([during, after]).toEqual([done, done])
})

test('at whichever step towards COMMIT a caller gives up, it is told what the rows say', async () => {
  const seen = new Set<boolean>()
  for (let steps = 0; steps < 40; steps += 1) {
    const outcome = await outcomeOf((attempt) =>
      storing(attempt, () => void afterSteps(steps, attempt.abort)),
    )
    expect(outcome, `${steps} steps`).toEqual(outcome.isStored ? done : undone)
    seen.add(outcome.isStored)
  }
  expect(seen, 'both sides of the point of no return').toEqual(new Set([false, true]))
})

/** Calls back after so many turns of the queue of promises. */
async function afterSteps(count: number, act: () => void): Promise<void> {
  for (let step = 0; step < count; step += 1) await Promise.resolve()
  act()
}
