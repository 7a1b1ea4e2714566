/** PGlite with pgvector behind the Database contract: one transaction at a time, durable, as the app role. */

import { setImmediate } from 'node:timers/promises'
import { PGlite } from '@electric-sql/pglite'
import { vector } from '@electric-sql/pglite-pgvector'
import { AppError } from '../errors.ts'
import { parsers } from './codec.ts'
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
import { DurableNodeFs, durableStartParameters } from './embedded-fsync.ts'
import {
  copyDirectory,
  createDirectory,
  hasDatabase,
  unpackDirectory,
} from './embedded-template.ts'
import { unreachable } from './faults.ts'
import { maintenanceText } from './maintenance.ts'
import { Queue } from './queue.ts'
import {
  beginText,
  NestingGuard,
  repeatWhenUndone,
  Transaction,
  type Statements,
} from './session.ts'
import { Turn, type TurnLimits } from './turn.ts'
import { engineVersions } from './versions.sql.ts'

export interface EmbeddedOptions {
  /**
   * Directory of the data files; created when missing. Exactly one process may have it open, or the
   * data is silently corrupted: the caller holds the lock that ensures it (daemon/election.ts).
   */
  readonly dataDir: string
  /** A template with all migrations (`shippedTemplate`); without it a new directory takes seconds. */
  readonly template?: string | undefined
  /** Transactions that may wait for their turn; more are refused as `unavailable`. */
  readonly queueMax?: number
  /** Longest wait for a turn, in milliseconds. */
  readonly waitTimeoutMs?: number
  /** Longest pause of a transaction between two statements before it is rolled back, in milliseconds. */
  readonly idleInTransactionTimeoutMs?: number
}

export interface EmbeddedDatabase extends Database, OwnerDatabase {
  /** A consistent copy into a new or empty directory while the database is in use; it opens as it is. */
  backup(directory: string): Promise<void>
  /** fsync calls so far. */
  readonly syncs: number
}

const queueMaxDefault = 256
const waitTimeoutMsDefault = 15_000
const idleTimeoutMsDefault = 10_000
/** Statements are answered for this long before the event loop goes round once. */
const loopTurnMs = 10
const appRole = 'mindglue_app'
const dialect: Dialect = { engine: 'embedded', vectorType: fragment`vector` }

/** Parameters are text already (codec.ts), whatever the type: the engine must not encode them again. */
const textParameters = new Proxy<Record<number, (text: string) => string>>(
  {},
  { get: () => (text: string) => text },
)

/**
 * Opens or creates the data directory. Throws `misconfigured` when the directory holds something else,
 * `unavailable` when the engine does not start. A resolved transaction is on disk (fsync).
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  if (options.template !== undefined) await unpackDirectory(options.dataDir, options.template)
  else if (!hasDatabase(options.dataDir)) await createDirectory(options.dataDir, initialise)
  const { engine, files } = await startEngine(options.dataDir)
  return new EngineDatabase(engine, files, options)
}

/**
 * A new cluster, without the two databases that only CREATE DATABASE needs: they are two thirds of its
 * thousand files, and each file is created and synced on a first start.
 */
async function initialise(dataDir: string): Promise<void> {
  const { engine } = await startEngine(dataDir)
  for (const name of ['template0', 'template1']) {
    await engine.exec(`alter database ${name} is_template false`)
    await engine.exec(`drop database ${name}`)
  }
  await engine.exec('checkpoint')
  await engine.close()
}

async function startEngine(dataDir: string): Promise<{ engine: PGlite; files: DurableNodeFs }> {
  const files = new DurableNodeFs(dataDir)
  try {
    const engine = await PGlite.create({
      fs: files,
      extensions: { vector },
      startParams: [...durableStartParameters],
      // Small log segments: each new one is written out in full and synced before it is used.
      initDbStartParams: ['--wal-segsize=1'],
    })
    // Once, and not as an option of each query: the engine would copy its table of 400 parsers each time.
    Object.assign(engine.parsers, parsers)
    engine.serializers = textParameters
    return { engine, files }
  } catch (error) {
    throw new AppError('unavailable', 'The embedded database does not start.', { cause: error })
  }
}

class EngineDatabase implements EmbeddedDatabase {
  readonly dialect = dialect
  readonly #engine: PGlite
  readonly #files: DurableNodeFs
  readonly #options: EmbeddedOptions
  readonly #queue: Queue
  readonly #nesting = new NestingGuard()
  /** From when on the event loop gets a turn before the next answer. */
  #loopDueAt = 0
  /** What ended the engine; nothing can run after it. */
  #broken: unknown

