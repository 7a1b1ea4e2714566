/** A fresh, migrated database for one test file, on the engine that TEST_DATABASE names. */

import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildTemplate } from '../../src/database/build-template.ts'
import type { Database, OwnerDatabase } from '../../src/database/database.ts'
import { templateName } from '../../src/database/embedded-template.ts'
import { openEmbedded, type EmbeddedOptions } from '../../src/database/embedded.ts'
import { migrate, readMigrations, type Migration } from '../../src/database/migrate.ts'
import { openPostgres, type PostgresOptions } from '../../src/database/postgres.ts'
import { createScope, installContextKey, type NamespaceScope } from '../../src/database/scope.ts'

export interface TestDatabase {
  readonly engine: 'embedded' | 'postgres'
  /** Works as the application role, as the product does. */
  readonly database: Database
  /** Works as administrator: for arranging and for looking behind the policies. */
  readonly owner: OwnerDatabase
  readonly contextKey: Uint8Array
  readonly scope: NamespaceScope
  /** Login of the application role; empty on the embedded engine. */
  readonly url: string
  readonly adminUrl: string
  /** Directory of the embedded engine; empty on Postgres. */
  readonly dataDir: string
  /** Closes the connections and removes the database. */
  close(): Promise<void>
}

const appPassword = 'mindglue-test'
const cacheDirectory = fileURLToPath(new URL('../../.cache/', import.meta.url))

/** The engine of this run; `embedded` unless TEST_DATABASE says otherwise. */
export const testEngine: 'embedded' | 'postgres' =
  process.env['TEST_DATABASE'] === 'postgres' ? 'postgres' : 'embedded'

/** Administrator's URL of the test server; throws when the run has none. */
export function adminUrl(): string {
  const url = process.env['TEST_DATABASE_URL']
  if (url === undefined) throw new Error('TEST_DATABASE_URL must name a superuser login')
  return url
}

/** Limits that differ from the product's defaults, for the engine that the run uses. */
export interface TestDatabaseOptions {
  readonly postgres?: Omit<PostgresOptions, 'url'>
  readonly embedded?: Omit<EmbeddedOptions, 'dataDir' | 'template'>
  /** Fewer than the product's: the database of an earlier program. */
  readonly migrations?: readonly Migration[]
}

/** Opens it and installs a context key of its own, as a first start does. */
export async function openTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const migrations = options.migrations ?? (await readMigrations())
  const opened =
    testEngine === 'postgres'
      ? await openOnPostgres(migrations, options.postgres ?? {})
      : await openOnEmbedded(migrations, options.embedded ?? {})
  const contextKey = randomBytes(32)
  await opened.owner.ownerTransaction((sql) => installContextKey(sql, contextKey))
  return { ...opened, contextKey, scope: createScope(opened.database, contextKey) }
}

type Opened = Omit<TestDatabase, 'contextKey' | 'scope'>

async function openOnEmbedded(
  migrations: readonly Migration[],
  options: Omit<EmbeddedOptions, 'dataDir' | 'template'>,
): Promise<Opened> {
  const directory = mkdtempSync(join(tmpdir(), 'mindglue-test-'))
  const dataDir = join(directory, 'data')
  const template = await embeddedTemplate(migrations)
  const database = await openEmbedded({ ...options, dataDir, template })
  return {
    engine: 'embedded',
    database,
    owner: database,
    url: '',
    adminUrl: '',
    dataDir,
    close: async () => {
      await database.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Path of a template with these migrations, made once and kept until they change. */
export async function embeddedTemplate(migrations: readonly Migration[]): Promise<string> {
  const path = join(cacheDirectory, templateName(migrations.map(({ checksum }) => checksum)))
  if (existsSync(path)) return path
  mkdirSync(cacheDirectory, { recursive: true })
  return buildTemplate(cacheDirectory, migrations)
}

async function openOnPostgres(
  migrations: readonly Migration[],
  options: Omit<PostgresOptions, 'url'>,
): Promise<Opened> {
  const template = await postgresTemplate(migrations)
  const name = `mindglue_test_${randomUUID().replaceAll('-', '').slice(0, 16)}`
  await administer(`create database ${name} template ${template}`)
  // Rights on the database itself are not copied with its content.
  await administer(`revoke temporary on database ${name} from public`)
  const url = withDatabase(adminUrl(), name, { user: 'mindglue_app', password: appPassword })
  const database = await openPostgres({ poolMax: 4, ...options, url })
  const owner = await openPostgres({ poolMax: 1, url: withDatabase(adminUrl(), name) })
  return {
    engine: 'postgres',
    database,
    owner,
    url,
    adminUrl: withDatabase(adminUrl(), name),
    dataDir: '',
    close: async () => {
      await Promise.all([database.close(), owner.close()])
      await administer(`drop database if exists ${name} with (force)`)
    },
  }
}

/** Name of a database with these migrations; made once a server, whoever comes first. */
async function postgresTemplate(migrations: readonly Migration[]): Promise<string> {
  const key = templateName(migrations.map(({ checksum }) => checksum))
  const name = `mindglue_template_${key.replaceAll(/\W/g, '_')}`
  const lock = await openPostgres({ poolMax: 1, url: adminUrl() })
  try {
    // The server keeps the lock until this transaction ends; the database itself is made outside it.
    await lock.ownerTransaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(hashtext('mindglue test template'))`
      const [ready] = await sql`select from pg_database where datname = ${name}`
      if (ready !== undefined) return
      const unfinished = `${name}_unfinished`
      await administer(`drop database if exists ${unfinished} with (force)`)
      await administer(`create database ${unfinished} template template0`)
      const owner = await openPostgres({ poolMax: 1, url: withDatabase(adminUrl(), unfinished) })
      await migrate(owner, migrations)
      await owner.ownerTransaction(async (_, script) => {
        await script(`alter role mindglue_app password '${appPassword}'`)
      })
      await owner.close()
      await administer(`alter database ${unfinished} rename to ${name}`)
    })
  } finally {
    await lock.close()
  }
  return name
}

/** One statement that cannot run in a transaction, such as `create database`. */
export async function administer(statement: string): Promise<void> {
  const { default: postgres } = await import('postgres')
  const sql = postgres(adminUrl(), { max: 1, onnotice: () => undefined })
  try {
    await sql.unsafe(statement)
  } finally {
    await sql.end()
  }
}

function withDatabase(
  url: string,
  database: string,
  login?: { readonly user: string; readonly password: string },
): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  if (login !== undefined) {
    changed.username = login.user
    changed.password = login.password
  }
  return changed.href
}
