/** `mindglue migrate`: bring a Postgres database to this program's schema, as an administrator. */
import type { Config } from '../config.ts'
import { installationSecretFile, openInstallationSecret } from '../crypto/installation-secret.ts'
import { appLogin, setAppPassword } from '../database/app-login.sql.ts'
import { migrateServer, type BeforeMigrating } from '../database/open.ts'
import { migrationState, readMigrations } from '../database/migrate.ts'
import { parsePostgresUrl } from '../database/postgres-url.ts'
import { openPostgres } from '../database/postgres.ts'
import { AppError } from '../errors.ts'
import { print, styleFor } from './output.ts'

export interface MigrateOptions {
  readonly config: Config
  /** Say what would be applied and change nothing. */
  readonly isPendingOnly: boolean
}

/** Resolves with the exit code. Safe to run on several machines at once and again at any time. */
export async function runMigrate({ config, isPendingOnly }: MigrateOptions): Promise<number> {
  if (config.databaseUrl === undefined) {
    print('The embedded database is migrated by the daemon that opens it; there is nothing to do.')
    return 0
  }
  const style = styleFor(process.stdout)
  const applied = isPendingOnly ? await pending(config) : await prepareServer(config)
  for (const name of applied) print(`  ${name}`)
  const count = `${applied.length} migration${applied.length === 1 ? '' : 's'}`
  if (isPendingOnly) print(applied.length === 0 ? style.green('Up to date.') : `${count} pending.`)
  else print(style.green(applied.length === 0 ? 'Up to date.' : `Applied ${count}.`))
  return 0
}

/** Read as the administrator where there is one: the application's login may not exist yet. */
async function pending(config: Config): Promise<readonly string[]> {
  const url = config.migrationDatabaseUrl ?? config.databaseUrl ?? ''
  const database = await openPostgres({ url, poolMax: 1 })
  try {
    return (await migrationState(database, await readMigrations())).pending
  } finally {
    await database.close()
  }
}

/**
 * Applies migrations and lets the application log in: what a start of the server needs. Returns the
 * names of the migrations it applied. Throws `misconfigured` without an administrator's URL.
 */
export async function prepareServer(
  config: Config,
  before?: BeforeMigrating,
): Promise<readonly string[]> {
  const secretFile = installationSecretFile(config.keyDirectory)
  const keys = await openInstallationSecret(config.installationSecret, secretFile)
  const applied = await migrateServer(config, keys('context'), before)
  if (config.databaseUrl !== undefined && !(await canLogIn(config.databaseUrl))) {
    await allowLogin(config.databaseUrl, config.migrationDatabaseUrl ?? '')
  }
  return applied
}

async function canLogIn(url: string): Promise<boolean> {
  try {
    await (await openPostgres({ url, poolMax: 1 })).close()
    return true
  } catch (error) {
    if (error instanceof AppError && error.code === 'misconfigured') return false
    throw error
  }
}

/** Only the login that our own migration made is ours to change. */
async function allowLogin(url: string, administratorUrl: string): Promise<void> {
  const { user, password } = parsePostgresUrl(url)
  if (user !== appLogin || password === '') {
    throw new AppError(
      'misconfigured',
      `The login of DATABASE_URL is refused by the server. Name ${appLogin} with a password, which this command sets.`,
    )
  }
  const owner = await openPostgres({ url: administratorUrl, poolMax: 1 })
  try {
    await setAppPassword(owner, password)
  } finally {
    await owner.close()
  }
  if (!(await canLogIn(url))) {
    throw new AppError(
      'misconfigured',
      `The server refuses ${appLogin} although its password was just set; check pg_hba.conf and the database's name.`,
    )
  }
}
