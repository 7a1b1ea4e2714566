/**
 * The whole program over a copy of its sources in which each lock bears a mark (Postgres): what a statement
 * locks is looked at by another session, with the lock and without it. Prints one line of JSON.
 */
import type { Database, OwnerDatabase, Sql, SqlText } from '../../../src/database/database.ts'
import { migrate, readMigrations } from '../../../src/database/migrate.ts'
import { openPostgres } from '../../../src/database/postgres.ts'
import { createScope } from '../../../src/database/scope.ts'
import { jobPrincipal } from '../../../src/jobs/job-principal.ts'
import { mendPartition } from '../../../src/memory/vector-partitions.sql.ts'
import { numbered } from '../../support/everything-inputs.ts'
import { runEverything } from '../../support/everything.ts'
import {
  interceptDatabase,
  interceptSql,
  toFragment,
  type Interceptor,
} from '../../support/intercept.ts'
import { openTestMemory } from '../../support/memory.ts'
import { contextOf } from '../../support/replay.ts'
import { raw } from '../../support/statements.ts'
import { until } from '../../support/until.ts'
import { makePartition } from './scope-extras.ts'
import { markOf, sitesOf, type Site } from './sources.ts'

const sites = sitesOf('lock')
const isClause = ({ found }: Site): boolean => found.startsWith('for ')
const clauses = sites.filter(isClause)
const killed = new Map<string, string>()
const tries = new Map<string, number>()
const findings: string[] = []

const memory = await openTestMemory({ profile: 'off' })
const other = await openPostgres({ url: memory.test.adminUrl, poolMax: 1 })
await runEverything(memory, watched(memory.test.database))
await mending()
await migrations()
await other.close()
await memory.test.close()
const open = sites.filter(({ id }) => !killed.has(id)).map(({ id }) => [id, tries.get(id) ?? 0])
process.stdout.write(`${JSON.stringify({ sites, killed: [...killed], open, findings })}\n`)

interface Transaction {
  namespace?: bigint | undefined
  /** A call that would have locked the namespace; it was left out if `isLeftOut`. */
  site?: string | undefined
  isLeftOut?: boolean
}

/** Sees each statement, and each transaction once before it ends. */
function watched(database: Database): Database {
  let begun: Transaction = {}
  const inner = interceptDatabase(database, (sql) => {
    begun = {}
    return observe(sql, begun)
  })
  return {
    ...inner,
    transaction: (options, work) =>
      inner.transaction(options, async (sql) => {
        const transaction = begun
        const result = await work(sql)
        await judgeCall(transaction)
        return result
      }),
  }
}

function observe(sql: Sql, transaction: Transaction): Interceptor {
  let turn: Promise<void> = Promise.resolve()
  return (statement) => {
    const opened = contextOf(statement)
    if (opened) transaction.namespace = opened.namespace
    const call = takeCall()
    if (call !== undefined) {
      transaction.site = call
      // Left out at first, and looked at in its place afterwards.
      transaction.isLeftOut = !tries.has(call)
      tries.set(call, (tries.get(call) ?? 0) + 1)
      if (transaction.isLeftOut) return { text: 'select 1', values: [] }
    }
    const { namespace } = transaction
    const left = clauses.filter(({ id }) => statement.text.includes(markOf(id)) && !killed.has(id))
    if (namespace === undefined || left.length === 0) return turn.then(() => statement)
    turn = turn.then(() => examineAll(sql, namespace, statement, left))
    return turn.then(() => statement)
  }
}

async function examineAll(sql: Sql, own: bigint, statement: SqlText, left: readonly Site[]) {
  for (const site of left) await examine(sql, own, statement, site)
}

/** The call of lockNamespace whose statement this is. */
function takeCall(): string | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the marked copy of the sources sets it
  const told = globalThis as { lockSite?: string | undefined }
  const call = told.lockSite
  told.lockSite = undefined
  return call
}

async function examine(
  sql: Sql,
  own: bigint,
  statement: SqlText,
  { id, found }: Site,
): Promise<void> {
  tries.set(id, (tries.get(id) ?? 0) + 1)
  const tables = [
    ...new Set(
      statement.text.match(
        /(?<=\b(?:from|join) )(?:memories|namespaces|entities|embeddings|memory_keys)\b/gu,
      ),
    ),
  ]
  const without = statement.text.replaceAll(`${found} ${markOf(id)}`, '')
  const before = await free(own, tables)
  const withLock = await freeAfter(sql, own, tables, statement)
  const withoutLock = await freeAfter(sql, own, tables, { ...statement, text: without })
  if (withLock < before && withoutLock === before) killed.set(id, `${before - withLock} rows`)
}

