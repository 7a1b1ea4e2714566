/** Raw SQL as the application role under a context of any shape: what an injected statement could do. */
import { createHmac } from 'node:crypto'
import { SqlFragment, type Sql } from '../../src/database/database.ts'
import { sqlStateOf } from '../../src/database/faults.ts'
import type { TestDatabase } from './database.ts'

export interface Statements {
  /** Signs the parts of a context as the program does, in their order, without any check of ours. */
  sign(...parts: readonly (string | bigint | number)[]): string
  /** A context of an agent in its own namespace; `flags` as in scope.ts. */
  agent(namespace: bigint, agent: string, flags?: string): string
  /** Runs under a context as it stands; the transaction is undone. */
  attempt<T>(as: string | undefined, work: (sql: Sql) => Promise<T>): Promise<T>
  /** SQLSTATE of the refusal; `done` when there was none. */
  stateOf(as: string | undefined, ...statements: readonly string[]): Promise<string>
  /** Rows that a statement returns or that it wrote, as far as `returning` says. */
  rows(as: string | undefined, statement: string): Promise<object[]>
}

export const insufficientPrivilege = '42501'
export const invalidContext = 'MG001'
export const checkViolation = '23514'

/** Text of our own tests as SQL. */
export function raw(text: string): SqlFragment {
  return new SqlFragment([text], [])
}

export const hexOf = (text: string): string => Buffer.from(text).toString('hex')
export const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600

export function statementsOf(test: TestDatabase): Statements {
  const sign: Statements['sign'] = (...parts) => {
    const body = parts.join('|')
    return `${body}|${createHmac('sha256', test.contextKey).update(body).digest('hex')}`
  }
  const attempt: Statements['attempt'] = async (as, work) => {
    const undone = new Error('undone')
    let result: { value: Awaited<ReturnType<typeof work>> } | undefined
    await test.database
      .transaction({}, async (sql) => {
        await sql`select set_config('search_path', 'mindglue, public', true)`
        if (as !== undefined) await sql`select set_config('mindglue.context', ${as}, true)`
        result = { value: await work(sql) }
        throw undone
      })
      .catch((error: unknown) => {
        if (error !== undone) throw error
      })
    if (result === undefined) throw new Error('the transaction did not run')
    return result.value
  }
  return {
    sign,
    agent: (namespace, agent, flags = '-') => sign(namespace, hexOf(agent), flags, inAnHour()),
    attempt,
    stateOf: (as, ...statements) =>
      attempt(as, async (sql) => {
        for (const statement of statements) await sql`${raw(statement)}`
      }).then(
        () => 'done',
        (error: unknown) => sqlStateOf(error) ?? String(error),
      ),
    rows: (as, statement) => attempt(as, (sql) => sql`${raw(statement)}`),
  }
}