  constructor(engine: PGlite, files: DurableNodeFs, options: EmbeddedOptions) {
    this.#engine = engine
    this.#files = files
    this.#options = options
    this.#queue = new Queue({
      concurrency: 1,
      waitingMax: options.queueMax ?? queueMaxDefault,
      waitTimeoutMs: options.waitTimeoutMs ?? waitTimeoutMsDefault,
    })
  }

  get syncs(): number {
    return this.#files.syncs
  }

  async transaction<T>(options: TransactionOptions, work: (sql: Sql) => Promise<T>): Promise<T> {
    const begin = beginText(options, [`set local role ${appRole}`])
    return this.#nesting.run(() =>
      repeatWhenUndone(options, () => ({
        result: this.#transact(begin, work, options.signal),
        undone: () => false, // a lost engine does not come back
      })),
    )
  }

  async ownerTransaction<T>(
    work: (sql: Sql, script: (text: string) => Promise<void>) => Promise<T>,
  ): Promise<T> {
    return this.#nesting.run(() =>
      this.#transact('begin; set local search_path = public', (sql, statements) =>
        work(sql, async (text) => void (await statements.simple(text))),
      ),
    )
  }

  async status(): Promise<DatabaseStatus> {
    const versions = await this.ownerTransaction(engineVersions)
    return {
      ...versions,
      poolInUse: this.#queue.running,
      poolWaiting: this.#queue.waiting,
    }
  }

  async maintain(task: MaintenanceTask, table?: string): Promise<void> {
    await this.#exclusive((statements) => statements.simple(maintenanceText(task, table)))
  }

  async backup(directory: string): Promise<void> {
    await this.#exclusive(async (statements) => {
      await statements.simple('checkpoint')
      await copyDirectory(this.#options.dataDir, directory)
    })
  }

  /** Waits for running work; waiting work is refused. The log is checkpointed so that the next start is fast. */
  async close(): Promise<void> {
    await this.#queue.close()
    if (this.#engine.closed) return
    if (this.#broken === undefined)
      await this.#statements.simple('checkpoint').catch(() => undefined)
    await this.#engine.close()
  }

  /** Statements on the engine; a failure that is not the server's answer means the engine is gone. */
  readonly #statements: Statements = {
    query: (text, values) =>
      this.#guarded(async () => (await this.#engine.query<object>(text, [...values])).rows),
    simple: (text) =>
      this.#guarded(async () => {
        const results = await this.#engine.exec(text)
        return results.at(-1)?.rows ?? []
      }),
  }

  /**
   * The engine computes in this process and its promises settle as microtasks: one transaction after the
   * other, or one of many statements, would keep timers, sockets and cancellation waiting to its end.
   */
  async #turnLoop(): Promise<void> {
    if (performance.now() < this.#loopDueAt) return
    await setImmediate()
    this.#loopDueAt = performance.now() + loopTurnMs
  }

  async #guarded<T>(run: () => Promise<T>): Promise<T> {
    if (this.#broken !== undefined) throw unreachable(this.#broken)
    try {
      const result = await run()
      await this.#turnLoop()
      return result
    } catch (error) {
      if (isServerAnswer(error)) throw error
      // Either a value that could not be read, or the engine itself: does it still answer?
      const answer: unknown = await this.#engine.exec('select 1').catch((reason: unknown) => reason)
      if (Array.isArray(answer) || isServerAnswer(answer)) throw error
      this.#broken = error
      throw unreachable(error)
    }
  }

  #transact<T>(
    begin: string,
    work: (sql: Sql, statements: Statements) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    let transaction: Transaction | undefined
    return this.#exclusive(
      (statements) => {
        transaction = new Transaction(statements, dialect)
        return transaction.run(begin, (sql) => work(sql, statements))
      },
      { signal, isFinal: () => transaction?.committing === true },
    )
  }

  /** One turn on the engine; the turn ends early when its owner aborts or pauses for too long. */
  async #exclusive<T>(
    work: (statements: Statements) => Promise<T>,
    limits: Omit<TurnLimits, 'idleTimeoutMs'> = {},
  ): Promise<T> {
    const release = await this.#queue.enter(limits.signal)
    const turn = new Turn(this.#statements, {
      idleTimeoutMs: this.#options.idleInTransactionTimeoutMs ?? idleTimeoutMsDefault,
      ...limits,
    })
    try {
      return await turn.run(work)
    } finally {
      release()
    }
  }
}

function isServerAnswer(error: unknown): boolean {
  return error instanceof Error && 'severity' in error
}