/** Rows of the namespace that another session could lock, once the statement ran; it is undone. */
async function freeAfter(
  sql: Sql,
  own: bigint,
  tables: readonly string[],
  statement: SqlText,
): Promise<number> {
  await sql`savepoint looked`
  await sql`${toFragment(statement)}`
  const count = await free(own, tables)
  await sql`rollback to savepoint looked`
  return count
}

async function free(own: bigint, tables: readonly string[], mode = 'update'): Promise<number> {
  return await other.ownerTransaction(async (sql) => {
    let sum = 0
    for (const table of tables) {
      const rows = await sql`
        select from ${raw(`mindglue.${table}`)} t where t.namespace = ${own} for ${raw(mode)} skip locked`
      sum += rows.length
    }
    return sum
  })
}

/** Whoever locks its namespace keeps writers out until its end; if it did not, nothing else would. */
async function judgeCall({ site, namespace, isLeftOut }: Transaction): Promise<void> {
  if (site === undefined || namespace === undefined) return
  const isFree = (await free(namespace, ['namespaces'], 'key share')) > 0
  if (isLeftOut === true && isFree) killed.set(site, 'left out')
  if (isLeftOut !== true && isFree) findings.push(`${site}: the namespace is not locked`)
}

/** A partition's copy that lacks vectors is mended from rows that nobody deletes meanwhile. */
async function mending(): Promise<void> {
  const principal = await memory.principal({ namespaceName: 'mending' })
  const { namespace } = principal
  const memories = numbered('The harbour keeps boat', 24).map((content) => ({ content }))
  await memory.execute(memory.operations.store, principal, { memories })
  await makePartition(memory, principal)
  await memory.test.owner.ownerTransaction(
    (sql) => sql`delete from mindglue.partitioned_embeddings where namespace = ${namespace}`,
  )
  const scope = createScope(watched(memory.test.database), memory.test.contextKey)
  await scope.withJob(jobPrincipal(namespace), {}, (tx) => mendPartition(tx, 0, 1_000_000))
}

/** Two that migrate at once: the second waits, and without its lock it does not. */
async function migrations(): Promise<void> {
  const [site] = sites.filter(({ found }) => found.includes('pg_advisory'))
  if (!site) return
  const list = [...(await readMigrations())]
  let key = 0n
  const more = async (isLeftOut: boolean): Promise<'went on'> => {
    const number = 9000 + list.length
    list.push({ number, name: `${number}_more.sql`, text: 'select 1', checksum: 'more' })
    const owner = interceptOwner(memory.test.owner, (statement) => {
      if (!statement.text.includes(markOf(site.id))) return statement
      const [value] = statement.values
      key = typeof value === 'bigint' ? value : key
      return isLeftOut ? { text: 'select 1', values: [] } : statement
    })
    await migrate(owner, list)
    return 'went on'
  }
  /** Migrates while another session does. */
  const beside = async (isLeftOut: boolean): Promise<string> => {
    let running: Promise<'went on'> | undefined
    const seen = await other.ownerTransaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${key})`
      running = more(isLeftOut)
      const waits = until(async () => {
        const rows = await sql`select from pg_locks where locktype = 'advisory' and not granted`
        return rows.length > 0 && ('waits' as const)
      })
      return await Promise.race([running, waits])
    })
    await running
    return seen
  }
  await more(false)
  const [kept, leftOut] = [await beside(false), await beside(true)]
  tries.set(site.id, 2)
  if (kept === 'waits' && leftOut === 'went on') killed.set(site.id, leftOut)
  else findings.push(`${site.id}: ${kept}, ${leftOut}`)
}

function interceptOwner(owner: OwnerDatabase, interceptor: Interceptor): OwnerDatabase {
  return {
    dialect: owner.dialect,
    ownerTransaction: (work) =>
      owner.ownerTransaction((sql, script) => work(interceptSql(sql, interceptor), script)),
  }
}
