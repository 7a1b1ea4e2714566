/** `mindglue doctor`: says what makes this set-up unsafe or unable to work, and what mends it. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { exposedSettings, type Config } from '../config.ts'
import { inspectDatabase } from '../database/doctor.sql.ts'
import type { Finding } from '../database/finding.ts'
import { migrationState, readMigrations } from '../database/migrate.ts'
import { openPostgres } from '../database/postgres.ts'
import { openRedis } from '../database/redis.ts'
import { AppError, toAppError } from '../errors.ts'
import { print, printJson, styleFor, type Style } from './output.ts'

export interface DoctorOptions {
  readonly config: Config
  readonly isJson: boolean
}

/** The result of one check: fine, with a word about it, or what was found. */
interface Report {
  readonly check: string
  readonly note: string
  readonly findings: readonly Finding[]
}

/** Resolves with the exit code: 1 when there is a problem, 0 when all is well or only warned about. */
export async function runDoctor({ config, isJson }: DoctorOptions): Promise<number> {
  const reports = [nodeReport(process.versions.node, new Date()), secretFilesReport(config)]
  if (config.databaseUrl === undefined) reports.push(await embeddedReport(config))
  else reports.push(...(await serverReports(config.databaseUrl)))
  if (config.redisUrl !== undefined) reports.push(await redisReport(config.redisUrl))
  if (isJson) printJson(reports)
  else printReports(reports, styleFor(process.stdout))
  const findings = reports.flatMap((report) => report.findings)
  return findings.some(({ severity }) => severity === 'problem') ? 1 : 0
}

/** Last day of support by major (nodejs/Release); odd majors end half a year after they begin. */
const nodeEndOfLife: ReadonlyMap<number, string> = new Map([
  [20, '2026-04-30'],
  [21, '2024-06-01'],
  [22, '2027-04-30'],
  [23, '2025-06-01'],
  [24, '2028-04-30'],
  [25, '2026-06-01'],
])

/** Exported for its test: the clock and the version are given. */
export function nodeReport(nodeVersion: string, today: Date): Report {
  const end = nodeEndOfLife.get(Number(nodeVersion.split('.', 1)[0]))
  const isOver = end !== undefined && today > new Date(`${end}T23:59:59Z`)
  const finding: Finding = {
    severity: 'warning',
    check: 'node',
    message: `Node ${nodeVersion} gets no security fixes since ${end ?? ''}.`,
    remedy: 'Install Node 24 LTS; nothing else has to change.',
  }
  return { check: 'node', note: nodeVersion, findings: isOver ? [finding] : [] }
}

function secretFilesReport(config: Config): Report {
  const check = 'files of secrets'
  const findings = exposedSettings(config).map((setting): Finding => ({
    severity: 'warning',
    check,
    message: `Every user of this machine can read the file that ${setting} names.`,
    remedy: `Run chmod 600 on it, as the user who runs mindglue.`,
  }))
  return { check, note: 'not open to other users, or mounted in a container', findings }
}

/** Roles and policies of the embedded engine cannot be misconfigured: the daemon is its only user. */
async function embeddedReport({ dataDirectory }: Config): Promise<Report> {
  const check = 'embedded database'
  const note = `${dataDirectory}; checks of roles and policies are for PostgreSQL and do not apply`
  try {
    const { mode } = await stat(dataDirectory)
    await access(dataDirectory, constants.R_OK | constants.W_OK)
    const isPrivate = process.platform === 'win32' || (mode & 0o077) === 0
    const open: Finding = {
      severity: 'problem',
      check,
      message: `Other users of this machine can look into ${dataDirectory}.`,
      remedy: `chmod 700 '${dataDirectory}'`,
    }
    return { check, note, findings: isPrivate ? [] : [open] }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return { check, note: `${dataDirectory} is made at the first start`, findings: [] }
    }
    const finding: Finding = {
      severity: 'problem',
      check,
      message: `${dataDirectory} cannot be read and written.`,
      remedy: 'Give it to the user who runs mindglue, or set MINDGLUE_DATA_DIR.',
    }
    return { check, note, findings: [finding] }
  }
}

async function serverReports(url: string): Promise<readonly Report[]> {
  try {
    const database = await openPostgres({ url, poolMax: 1 })
    try {
      const status = await database.status()
      const state = await migrationState(database, await readMigrations())
      const vector = status.vectorVersion === '' ? '' : `, pgvector ${status.vectorVersion}`
      return [
        {
          check: 'database',
          note: `PostgreSQL ${status.serverVersion}${vector}`,
          findings: await inspectDatabase(database),
        },
        migrationReport(state),
      ]
    } finally {
      await database.close()
    }
  } catch (error) {
    const finding: Finding = {
      severity: 'problem',
      check: 'database',
      message: toAppError(error).publicMessage,
      remedy: 'Check DATABASE_URL and that the server runs; mindglue migrate prepares the login.',
    }
    if (!(error instanceof AppError)) throw error
    return [{ check: 'database', note: 'not reachable', findings: [finding] }]
  }
}

function migrationReport(state: Awaited<ReturnType<typeof migrationState>>): Report {
  const check = 'migrations'
  const of = (names: readonly string[], message: string, remedy: string): readonly Finding[] =>
    names.length === 0
      ? []
      : [{ severity: 'problem', check, message: `${message} ${names.join(', ')}.`, remedy }]
  return {
    check,
    note: 'as this program knows them',
    findings: [
      ...of(state.pending, 'Not applied:', 'mindglue migrate'),
      ...of(state.unknown, 'Made by a newer program:', 'npm install --global mindglue@latest'),
      ...of(state.changed, 'Changed after they were applied:', 'Reinstall this program unchanged.'),
    ],
  }
}

async function redisReport(url: string): Promise<Report> {
  try {
    const redis = await openRedis(url, () => undefined)
    await redis.close()
    return { check: 'redis', note: 'answers', findings: [] }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const finding: Finding = {
      severity: 'problem',
      check: 'redis',
      message: error.publicMessage,
      remedy: 'Check the address and that the server runs.',
    }
    return { check: 'redis', note: 'not reachable', findings: [finding] }
  }
}

function printReports(reports: readonly Report[], style: Style): void {
  for (const { check, note, findings } of reports) {
    if (findings.length === 0) print(`${style.green('ok')}       ${check}: ${note}`)
    for (const { severity, message, remedy } of findings) {
      const word = severity === 'problem' ? style.red('problem') : style.yellow('warning')
      print(`${word}  ${check}: ${message}`)
      print(`         ${style.dim(remedy)}`)
    }
  }
}
