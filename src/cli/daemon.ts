/** `mindglue daemon`: run as the owner of a data directory; `status` and `stop` talk to one. */
import { closeSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { settingsDigest } from './settings-digest.ts'
import type { Config } from '../config.ts'
import {
  connect,
  encodeReport,
  ended,
  greet,
  startReportFd,
  type StartReport,
} from '../daemon/connect.ts'
import { inspectLock } from '../daemon/election.ts'
import { pipeProtocol, type DaemonStatus } from '../daemon/hello.ts'
import { startOwner, type Owner } from '../daemon/owner.ts'
import { daemonPaths, type DaemonPaths } from '../daemon/paths.ts'
import {
  embeddedDirectory,
  shippedTemplate,
  unpackDirectory,
} from '../database/embedded-template.ts'
import { readMigrations } from '../database/migrate.ts'
import type { DaemonApp } from '../daemon/reception.ts'
import { toAppError } from '../errors.ts'

export interface RunDaemonOptions {
  readonly config: Config
  readonly version: string
  /** Say on file descriptor 3 how the start went: a stdio process waits there. */
  readonly isReporting: boolean
  /** What to serve; the product's application unless a test says otherwise. */
  readonly open?: (config: Config) => Promise<DaemonApp>
}

/**
 * Owns the data directory until it is asked to stop, nobody needs it, or it fails. Resolves with
 * the exit code: 0 also when another process owns the directory already.
 */
export async function runDaemon(options: RunDaemonOptions): Promise<number> {
  const { config, version, open = openApp } = options
  const report = (how: StartReport): void => {
    if (options.isReporting) tell(how)
  }
  try {
    const started = await startOwner({
      paths: daemonPaths(config.dataDirectory),
      version,
      settings: settingsDigest(config),
      idleExitSeconds: config.daemonIdleSeconds,
      open: async () => {
        const app = await open(config)
        // Before a client is answered: whoever started us waits for both.
        report({ kind: 'open', notice: app.notice })
        return app
      },
      log: note,
    })
    if (started.kind === 'held') {
      report({ kind: 'held' })
      note('another daemon owns the data directory', { pid: started.pid })
      return 0
    }
    report({ kind: 'listening' })
    return await leaveInOrder(started.owner)
  } catch (error) {
    const { publicMessage, code } = toAppError(error)
    report({ kind: 'failed', message: publicMessage })
    note('daemon failed', { code, stack: error instanceof Error ? error.stack : undefined })
    return 1
  }
}

/**
 * Waits for the owner's end, which a signal or an exception that nobody caught brings about as
 * well: what runs is finished first. A second signal ends the process at once.
 */
async function leaveInOrder(owner: Owner): Promise<number> {
  let exitCode = 0
  let requests = 0
  const leave = (reason: string): void => {
    if (++requests > 1) process.exit(1)
    void owner.drain(reason)
  }
  process.on('SIGTERM', leave)
  process.on('SIGINT', leave)
  process.on('uncaughtException', (error) => {
    note('uncaught exception', { stack: error.stack })
    exitCode = 1
    leave('uncaught exception')
  })
  await owner.closed
  return exitCode
}

/**
 * Loaded after the election: a process that loses it stays as light as a pipe. A first start writes the
 * data directory meanwhile: that waits for the disk, loading waits for the processor.
 */
async function openApp(config: Config): Promise<DaemonApp> {
  const [{ createApp }, { serveDaemonClient }] = await Promise.all([
    import('../app.ts'),
    import('./client-session.ts'),
    makeDataDirectory(config),
  ])
  const app = await createApp(config, { requiresEmbedder: true })
  return {
    notice: app.notice,
    serve: serveDaemonClient(app),
    close: async () => await app.close(),
  }
}

async function makeDataDirectory(config: Config): Promise<void> {
  const migrations = await readMigrations()
  const template = shippedTemplate(migrations.map((migration) => migration.checksum))
  if (template !== undefined) {
    await unpackDirectory(embeddedDirectory(config.dataDirectory), template)
  }
}

let isReporting = true

/** Everything but `listening` is the last word. */
function tell(how: StartReport): void {
  if (!isReporting) return
  isReporting = how.kind === 'listening'
  try {
    writeSync(startReportFd, encodeReport(how))
  } catch {
    // the process that started us is gone; others are served as well
  }
  if (!isReporting) closeSync(startReportFd)
}

/** One JSON line on stderr, which is `daemon.log`; the logger is not loaded before the election. */
function note(msg: string, fields: Readonly<Record<string, unknown>> = {}): void {
  const time = new Date().toISOString()
  process.stderr.write(
    `${JSON.stringify({ time, level: 'info', pid: process.pid, msg, ...fields })}\n`,
  )
}

export interface DaemonCommandOptions {
  readonly config: Config
  readonly version: string
  readonly isJson: boolean
}

/** As `systemctl status` and LSB init scripts: 3 means that it does not run. */
const notRunning = 3
const answerTimeoutMs = 5000
/** Draining may take 20 s, the checkpoint some more. */
const stopTimeoutMs = 40_000

/** Prints who owns the data directory and whom it serves. Exit code 0, or 3 when nobody runs. */
export async function daemonStatus(options: DaemonCommandOptions): Promise<number> {
  const paths = daemonPaths(options.config.dataDirectory)
  const found = await readStatus(paths, options.version)
  const json = { running: found !== undefined, dataDirectory: paths.directory, ...found }
  const text = found === undefined ? await describeAbsence(paths) : describeStatus(found, paths)
  print(options.isJson ? JSON.stringify(json) : text)
  return found === undefined ? notRunning : 0
}

async function readStatus(paths: DaemonPaths, version: string): Promise<DaemonStatus | undefined> {
  const socket = await connect(paths.socket)
  if (socket === undefined) return undefined
  const hello = { request: 'status', protocol: pipeProtocol, version } as const
  const answer = await greet(socket, hello, Date.now() + answerTimeoutMs)
  socket.destroy()
  return answer?.kind === 'status' ? answer.status : undefined
}

async function describeAbsence(paths: DaemonPaths): Promise<string> {
  const found = await inspectLock(paths)
  if (found?.alive !== true)
    return `No daemon runs for ${paths.directory}. The next client starts one.`
  return (
    `Process ${String(found.holder.pid)} owns ${paths.directory} but does not answer: it is busy or ` +
    'still opening its database. If it stays so, end it with `mindglue daemon stop`.'
  )
}

function describeStatus(status: DaemonStatus, paths: DaemonPaths): string {
  const megabytes = Math.round(status.residentBytes / 1024 / 1024)
  const count = status.clients.length
  const lines = [
    `MindGlue ${status.version}, process ${String(status.pid)}, ${status.state} for ` +
      `${duration(status.uptimeSeconds)}, ${String(megabytes)} MB`,
    `Data directory  ${paths.directory}`,
    `Clients         ${count === 0 ? 'none' : String(count)}`,
    ...status.clients.map(
      ({ agent, namespaceName, connectedSeconds }) =>
        `  ${agent} in ${namespaceName}, connected for ${duration(connectedSeconds)}`,
    ),
  ]
  return lines.join('\n')
}

function duration(seconds: number): string {
  if (seconds < 60) return `${String(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${String(minutes)} min`
  return `${String(Math.floor(minutes / 60))} h ${String(minutes % 60)} min`
}

/** Asks the daemon to finish and leave, and waits for it. Exit code 0, or 1 when it stays. */
export async function daemonStop(options: DaemonCommandOptions): Promise<number> {
  const paths = daemonPaths(options.config.dataDirectory)
  const deadline = Date.now() + stopTimeoutMs
  const pid = (await askToStop(paths, options.version, deadline)) ?? (await signalOwner(paths))
  const isGone = pid === undefined || (await isReleased(paths, pid, deadline))
  const text =
    pid === undefined
      ? `No daemon runs for ${paths.directory}.`
      : isGone
        ? `Stopped process ${String(pid)}.`
        : `Process ${String(pid)} has not left yet; ${paths.log} may say why.`
  print(options.isJson ? JSON.stringify({ stopped: isGone, pid: pid ?? null }) : text)
  return isGone ? 0 : 1
}

/** The process that promised to leave; undefined when nobody answers. */
async function askToStop(
  paths: DaemonPaths,
  version: string,
  deadline: number,
): Promise<number | undefined> {
  const socket = await connect(paths.socket)
  if (socket === undefined) return undefined
  const hello = { request: 'stop', protocol: pipeProtocol, version } as const
  const answer = await greet(socket, hello, Math.min(deadline, Date.now() + answerTimeoutMs))
  if (answer?.kind === 'draining') await ended(socket, deadline)
  socket.destroy()
  return answer?.kind === 'draining' ? answer.pid : undefined
}

/** A daemon that lives but does not answer on its socket is still ours to end. */
async function signalOwner(paths: DaemonPaths): Promise<number | undefined> {
  const found = await inspectLock(paths)
  if (found?.alive !== true) return undefined
  process.kill(found.holder.pid, 'SIGTERM')
  return found.holder.pid
}

async function isReleased(paths: DaemonPaths, pid: number, deadline: number): Promise<boolean> {
  for (;;) {
    const found = await inspectLock(paths)
    if (found?.alive !== true || found.holder.pid !== pid) return true
    if (Date.now() >= deadline) return false
    await delay(50)
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
