/** A function between the program and its engine: every statement of a transaction passes it on its way. */
import {
  compileSql,
  SqlFragment,
  type Database,
  type Sql,
  type SqlParameter,
  type SqlText,
} from '../../src/database/database.ts'

/** Returns the statement to run instead; a promise holds it up. */
export type Interceptor = (statement: SqlText) => SqlText | Promise<SqlText>

/**
 * The same engine, its statements seen by an interceptor of each transaction, which may send statements of its
 * own through `sql`: those are not seen.
 */
export function interceptDatabase(
  database: Database,
  interceptorOf: (sql: Sql) => Interceptor,
): Database {
  return {
    dialect: database.dialect,
    transaction: (options, work) =>
      database.transaction(options, (sql) => work(interceptSql(sql, interceptorOf(sql)))),
    status: () => database.status(),
    maintain: (task, table) => database.maintain(task, table),
    close: () => database.close(),
  }
}

/** The same, of one transaction. */
export function interceptSql(sql: Sql, intercept: Interceptor): Sql {
  return Object.assign(
    <Row extends object>(
      strings: TemplateStringsArray,
      ...values: readonly SqlParameter[]
    ): Promise<Row[]> => {
      const statement = intercept(compileSql(strings, values))
      // Not awaited unless it must be: statements are sent in the order of the calls.
      return statement instanceof Promise
        ? later<Row>(sql, statement)
        : sql<Row>`${toFragment(statement)}`
    },
    {
      dialect: sql.dialect,
      stream: <Row extends object>(batchRows: number) =>
        async function* stream(strings: TemplateStringsArray, ...values: readonly SqlParameter[]) {
          const statement = await intercept(compileSql(strings, values))
          yield* sql.stream<Row>(batchRows)`${toFragment(statement)}`
        },
    },
  )
}

async function later<Row extends object>(sql: Sql, statement: Promise<SqlText>): Promise<Row[]> {
  return await sql<Row>`${toFragment(await statement)}`
}

/** `$1`-style text as a fragment again; a parameter that the text names twice is sent twice. */
export function toFragment({ text, values }: SqlText): SqlFragment {
  const parts = text.split(/\$(\d+)/u)
  const strings = parts.filter((_, index) => index % 2 === 0)
  const used = parts
    .filter((_, index) => index % 2 === 1)
    .map((number) => values[Number(number) - 1] ?? null)
  return new SqlFragment(strings, used)
}
