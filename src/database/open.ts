/** Opens the database that the configuration names, and works on it as its administrator where one is named. */
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import type { Database, OwnerDatabase } from './database.ts'
import { requireSafe } from './doctor.sql.ts'
import { embeddedDirectory, shippedTemplate } from './embedded-template.ts'
import { openEmbedded, type EmbeddedDatabase } from './embedded.ts'
import {
  migrate,
  migrationState,
  readMigrations,
  requireCurrent,
  type Migration,
} from './migrate.ts'
import { openPostgres } from './postgres.ts'
import { createScope, installContextKey, verifyContextKey, type NamespaceScope } from './scope.ts'

export interface OpenedDatabase {
  readonly database: Database
  /** The same engine, for backup; undefined on Postgres. */
  readonly embedded: EmbeddedDatabase | undefined
}

/** Throws where this process must not write: asked before the tables that are there are changed. */
export type BeforeMigrating = (scope: NamespaceScope) => Promise<void>

/**
 * Opens the configured engine at this program's schema. Throws `misconfigured` or `unavailable`; an
 * engine that was named and cannot be used is never replaced by another.
 */
export async function openDatabase(
  config: Config,
  contextKey: Uint8Array,
  before: BeforeMigrating,
): Promise<OpenedDatabase> {
  const migrations = await readMigrations()
  if (config.databaseUrl === undefined) {
    const template = shippedTemplate(migrations.map((migration) => migration.checksum))
    const dataDir = embeddedDirectory(config.dataDirectory)
    const embedded = await openEmbedded({ dataDir, template })
    await bringUp(embedded, migrations, contextKey, before)
    return { database: embedded, embedded }
  }
  if (config.migrationDatabaseUrl !== undefined) {
    await migrateServer(config, contextKey, before)
  }
  const database = await openPostgres({
    url: config.databaseUrl,
    poolMax: config.databasePoolMax,
    connectTimeoutMs: config.connectTimeoutMs,
    statementTimeoutMs: config.statementTimeoutMs,
    lockTimeoutMs: config.lockTimeoutMs,
    idleInTransactionTimeoutMs: config.idleTransactionTimeoutMs,
  })
  try {
    requireCurrent(await migrationState(database, migrations))
    await requireSafe(database)
  } catch (error) {
    await database.close()
    throw error
  }
  return { database, embedded: undefined }
}

/** Rewriting the parent rewrites every partition of it; only a server has them. */
const vectorTables = ['mindglue.embeddings', 'mindglue.partitioned_embeddings']
/** Tables with rows that are to be gone: of before encryption in either profile, or of before a scan. */
const staleTables = {
  field: ['mindglue.memories', 'mindglue.entities', 'mindglue.namespaces'],
  sealed: ['mindglue.memories', 'mindglue.entities', 'mindglue.namespaces', ...vectorTables],
  scan: ['mindglue.memories', 'mindglue.entities', ...vectorTables, 'mindglue.sealed_embeddings'],
} as const
const rewriteTimeoutMs = 3_600_000

/**
 * Leaves nothing of dead rows in the files of those tables, and on the embedded engine in its log. That
 * does it by itself, a server lets its administrator alone: false without one.
 */
export async function rewriteTables(
  config: Pick<Config, 'databaseUrl' | 'migrationDatabaseUrl'>,
  database: Database,
  after: keyof typeof staleTables,
): Promise<boolean> {
  const { databaseUrl, migrationDatabaseUrl: url } = config
  if (databaseUrl !== undefined && url === undefined) return false
  const administrator =
    url === undefined
      ? undefined
      : await openPostgres({ url, poolMax: 1, statementTimeoutMs: rewriteTimeoutMs })
  try {
    const rewriter = administrator ?? database
    await outlive(rewriter)
    for (const table of staleTables[after]) {
      if (administrator || table !== 'mindglue.partitioned_embeddings')
        await rewriter.maintain('rewrite', table)
    }
    // A server's log belongs to its replicas and archives as well: it goes with time.
    await rewriter.maintain(administrator ? 'checkpoint' : 'overwrite-log')
    return true
  } finally {
    await administrator?.close()
  }
}

/** A dead row that somebody may still see would be copied into the new files. */
async function outlive(database: Database): Promise<void> {
  try {
    await database.maintain('outlive')
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'timeout') throw error
    throw new AppError(
      'timeout',
      'Everything is written anew, but a transaction that began before is still open on this PostgreSQL ' +
        'server, so its files keep the old rows. End it (pg_stat_activity), then run this command again.',
      { cause: error },
    )
  }
}

/**
 * Applies migrations and hands the database its context key, with the administrator's login. `before` is left out
 * where an administrator migrates who may have no root key.
 */
export async function migrateServer(
  config: Config,
  contextKey: Uint8Array,
  before?: BeforeMigrating,
): Promise<readonly string[]> {
  if (config.migrationDatabaseUrl === undefined) {
    throw new AppError(
      'misconfigured',
      'Migrations need an administrator: set MIGRATION_DATABASE_URL.',
    )
  }
  const owner = await openPostgres({ url: config.migrationDatabaseUrl, poolMax: 1 })
  try {
    return await bringUp(owner, await readMigrations(), contextKey, before)
  } finally {
    await owner.close()
  }
}

async function bringUp(
  owner: Database & OwnerDatabase,
  migrations: readonly Migration[],
  contextKey: Uint8Array,
  before?: BeforeMigrating,
): Promise<readonly string[]> {
  const { pending } = await migrationState(owner, migrations)
  if (before && pending.length > 0 && (await hasKeys(owner))) {
    const scope = createScope(owner, contextKey)
    await verifyContextKey(scope)
    await before(scope)
  }
  const applied = await migrate(owner, migrations)
  await owner.ownerTransaction((sql) => installContextKey(sql, contextKey))
  return applied
}

/** Whether a process can ask the database about its keys: not a new one, nor one from before there were keys. */
async function hasKeys(owner: OwnerDatabase): Promise<boolean> {
  return await owner.ownerTransaction(async (sql) => {
    const [known] = await sql<{ is_there: boolean }>`
      select to_regprocedure('mindglue.root_keys_known()') is not null as is_there`
    if (known?.is_there !== true) return false
    return (await sql`select from mindglue.context_keys`).length > 0
  })
}
