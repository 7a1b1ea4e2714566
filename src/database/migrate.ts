/** Applies the numbered SQL files of `migrations/`, forward only; both engines run the same files. */

import { createHash } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { AppError } from '../errors.ts'
import type { Database, Dialect, OwnerDatabase, Sql } from './database.ts'
import { DatabaseFault, sqlStateOf } from './faults.ts'

export interface Migration {
  /** First four digits of the file name; 1, 2, 3 … without a gap. */
  readonly number: number
  /** File name without `.sql`, such as `0001_roles`. */
  readonly name: string
  readonly text: string
  /** SHA-256 of the text as hex, line ends normalised to LF: the same on every platform and engine. */
  readonly checksum: string
}

export interface MigrationState {
  /** Names of files that the database does not have yet, in order. */
  readonly pending: readonly string[]
  /** Names the database has and this program does not know: it was migrated by a newer program. */
  readonly unknown: readonly string[]
  /** Names whose file changed after it was applied. */
  readonly changed: readonly string[]
}

/** `migrations/` of the package; `src/` and `dist/` lie equally deep. */
export const migrationsDirectory = fileURLToPath(new URL('../../migrations/', import.meta.url))

/** Fixed key of the lock that lets one process migrate a database at a time ('mindglue' as ASCII). */
const lockKey = 0x6d696e64676c7565n
/** Roles belong to the cluster and are not covered by the lock: migrations of two databases may meet there. */
const clusterRaceStates = new Set(['23505', '42710', '40001', '40P01', 'XX000'])
const attemptsMax = 20
const attemptPauseMs = 50

const emptyState: MigrationState = { pending: [], unknown: [], changed: [] }

/**
 * Reads the files in order. Throws `misconfigured` on a name out of the pattern `0001_words.sql` and on
 * a gap or a repeated number.
 */
export async function readMigrations(directory = migrationsDirectory): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).toSorted()
  return Promise.all(
    files.map(async (file, index) => {
      const number = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1])
      if (number !== index + 1) {
        throw new AppError('misconfigured', `${file} is not the next migration in order.`)
      }
      const text = (await readFile(join(directory, file), 'utf8')).replaceAll('\r\n', '\n')
      const checksum = createHash('sha256').update(text).digest('hex')
      return { number, name: file.slice(0, -'.sql'.length), text, checksum }
    }),
  )
}

/**
 * Brings the database to the last of `migrations` and returns the names it applied. Each file is one
 * transaction that first inserts its own row, so any number of processes may call this at once.
 * Throws `misconfigured` when an applied file changed since or when the database is newer than the program.
 */
export async function migrate(
  owner: OwnerDatabase,
  migrations: readonly Migration[],
): Promise<string[]> {
  const known = await read(owner)
  const before = compare(migrations, known)
  refuse(before)
  if (before.pending.length === 0) return []
  const applied: string[] = []
  for (const migration of migrations) {
    if (await throughClusterRaces(() => apply(owner, migration))) applied.push(migration.name)
  }
  refuse(compare(migrations, await read(owner)))
  return applied
}

/** What `migrate` would do, read with the rights of the application role. Never throws for a fresh database. */
export async function migrationState(
  database: Database,
  migrations: readonly Migration[],
): Promise<MigrationState> {
  try {
    return compare(migrations, await database.transaction({ readOnly: true }, appliedRows))
  } catch (error) {
    // The embedded engine before its first migration: the application role is not there to be set.
    if (sqlStateOf(error) === '22023') return compare(migrations, [])
    throw error
  }
}

/** Throws `misconfigured` unless the database has exactly the migrations of this program. */
export function requireCurrent(state: MigrationState): void {
  refuse(state)
  if (state.pending.length > 0) {
    throw new AppError(
      'misconfigured',
      `The database lacks ${state.pending.length} migrations. Run \`mindglue migrate\`.`,
      { details: { pending: state.pending } },
    )
  }
}

function read(owner: OwnerDatabase): Promise<AppliedRow[]> {
  return owner.ownerTransaction(appliedRows)
}

interface AppliedRow {
  readonly name: string
  readonly checksum: string
}

