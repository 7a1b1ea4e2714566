/** One connection to Postgres over postgres.js: used by one transaction at a time, never reconnected. */

import postgres from 'postgres'
import { parsers } from './codec.ts'
import { DatabaseFault, toDatabaseError, tooSlow, unreachable } from './faults.ts'
import { cancelStatement, GuardedSocket, openSocket } from './postgres-guard.ts'
import type { PostgresTarget } from './postgres-url.ts'
import type { Statements } from './session.ts'

/** Distinct statements kept prepared on one connection; further ones are parsed each time. */
const preparedMax = 500
const cancelTimeoutMs = 2000

/** Every type travels as text that codec.ts made and reads, so the driver must not convert. */
const types = Object.fromEntries(
  [16, 17, 20, 21, 23, 25, 26, 114, 700, 701, 1082, 1114, 1184, 3802].map((type) => [
    `type${type}`,
    {
      to: type,
      from: [type],
      serialize: (text: string) => text,
      parse: parsers[type] ?? ((text: string) => text),
    },
  ]),
)
const arrayTypes = Object.fromEntries(
  Object.entries(parsers)
    .filter(([type]) => !(`type${type}` in types))
    .map(([type, parse]) => [
      `type${type}`,
      { to: Number(type), from: [Number(type)], serialize: (text: string) => text, parse },
    ]),
)

type Driver = ReturnType<typeof postgres>
/** Fields of a running statement that the driver's types leave out (src/query.js, src/connection.js). */
interface RunningStatement extends Promise<Iterable<object>> {
  readonly state: { readonly pid: number; readonly secret: number } | null
}

export class PostgresConnection implements Statements {
  /** Milliseconds of `performance.now()` after which the pool lets it go. */
  readonly expiresAt: number
  /** Longest time one statement may take here before the connection is given up, in milliseconds. */
  deadlineMs = 0
  readonly #target: PostgresTarget
  readonly #socket: GuardedSocket
  readonly #driver: Driver
  readonly #prepared = new Set<string>()
  readonly #pending = new Set<(error: unknown) => void>()
  #backend: { readonly pid: number; readonly secret: number } | undefined
  #worn = false

