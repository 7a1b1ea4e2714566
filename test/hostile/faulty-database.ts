/** An engine that breaks a chosen statement of a chosen call, as a bug, a client or a server would. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Database, SqlText } from '../../src/database/database.ts'
import { interceptDatabase } from '../support/intercept.ts'

export const faultKinds = ['statement fails', 'program throws', 'cancelled', 'timed out'] as const

export interface Fault {
  readonly kind: (typeof faultKinds)[number]
  /** How many statements of the call pass before it. */
  readonly after: number
}

interface Planned extends Fault {
  seen: number
  fired: boolean
}

export interface FaultyDatabase extends Database {
  /** Runs a call whose transactions meet the fault; true in `fired` when it came so far. */
  during<T>(fault: Fault, call: () => Promise<T>): Promise<{ value: T; fired: boolean }>
}

/** Statements of other calls pass untouched. */
export function faultyDatabase(database: Database): FaultyDatabase {
  const plans = new AsyncLocalStorage<Planned>()
  return {
    dialect: database.dialect,
    transaction: (options, work) => {
      const plan = plans.getStore()
      if (plan === undefined || plan.fired) return database.transaction(options, work)
      const stop = new AbortController()
      const slow = plan.kind === 'timed out' && database.dialect.engine === 'postgres'
      return interceptDatabase(
        database,
        () => (statement) => meet(plan, stop, slow, statement),
      ).transaction(
        { ...options, signal: stop.signal, ...(slow && { statementTimeoutMs: 20 }) },
        work,
      )
    },
    status: () => database.status(),
    maintain: (task, table) => database.maintain(task, table),
    close: () => database.close(),
    during: async (fault, call) => {
      const plan: Planned = { ...fault, seen: 0, fired: false }
      try {
        return { value: await plans.run(plan, call), fired: plan.fired }
      } catch (error) {
        throw Object.assign(error instanceof Error ? error : new Error(String(error)), {
          fired: plan.fired,
        })
      }
    },
  }
}

function meet(
  plan: Planned,
  stop: AbortController,
  slow: boolean,
  statement: SqlText,
): SqlText | Promise<SqlText> {
  if (plan.fired || plan.seen++ < plan.after) return statement
  plan.fired = true
  if (plan.kind === 'program throws') return Promise.reject(new TypeError('a bug of ours'))
  if (plan.kind === 'statement fails') return { text: 'select 1 / 0', values: [] }
  if (slow) return { text: 'select pg_sleep(1)', values: [] }
  // The statement is on its way when its caller leaves.
  setImmediate(() => stop.abort())
  return statement
}
