/** The whole server on loopback, on a database of its own: what tests of the edges talk to. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { createApp, type App } from '../../src/app.ts'
import { loadConfig, type Environment } from '../../src/config.ts'
import { openProductListener } from '../../src/cli/listeners.ts'
import type { Listener } from '../../src/http/listener.ts'
import type { McpHost } from '../../src/mcp/host.ts'
import { serveMcpStream, type McpSession } from '../../src/mcp/stdio.ts'
import { openTestDatabase, testEngine } from './database.ts'
import { openTestVault } from './vault.ts'

export interface TestApp {
  readonly app: App
  readonly listener: Listener
  /** The protocol endpoint. */
  readonly url: URL
  readonly apiKey: string
  /** A client's end of a connection as the daemon and standard input serve it. */
  openStream(identity?: StreamIdentity): Promise<TestStream>
  close(): Promise<void>
}

export interface StreamIdentity {
  readonly namespaceName?: string
  readonly agent?: string
}

export interface TestStream {
  /** What the client writes. */
  readonly toServer: PassThrough
  readonly fromServer: PassThrough
  readonly session: McpSession
}

export interface TestAppOptions {
  /** Settings besides the ones that this function needs. */
  readonly environment?: Environment
  /** What the protocol talks to instead of the application, for faults between the two. */
  readonly host?: (app: App) => McpHost
}

/** Starts everything that `mindglue serve` starts but the sidecar. */
export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const apiKey = randomBytes(32).toString('base64url')
  const storage = testEngine === 'postgres' ? await onPostgres() : onEmbedded()
  const config = loadConfig({
    MINDGLUE_SECRET: randomBytes(32).toString('base64'),
    // Tests ask more than a plan allows; those of limits switch them on.
    MINDGLUE_LIMITS: 'off',
    MINDGLUE_LOG_LEVEL: 'silent',
    MINDGLUE_API_KEY: apiKey,
    MINDGLUE_HTTP_PORT: '0',
    MINDGLUE_DRAIN_SECONDS: '1',
    ...storage.environment,
    ...options.environment,
  })
  const app = await createApp(config)
  const host = options.host?.(app) ?? app
  const { namespaceName, agent } = config
  const listener = await openProductListener(app, host)
  return {
    app,
    listener,
    url: new URL('/mcp', listener.origin),
    apiKey,
    openStream: async (identity = {}) => {
      const toServer = new PassThrough()
      const fromServer = new PassThrough()
      const session = await serveMcpStream(
        host,
        { input: toServer, output: fromServer },
        { namespaceName, agent, ...identity },
      )
      return { toServer, fromServer, session }
    },
    close: async () => {
      await listener.close()
      await app.close()
      await storage.remove()
    },
  }
}

interface Storage {
  readonly environment: Environment
  remove(): Promise<void>
}

function onEmbedded(): Storage {
  const directory = mkdtempSync(join(tmpdir(), 'mindglue-app-'))
  return {
    environment: {
      MINDGLUE_DATA_DIR: directory,
      MINDGLUE_KEY_DIR: join(directory, 'keys'),
    },
    remove: () => Promise.resolve(rmSync(directory, { recursive: true, force: true })),
  }
}

async function onPostgres(): Promise<Storage> {
  const test = await openTestDatabase()
  // The server signs with the secret of its own configuration, and installs it as on a first start.
  await test.owner.ownerTransaction((sql) => sql`delete from mindglue.context_keys`)
  const vault = await openTestVault()
  return {
    environment: {
      DATABASE_URL: test.url,
      MIGRATION_DATABASE_URL: test.adminUrl,
      MINDGLUE_ROOT_KEY: vault.rootKeys,
      MINDGLUE_KEYSTORE_DIR: vault.keystoreDirectory,
    },
    remove: async () => {
      await test.close()
      vault.remove()
    },
  }
}
