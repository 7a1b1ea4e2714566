/** Postgres behind the Database contract: a bounded pool of guarded connections, limits, retries. */

import {
  fragment,
  type Database,
  type DatabaseStatus,
  type Dialect,
  type MaintenanceTask,
  type OwnerDatabase,
  type Sql,
  type TransactionOptions,
} from './database.ts'
import { AppError } from '../errors.ts'
import { sqlStateOf, toDatabaseError, tooSlow } from './faults.ts'
import { maintenanceText } from './maintenance.ts'
import { PostgresConnection } from './postgres-connection.ts'
import { parsePostgresUrl, type PostgresTarget } from './postgres-url.ts'
import { Queue } from './queue.ts'
import { beginText, NestingGuard, repeatWhenUndone, Transaction } from './session.ts'
import { engineVersions } from './versions.sql.ts'

export interface PostgresOptions {
  readonly url: string
  /** Most connections at once; twice as many transactions may wait, more are refused. */
  readonly poolMax?: number
  /** Longest time to connect, and longest wait for a free connection, in milliseconds. */
  readonly connectTimeoutMs?: number
  readonly statementTimeoutMs?: number
  readonly lockTimeoutMs?: number
  readonly idleInTransactionTimeoutMs?: number
  /** A connection is replaced after this time, in milliseconds, so that failovers and DNS are followed. */
  readonly connectionLifetimeMs?: number
}

export interface PostgresDatabase extends Database, OwnerDatabase {}

const defaults = {
  poolMax: 10,
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 15_000,
  lockTimeoutMs: 3_000,
  idleInTransactionTimeoutMs: 10_000,
  connectionLifetimeMs: 30 * 60_000,
} satisfies Omit<Required<PostgresOptions>, 'url'>

/** The server's own limit fires first; ours is for a server or network that no longer answers. */
const deadlineGraceMs = 5_000
const dialect: Dialect = { engine: 'postgres', vectorType: fragment`halfvec` }

/**
 * Connects once before it returns: throws `misconfigured` on a URL, login or certificate that cannot
 * work, `unavailable` when no server answers. A resolved transaction is committed on the server.
 */
export async function openPostgres(options: PostgresOptions): Promise<PostgresDatabase> {
  const limits = { ...defaults, ...options }
  const database = new PooledDatabase(parsePostgresUrl(options.url), limits)
  await database.status()
  return database
}

interface ConnectionLimits {
  readonly statementTimeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** From when on the signal no longer interrupts; never, when left out. */
  readonly isFinal?: () => boolean
}

class PooledDatabase implements PostgresDatabase {
  readonly dialect = dialect
  readonly #target: PostgresTarget
  readonly #limits: Required<PostgresOptions>
  readonly #queue: Queue
  /** Most recently used last: it is taken first, so that a quiet pool shrinks from the other end. */
  readonly #idle: PostgresConnection[] = []
  readonly #nesting = new NestingGuard()