  private constructor(target: PostgresTarget, socket: GuardedSocket, lifetimeMs: number) {
    this.#target = target
    this.#socket = socket
    this.#driver = startDriver(target, socket)
    this.expiresAt = performance.now() + lifetimeMs
    socket.onLost((fault) => {
      for (const reject of this.#pending) reject(lostError(fault))
      this.#pending.clear()
    })
  }

  /** Connects and logs in within `connectTimeoutMs`; throws `unavailable` or `misconfigured`. */
  static async open(
    target: PostgresTarget,
    limits: { connectTimeoutMs: number; lifetimeMs: number },
  ): Promise<PostgresConnection> {
    const startedAt = performance.now()
    const socket = await openSocket(target, AbortSignal.timeout(limits.connectTimeoutMs))
    const connection = new PostgresConnection(target, new GuardedSocket(socket), limits.lifetimeMs)
    connection.deadlineMs = Math.max(1, limits.connectTimeoutMs - (performance.now() - startedAt))
    try {
      await connection.simple('select')
      return connection
    } catch (error) {
      await connection.close()
      const failure = toDatabaseError(error)
      throw failure instanceof Error && failure.name === 'AppError' ? failure : unreachable(failure)
    }
  }

  /** False once it is lost, worn or given up: it must not be used again. */
  get usable(): boolean {
    return this.#socket.lost === undefined && !this.#worn
  }

  onLost(listener: () => void): void {
    this.#socket.onLost(listener)
  }

  /** The work's outcome, or the loss of the connection if that comes first: work may wait for something else. */
  async whileAlive<T>(work: Promise<T>): Promise<T> {
    let forget = (): void => undefined
    const lost = new Promise<never>((_, reject) => {
      forget = this.#socket.onLost((fault) => reject(lostError(fault)))
    })
    try {
      return await Promise.race([work, lost])
    } finally {
      forget()
    }
  }

  /** Marks it for replacement after the present transaction. */
  retire(): void {
    this.#worn = true
  }

  query(text: string, values: readonly (string | null)[]): Promise<object[]> {
    const prepare = this.#prepared.has(text) || this.#prepared.size < preparedMax
    if (prepare) this.#prepared.add(text)
    // `simple: false` is missing in the driver's types; without it a text without parameters
    // would travel by the simple protocol and could not be prepared.
    const options: { prepare: boolean; simple: boolean } = { prepare, simple: false }
    return this.#run(() => this.#driver.unsafe(text, [...values], options))
  }

  simple(text: string): Promise<object[]> {
    return this.#run(() => this.#driver.unsafe(text))
  }

  /** Gives the connection up at once; the server is asked to stop what it does for it. */
  abandon(reason: string): void {
    if (this.#pending.size > 0 && this.#backend !== undefined) {
      cancelStatement(this.#target, this.#backend, AbortSignal.timeout(cancelTimeoutMs)).catch(
        () => undefined, // the server notices the closed connection by itself, only later
      )
    }
    this.#socket.lose(reason, '57014') // query_canceled: a limit of ours, not a fault of the server
  }

  close(): Promise<void> {
    return this.#socket.close()
  }

  /**
   * The driver answers, or the connection is lost, or the deadline passes: no statement outlives all
   * three. (The driver alone forgets statements that it had queued when a connection goes.)
   */
  #run(start: () => Promise<Iterable<object>>): Promise<object[]> {
    return new Promise((resolve, reject) => {
      if (this.#socket.lost !== undefined) {
        reject(lostError(this.#socket.lost))
        return
      }
      const settle = (): void => {
        clearTimeout(timer)
        this.#pending.delete(reject)
      }
      const timer = setTimeout(() => {
        this.abandon('no answer before the deadline')
      }, this.deadlineMs)
      this.#pending.add(reject)
      this.#finish(start()).then(resolve, reject).finally(settle)
    })
  }

  async #finish(running: Promise<Iterable<object>>): Promise<object[]> {
    try {
      const rows = await running
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see RunningStatement
      this.#backend ??= (running as RunningStatement).state ?? undefined
      return lastResult(rows)
    } catch (error) {
      const lost = this.#socket.lost
      throw lost === undefined ? error : lostError(lost)
    }
  }
}

/** Several statements in one text give an array of results, each an array of rows. */
function lastResult(rows: Iterable<object>): object[] {
  const results = [...rows]
  const last = results.at(-1)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- rows are objects, results are arrays of them
  return Array.isArray(last) ? (last as object[]) : results
}

function lostError(fault: DatabaseFault): Error {
  return fault.sqlState === '25P03' || fault.sqlState === '57014'
    ? tooSlow(fault.message)
    : unreachable(fault)
}

/** A driver for one connection over one socket; every setting is named, or PG* variables would decide. */
function startDriver(target: PostgresTarget, socket: GuardedSocket): Driver {
  let taken = false
  const options = {
    host: target.host,
    port: target.port,
    user: target.user,
    pass: target.password,
    database: target.database,
    max: 1,
    ssl: false as const, // TLS is inside the socket
    idle_timeout: 0,
    connect_timeout: 0, // the deadline of the first statement covers the login
    max_lifetime: 0,
    max_pipeline: 100,
    backoff: false,
    keep_alive: 30,
    prepare: true,
    debug: false as const,
    fetch_types: false,
    no_subscribe: true,
    types: { ...types, ...arrayTypes },
    onnotice: () => undefined, // the default prints to stdout, which belongs to the protocol
    connection: { application_name: 'mindglue', TimeZone: 'UTC', ...target.parameters },
    // Not in the driver's types: a factory for the socket (src/connection.js:128).
    socket: () => {
      if (taken) throw new DatabaseFault('the connection was lost')
      taken = true
      return socket
    },
  }
  return postgres(options)
}
