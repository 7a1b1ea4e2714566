/** `mindglue serve` as a process of its own, on a fresh store of the engine under test. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpackDirectory } from '../../src/database/embedded-template.ts'
import { readMigrations } from '../../src/database/migrate.ts'
import { administer, adminUrl, embeddedTemplate, testEngine } from './database.ts'
import { until } from './until.ts'

const loader = new URL('./typescript-loader.mjs', import.meta.url).href
const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export type Variables = Readonly<Record<string, string>>

export interface Store {
  readonly environment: Variables
  remove(): Promise<void>
}

/** An empty store: a database without a schema, or a data directory made from the template. */
export async function freshStore(): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), 'mindglue-serve-'))
  const environment = {
    HOME: directory,
    // Tests ask more than a plan allows.
    MINDGLUE_LIMITS: 'off',
    MINDGLUE_DATA_DIR: join(directory, 'data'),
    MINDGLUE_KEY_DIR: join(directory, 'keys'),
  }
  const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true })
  if (testEngine === 'embedded') {
    mkdirSync(environment.MINDGLUE_DATA_DIR, { mode: 0o700 })
    const template = await embeddedTemplate(await readMigrations())
    await unpackDirectory(join(environment.MINDGLUE_DATA_DIR, 'pg'), template)
    return { environment, remove: () => Promise.resolve(removeDirectory()) }
  }
  const name = `mindglue_test_${randomUUID().replaceAll('-', '').slice(0, 16)}`
  await administer(`create database ${name}`)
  const administrator = new URL(adminUrl())
  administrator.pathname = `/${name}`
  const application = new URL(administrator)
  application.username = 'mindglue_app'
  application.password = 'mindglue-test'
  return {
    environment: {
      ...environment,
      DATABASE_URL: application.href,
      MIGRATION_DATABASE_URL: administrator.href,
      MINDGLUE_SECRET: randomBytes(32).toString('base64'),
    },
    remove: async () => {
      removeDirectory()
      await administer(`drop database if exists ${name} with (force)`)
    },
  }
}

export interface Served {
  readonly process: ChildProcess
  /** Everything written so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Resolves when the process has ended: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
}

/** Runs a command of the program. The caller ends it and waits for `ended`. */
export function startProgram(args: readonly string[], environment: Variables): Served {
  const child = spawn(process.execPath, ['--import', loader, entry, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    // stdin stays open: a client of `stdio` that closes it is gone.
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  return { process: child, stdout: () => stdout, stderr: () => stderr, ended }
}

export interface Addresses {
  readonly mcp: string
  readonly sidecar: string
}

/** Waits until the server says where it listens. */
export async function addressesOf(served: Served): Promise<Addresses> {
  return await until(
    () => {
      const mcp = /MCP on (\S+)/u.exec(served.stdout())?.[1]
      const port = /metrics on port (\d+)/u.exec(served.stdout())?.[1]
      if (served.process.exitCode !== null) throw new Error(served.stderr())
      return mcp && port ? { mcp, sidecar: `http://127.0.0.1:${port}` } : undefined
    },
    { timeoutMs: 60_000, intervalMs: 50, what: 'the server listening' },
  )
}
