/** `mindglue serve`: MCP and REST over HTTP with health and metrics beside it, until a signal ends it in order. */
import { createApp } from '../app.ts'
import { secretValues, type Config } from '../config.ts'
import { startOwner } from '../daemon/owner.ts'
import { daemonPaths } from '../daemon/paths.ts'
import type { DaemonApp } from '../daemon/reception.ts'
import { AppError } from '../errors.ts'
import { requireRootKeys } from '../namespaces/root-keys.ts'
import { createLog, type Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { serveDaemonClient } from './client-session.ts'
import { openListeners, type Listeners } from './listeners.ts'
import { prepareServer } from './migrate.ts'
import { settingsDigest } from './settings-digest.ts'

export interface ServeOptions {
  readonly config: Config
  readonly version: string
}

/**
 * Serves until SIGTERM or SIGINT: not ready, drain, flush, close, exit code 0. A second signal ends
 * the process at once with 1. Throws AppError when anything that is configured cannot be used.
 */
export async function runServe(options: ServeOptions): Promise<number> {
  return options.config.databaseUrl === undefined
    ? await serveEmbedded(options)
    : await serveShared(options)
}

/** On PostgreSQL: one of any number of equal processes. */
async function serveShared({ config, version }: ServeOptions): Promise<number> {
  if (config.migrationDatabaseUrl !== undefined) {
    await prepareServer(config, (scope) => requireRootKeys(config, scope))
  }
  const app = await createApp(config, { requiresEmbedder: true })
  const stop = stopSignal(app.log)
  try {
    const listeners = await openListeners(app, version)
    await stop.requested
    await listeners.close()
  } finally {
    await app.close()
  }
  return stop.exitCode()
}

/** On the embedded engine this process is the daemon: local clients attach to it beside HTTP. */
async function serveEmbedded({ config, version }: ServeOptions): Promise<number> {
  const log = createLog({ level: config.logLevel, secrets: secretValues(config) })
  const stop = stopSignal(log)
  let listeners: Listeners | undefined
  const open = async (): Promise<DaemonApp> => {
    const app = await createApp(config, { requiresEmbedder: true })
    try {
      const opened = await openListeners(app, version)
      listeners = opened
      return {
        serve: counted(serveDaemonClient(app), app.metrics),
        close: async () => {
          await opened.close()
          await app.close()
        },
      }
    } catch (error) {
      await app.close()
      throw error
    }
  }
  const started = await startOwner({
    paths: daemonPaths(config.dataDirectory),
    version,
    settings: settingsDigest(config),
    idleExitSeconds: 0,
    open,
    log: () => undefined,
  })
  if (started.kind === 'held') {
    const holder = started.pid === undefined ? 'Another process' : `Process ${started.pid}`
    const message = `${holder} owns ${config.dataDirectory}; end it with: mindglue daemon stop`
    throw new AppError('conflict', message)
  }
  const { owner } = started
  const drainOnSignal = async (): Promise<void> => {
    await stop.requested
    listeners?.drain()
    await owner.drain('signal')
  }
  // Whichever comes first: a signal, another program's request to leave, or a failure to open.
  await Promise.race([owner.closed, drainOnSignal()])
  await owner.closed
  log.flush()
  return stop.exitCode()
}

/** Keeps the number of local clients in the metrics, beside the HTTP ones. */
function counted(serve: DaemonApp['serve'], metrics: Metrics): DaemonApp['serve'] {
  let clients = 0
  return async (stream, hello) => {
    const session = await serve(stream, hello)
    metrics.daemonConnections(++clients)
    const forget = (): void => metrics.daemonConnections(--clients)
    session.closed.then(forget, forget)
    return session
  }
}

interface StopSignal {
  /** Resolves at the first SIGTERM or SIGINT, or when something unforeseen was thrown. */
  readonly requested: Promise<void>
  exitCode(): number
}

/**
 * After something that nobody caught the state of the process is unknown: it is logged, what runs
 * is finished, and the exit code asks the supervisor for a fresh process.
 */
function stopSignal(log: Log): StopSignal {
  let code = 0
  let requests = 0
  const requested = new Promise<void>((resolve) => {
    const request = (): void => {
      requests += 1
      if (requests > 1) process.exit(1)
      resolve()
    }
    process.on('SIGTERM', request)
    process.on('SIGINT', request)
    process.on('uncaughtException', (error) => {
      log.error('uncaught exception', { error })
      code = 1
      resolve()
    })
  })
  return { requested, exitCode: () => code }
}