  constructor(target: PostgresTarget, limits: Required<PostgresOptions>) {
    this.#target = target
    this.#limits = limits
    this.#queue = new Queue({
      concurrency: limits.poolMax,
      waitingMax: 2 * limits.poolMax,
      waitTimeoutMs: limits.connectTimeoutMs,
    })
  }

  transaction<T>(options: TransactionOptions, work: (sql: Sql) => Promise<T>): Promise<T> {
    const statementTimeoutMs = options.statementTimeoutMs ?? this.#limits.statementTimeoutMs
    const begin = beginText(options, [
      // Whatever role an earlier statement of this session put on, and what it meant to leave behind for
      // whoever is served next: rows of a cursor that outlives its transaction, a lock of the session.
      'set local role none',
      'close all',
      'select pg_catalog.pg_advisory_unlock_all()',
      setting('statement_timeout', statementTimeoutMs),
      setting('lock_timeout', this.#limits.lockTimeoutMs),
      setting('idle_in_transaction_session_timeout', this.#limits.idleInTransactionTimeoutMs),
    ])
    return this.#nesting.run(() =>
      repeatWhenUndone(options, () => {
        let committing = (): boolean => false
        const limits = {
          signal: options.signal,
          statementTimeoutMs,
          isFinal: (): boolean => committing(),
        }
        const result = this.#withConnection(limits, (connection) => {
          const transaction = new Transaction(connection, dialect)
          committing = () => transaction.committing
          return transaction.run(begin, work)
        })
        return { result, undone: () => !committing() }
      }),
    )
  }

  ownerTransaction<T>(
    work: (sql: Sql, script: (text: string) => Promise<void>) => Promise<T>,
  ): Promise<T> {
    // Building an index may take long; waiting for a lock behind long transactions may not.
    const begin = 'begin; set local search_path = public; set local statement_timeout = 0'
    const limits = { statementTimeoutMs: 3_600_000 }
    return this.#nesting.run(() =>
      this.#withConnection(limits, (connection) =>
        new Transaction(connection, dialect).run(begin, (sql) =>
          work(sql, async (text) => void (await connection.simple(text))),
        ),
      ),
    )
  }

  async status(): Promise<DatabaseStatus> {
    const limits = { readOnly: true, statementTimeoutMs: this.#limits.connectTimeoutMs }
    const versions = await this.transaction(limits, engineVersions)
    return {
      ...versions,
      poolInUse: this.#queue.running,
      poolWaiting: this.#queue.waiting,
    }
  }

  /** Needs rights the application role does not have: throws `unsupported` for it, the server does both itself. */
  async maintain(task: MaintenanceTask, table?: string): Promise<void> {
    try {
      await this.#withConnection(this.#limits, (connection) =>
        connection.simple(maintenanceText(task, table)),
      )
    } catch (error) {
      if (sqlStateOf(error) !== '42501') throw error
      throw new AppError('unsupported', 'This login may not maintain the database.', {
        cause: error,
      })
    }
  }

  async close(): Promise<void> {
    await this.#queue.close()
    await Promise.all(this.#idle.splice(0).map((connection) => connection.close()))
  }

  async #withConnection<T>(
    { signal, statementTimeoutMs, isFinal = () => false }: ConnectionLimits,
    work: (connection: PostgresConnection) => Promise<T>,
  ): Promise<T> {
    const release = await this.#queue.enter(signal)
    let connection: PostgresConnection | undefined
    let isAborted = false
    const onAbort = (): void => {
      if (isFinal()) return
      isAborted = true
      connection?.abandon('aborted by its caller')
    }
    try {
      connection = this.#takeIdle() ?? (await this.#connect())
      connection.deadlineMs = statementTimeoutMs + deadlineGraceMs
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted === true) throw tooSlow('aborted before its turn')
      const working = work(connection)
      return await connection.whileAlive(working).catch(async (error: unknown) => {
        if (!isFinal()) throw error
        return await working // COMMIT ends with the connection, and knows what that means
      })
    } catch (error) {
      const failure = toDatabaseError(error)
      if (sqlStateOf(failure) === '0A000') connection?.retire()
      throw isAborted ? tooSlow('aborted by its caller') : failure
    } finally {
      signal?.removeEventListener('abort', onAbort)
      if (connection !== undefined) this.#putBack(connection)
      release()
    }
  }

  #takeIdle(): PostgresConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined || connection.usable) return connection
    }
  }

  async #connect(): Promise<PostgresConnection> {
    const { connectTimeoutMs, connectionLifetimeMs } = this.#limits
    // Spread over half the lifetime, so that a pool filled at once is not renewed at once.
    const lifetimeMs = connectionLifetimeMs * (0.75 + Math.random() / 2)
    const connection = await PostgresConnection.open(this.#target, { connectTimeoutMs, lifetimeMs })
    connection.onLost(() => {
      const index = this.#idle.indexOf(connection)
      if (index !== -1) this.#idle.splice(index, 1)
    })
    return connection
  }

  #putBack(connection: PostgresConnection): void {
    if (connection.usable && performance.now() < connection.expiresAt) this.#idle.push(connection)
    else void connection.close()
  }
}

/** Zero means no limit, in Postgres as here. */
function setting(name: string, milliseconds: number): string {
  if (!Number.isSafeInteger(milliseconds) || milliseconds < 0) {
    throw new RangeError(`${name} must be a whole number of milliseconds`)
  }
  return `set local ${name} = ${milliseconds}`
}