async function appliedRows(sql: Sql): Promise<AppliedRow[]> {
  const [table] = await sql<{ present: boolean }>`
    select to_regclass('mindglue.migrations') is not null as present`
  if (table?.present !== true) return []
  return sql<AppliedRow>`select name, checksum from mindglue.migrations order by number`
}

function compare(migrations: readonly Migration[], rows: readonly AppliedRow[]): MigrationState {
  const checksums = new Map(rows.map((row) => [row.name, row.checksum]))
  const names = new Set(migrations.map((migration) => migration.name))
  return {
    ...emptyState,
    pending: migrations.filter(({ name }) => !checksums.has(name)).map(({ name }) => name),
    unknown: rows.filter((row) => !names.has(row.name)).map((row) => row.name),
    changed: migrations
      .filter(({ name, checksum }) => (checksums.get(name) ?? checksum) !== checksum)
      .map(({ name }) => name),
  }
}

function refuse(state: MigrationState): void {
  if (state.unknown.length > 0) {
    throw new AppError(
      'misconfigured',
      'The database was migrated by a newer version of this program. Update this program.',
      { details: { unknownMigrations: state.unknown } },
    )
  }
  if (state.changed.length > 0) {
    throw new AppError(
      'misconfigured',
      'Applied migrations were changed afterwards. Restore their files; changes go into a new one.',
      { details: { changedMigrations: state.changed } },
    )
  }
}

/** Applies one file unless it is there already; true when this call applied it. */
function apply(owner: OwnerDatabase, migration: Migration): Promise<boolean> {
  return owner.ownerTransaction(async (sql, script) => {
    await sql`select pg_advisory_xact_lock(${lockKey})`
    await script(bookkeeping)
    const { number, name, checksum } = migration
    const inserted = await sql`
      insert into mindglue.migrations (number, name, checksum) values (${number}, ${name}, ${checksum})
      on conflict do nothing returning number`
    if (inserted.length === 0) return false
    await script(inDialect(migration.text, owner.dialect))
    await script(handOver)
    return true
  })
}

const bookkeeping = `
  create schema if not exists mindglue;
  create table if not exists mindglue.migrations (
    number integer primary key,
    name text not null unique,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
  )`

/** Once the roles exist: any administrator may migrate later, and the application may look. */
const handOver = `
  reset role;
  do $$
  begin
    if exists (select from pg_roles where rolname = 'mindglue_owner') then
      if (select tableowner from pg_tables where schemaname = 'mindglue' and tablename = 'migrations')
         <> 'mindglue_owner' then
        alter table mindglue.migrations owner to mindglue_owner;
      end if;
    end if;
    if exists (select from pg_roles where rolname = 'mindglue_app') then
      grant usage on schema mindglue to mindglue_app;
      grant select on mindglue.migrations to mindglue_app;
    end if;
  end
  $$`

/**
 * Puts the engine's words in place of the tokens: `{{vector}}` is the embedding type, and the text
 * between `{{#postgres}}` or `{{#embedded}}` and its closing `{{/…}}` stays on that engine alone.
 */
export function inDialect(text: string, dialect: Dialect): string {
  const result = text
    .replaceAll(
      /\{\{#(postgres|embedded)\}\}([\s\S]*?)\{\{\/\1\}\}/g,
      (_, engine: string, body: string) => (engine === dialect.engine ? body : ''),
    )
    .replaceAll('{{vector}}', dialect.vectorType.strings[0] ?? '')
  const left = /\{\{[^}\n]*\}\}/.exec(result)
  if (left !== null) throw new Error(`unknown token ${left[0]} in a migration`)
  return result
}

/** The transaction was undone as a whole, so that it may simply run again. */
async function throughClusterRaces<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      const state = sqlStateOf(error) ?? ''
      const raced = clusterRaceStates.has(state) && (state !== 'XX000' || isConcurrentUpdate(error))
      if (!raced || attempt === attemptsMax) throw error
      await delay(Math.random() * attemptPauseMs * attempt)
    }
  }
}

/** Catalogue rows of roles are updated without waiting: the server's text is all that tells it apart. */
function isConcurrentUpdate(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : undefined
  return cause instanceof DatabaseFault && cause.message.includes('tuple concurrently')
}
