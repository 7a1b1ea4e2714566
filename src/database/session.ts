/** One transaction on one engine session: the `Sql` handle, streaming, retries. The same for both engines. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeParameter } from './codec.ts'
import {
  compileSql,
  type Dialect,
  type Sql,
  type SqlParameter,
  type TransactionOptions,
} from './database.ts'
import { isConnectionLoss, sqlStateOf, toCommitError, toDatabaseError } from './faults.ts'

/** What an engine's session can do; statements run in the order of the calls. */
export interface Statements {
  /** One statement with parameters already in Postgres text format; null is SQL null. */
  query(text: string, values: readonly (string | null)[]): Promise<object[]>
  /** SQL text of our own without parameters, several statements allowed; rows of the last one. */
  simple(text: string): Promise<object[]>
}

/** Schema first, then where extensions live; unless named, a session's temporary objects come before both. */
const searchPath = 'mindglue, public, pg_temp'

/** A transaction that fails in these ways was undone as a whole and may run again. */
const repeatableStates = new Set(['40001', '40P01'])
const attemptsMax = 4
const backoffMs = 20

/** Runs the work in one transaction that `statements` has not yet begun. */
export class Transaction {
  readonly sql: Sql
  /** True from the moment COMMIT is on its way: nothing of ours interrupts it, and the outcome may be unknown. */
  committing = false
  readonly #statements: Statements
  #open = true
  #failure: { readonly error: unknown } | undefined
  #streams = 0

  constructor(statements: Statements, dialect: Dialect) {
    this.#statements = statements
    const run = <Row extends object>(
      strings: TemplateStringsArray,
      ...values: readonly SqlParameter[]
    ): Promise<Row[]> =>
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the caller names the row of its own SQL
      this.#query(strings, values) as Promise<Row[]>
    this.sql = Object.assign(run, {
      dialect,
      stream:
        <Row extends object>(batchRows: number) =>
        (strings: TemplateStringsArray, ...values: readonly SqlParameter[]) =>
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
          this.#stream(batchRows, strings, values) as AsyncGenerator<readonly Row[]>,
    })
  }

  /**
   * `begin` opens the transaction; it travels together with the first statement of the work. Commits
   * when the work resolves and no statement failed, else rolls back and throws what failed first.
   */
  async run<T>(begin: string, work: (sql: Sql) => Promise<T>): Promise<T> {
    const begun = this.#watch(this.#statements.simple(begin))
    let result: T
    try {
      ;[, result] = await Promise.all([begun, work(this.sql)])
      // A failed statement aborts the transaction even if the work caught the error: Postgres would
      // answer COMMIT with a silent rollback.
      if (this.#failure !== undefined) throw this.#failure.error
    } catch (error) {
      this.#open = false
      // The error that matters is the first; a rollback fails only with its connection.
      await this.#statements.simple('rollback').catch(() => undefined)
      throw toDatabaseError(this.#failure?.error ?? error)
    }
    this.#open = false
    this.committing = true
    try {
      await this.#statements.simple('commit')
    } catch (error) {
      throw toCommitError(error)
    }
    return result
  }

  #query(strings: readonly string[], values: readonly SqlParameter[]): Promise<object[]> {
    return this.#watch(this.#send(strings, values))
  }

  /** Async so that a value that cannot be encoded is a rejection, as every other failure. */
  async #send(
    strings: readonly string[],
    values: readonly SqlParameter[],
    prefix = '',
  ): Promise<object[]> {
    if (!this.#open) throw new Error('a statement came after the end of its transaction')
    const { text, values: parameters } = compileSql(strings, values)
    try {
      return await this.#statements.query(
        prefix + text,
        parameters.map((value) => encodeParameter(value)),
      )
    } catch (error) {
      throw toDatabaseError(error)
    }
  }

  /** Remembers the first failure; a rejection nobody awaits must not end the process. */
  #watch(running: Promise<object[]>): Promise<object[]> {
    running.catch((error: unknown) => {
      this.#failure ??= { error }
    })
    return running
  }

  /**
   * A server-side cursor, so that other statements may run between batches; for SELECT and VALUES.
   * (The drivers' own portals would hold the connection until the stream ends.)
   */
  async *#stream(
    batchRows: number,
    strings: readonly string[],
    values: readonly SqlParameter[],
  ): AsyncGenerator<readonly object[]> {
    if (!Number.isSafeInteger(batchRows) || batchRows < 1) {
      throw new RangeError('batchRows must be a positive integer')
    }
    this.#streams += 1
    const name = `stream_${this.#streams}`
    // The whole result will be read, so plan for that and not for its first tenth.
    const planned = this.#watch(this.#statements.simple('set local cursor_tuple_fraction = 1'))
    await Promise.all([
      planned,
      this.#watch(this.#send(strings, values, `declare ${name} no scroll cursor for `)),
    ])
    try {
      for (;;) {
        if (!this.#open) throw new Error('a stream was read after the end of its transaction')
        const rows = await this.#watch(
          this.#statements.simple(`fetch forward ${batchRows} from ${name}`),
        )
        if (rows.length > 0) yield rows
        if (rows.length < batchRows) return
      }
    } finally {
      if (this.#open && this.#failure === undefined) {
        await this.#watch(this.#statements.simple(`close ${name}`))
      }
    }
  }
}

/** `begin` with its options as SQL text; `settings` are further statements that travel with it. */
export function beginText(options: TransactionOptions, settings: readonly string[]): string {
  const isolation = options.isolation ?? 'read committed'
  const access = options.readOnly === true ? 'read only' : 'read write'
  return [
    `begin isolation level ${isolation} ${access}`,
    `set local search_path = ${searchPath}`,
    ...settings,
  ].join('; ')
}

/** Knows whether the current asynchronous call chain is inside a transaction already. */
export class NestingGuard {
  readonly #inside = new AsyncLocalStorage<{ open: boolean }>()

  /** Throws when called inside itself: the inner transaction would wait for the outer one for ever. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside.getStore()?.open === true) {
      throw new Error('a transaction may not be opened inside another: pass its handle on')
    }
    const mark = { open: true }
    try {
      return await this.#inside.run(mark, work)
    } finally {
      mark.open = false
    }
  }
}

/**
 * Repeats an undone transaction when its owner allows it. `attempt` says through `undone` whether a
 * lost connection can have had no effect (COMMIT was never sent).
 */
export async function repeatWhenUndone<T>(
  options: TransactionOptions,
  attempt: () => { readonly result: Promise<T>; readonly undone: () => boolean },
): Promise<T> {
  for (let number = 1; ; number += 1) {
    const { result, undone } = attempt()
    try {
      return await result
    } catch (error) {
      const state = sqlStateOf(error) ?? ''
      const lost = isConnectionLoss(error) && undone()
      const repeatable = options.retryable === true && (repeatableStates.has(state) || lost)
      if (!repeatable || number === attemptsMax) throw error
      // Full jitter, so that two transactions that met do not meet again.
      await delay(Math.random() * backoffMs * 2 ** number)
    }
  }
}
