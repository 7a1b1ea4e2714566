/** The contract of a database engine: tagged template in, rows out. Knows no namespace; scope.ts does. */

/** What may be bound as a parameter. Arrays need a cast in the SQL text (`${ids}::uuid[]`). */
export type SqlScalar = string | number | bigint | boolean | Date | Uint8Array | null
export type SqlParameter = SqlScalar | readonly SqlScalar[] | SqlFragment

/** A piece of SQL made with `fragment`; nests inside a query and inside other fragments. */
export class SqlFragment {
  readonly strings: readonly string[]
  readonly values: readonly SqlParameter[]
  constructor(strings: readonly string[], values: readonly SqlParameter[]) {
    this.strings = strings
    this.values = values
  }
}

/** Makes a composable piece of SQL: `` fragment`and type = any(${types}::text[])` ``. */
export function fragment(
  strings: TemplateStringsArray,
  ...values: readonly SqlParameter[]
): SqlFragment {
  return new SqlFragment(strings, values)
}

export const nothing = new SqlFragment([''], [])

/** Joins fragments with a separator that is part of our own SQL text, such as ` and `. */
export function joinFragments(parts: readonly SqlFragment[], separator: string): SqlFragment {
  const strings = ['']
  const values: SqlParameter[] = []
  for (const [index, part] of parts.entries()) {
    strings[strings.length - 1] += index === 0 ? '' : separator
    values.push(part)
    strings.push('')
  }
  return new SqlFragment(strings, values)
}

export interface SqlText {
  readonly text: string
  readonly values: readonly (SqlScalar | readonly SqlScalar[])[]
}

/** Flattens a template and its nested fragments into `$1`-style text. The same in both engines. */
export function compileSql(strings: readonly string[], values: readonly SqlParameter[]): SqlText {
  const parameters: (SqlScalar | readonly SqlScalar[])[] = []
  const write = (texts: readonly string[], inner: readonly SqlParameter[]): string =>
    texts
      .map((text, index) => {
        if (index >= inner.length) return text
        const value = inner[index]
        if (value instanceof SqlFragment) return text + write(value.strings, value.values)
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- undefined is refused when encoded
        parameters.push(value as SqlScalar | readonly SqlScalar[])
        return `${text}$${parameters.length}`
      })
      .join('')
  const text = write(strings, values)
  return { text, values: parameters }
}

/**
 * Runs one statement inside a transaction and returns its rows. Column types come back as:
 * int2/int4/float → number, int8 → bigint, bytea → Buffer, timestamptz → Date, uuid/text → string.
 */
export interface Sql {
  <Row extends object = Record<string, unknown>>(
    strings: TemplateStringsArray,
    ...values: readonly SqlParameter[]
  ): Promise<Row[]>
  /** Rows of one statement in batches of `batchRows`, without holding the whole result in memory. */
  stream<Row extends object>(
    batchRows: number,
  ): (
    strings: TemplateStringsArray,
    ...values: readonly SqlParameter[]
  ) => AsyncIterable<readonly Row[]>
  /** SQL text where the engines differ; see `Dialect`. */
  readonly dialect: Dialect
}

/** The only differences between the engines that SQL text may depend on. */
export interface Dialect {
  readonly engine: 'postgres' | 'embedded'
  /** Type of an embedding column, cast on parameters: halfvec on Postgres, vector on PGlite. */
  readonly vectorType: SqlFragment
}

export interface TransactionOptions {
  readonly readOnly?: boolean
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable'
  /** Only work that is idempotent may be run again after a serialization failure or a deadlock. */
  readonly retryable?: boolean
  /** Overrides the configured statement timeout, in milliseconds (Postgres only). */
  readonly statementTimeoutMs?: number
  /**
   * Aborting takes waiting work out of the queue and rolls running work back; it throws `timeout`. Once
   * COMMIT was sent it changes nothing.
   */
  readonly signal?: AbortSignal
}

/** An engine under the rights of its administrator: for migrations and set-up, never for requests. */
export interface OwnerDatabase {
  readonly dialect: Dialect
  /** One transaction outside the application role; `script` runs several statements without parameters. */
  ownerTransaction<T>(
    work: (sql: Sql, script: (text: string) => Promise<void>) => Promise<T>,
  ): Promise<T>
}

/**
 * `rewrite`: VACUUM FULL, which leaves nothing in the table's files of rows that died before an `outlive`:
 * that one waits for every transaction that might still see them, `timeout` after ten minutes.
 * `overwrite-log`: the same for the write-ahead log, whose old segments are kept for later use with all
 * that was in them.
 */
export type MaintenanceTask =
  'checkpoint' | 'vacuum' | 'analyze' | 'outlive' | 'rewrite' | 'overwrite-log'

export interface DatabaseStatus {
  readonly serverVersion: string
  readonly vectorVersion: string
  /** Connections in use and waiting requests; for the embedded engine 0 or 1 and the queue. */
  readonly poolInUse: number
  readonly poolWaiting: number
}

/**
 * One engine. A transaction is durable when its promise resolves (fsync on both engines).
 * Throws AppError `unavailable` when the engine cannot be reached, `timeout` when a limit cut the work,
 * `conflict` on a serialization failure that was not retried; the work was then undone, unless
 * `isOutcomeUnknown` (faults.ts) says otherwise. Never hands out a connection.
 */
export interface Database {
  readonly dialect: Dialect
  transaction<T>(options: TransactionOptions, work: (sql: Sql) => Promise<T>): Promise<T>
  status(): Promise<DatabaseStatus>
  /** Statements that cannot run in a transaction; a closed list, no user input. */
  maintain(task: MaintenanceTask, table?: string): Promise<void>
  close(): Promise<void>
}
