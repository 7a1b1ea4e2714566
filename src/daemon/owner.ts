/**
 * The process that owns a data directory: elected, listening before the database is open so that
 * clients wait on one connection, gone after an idle time. What clients say is `reception.ts`.
 */
import { renameSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { candidate, elect, probeSocket, type LockRecord, type OwnedLock } from './election.ts'
import type { SettingsDigest } from './hello.ts'
import type { DaemonPaths } from './paths.ts'
import { createReception, type DaemonApp } from './reception.ts'

export interface OwnerOptions {
  readonly paths: DaemonPaths
  readonly version: string
  readonly settings: SettingsDigest
  /** Time without clients after which the daemon leaves; 0 keeps it. */
  readonly idleExitSeconds: number
  /** Called once, after the election: only then may the database be opened. */
  readonly open: () => Promise<DaemonApp>
  /** A constant phrase and fields that hold no content. */
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void
}

export interface Owner {
  readonly lock: LockRecord
  /** Resolves when the database is closed and socket and lock are gone; rejects when opening failed. */
  readonly closed: Promise<void>
  /** Finishes what clients have in flight (20 s at most), closes, leaves. Safe to call again. */
  drain(reason: string, replacedBy?: string): Promise<void>
}

/** Longest wait for requests in flight when draining. */
const drainTimeoutMs = 20_000
/** Far more windows than one person opens, far fewer than the process has file descriptors. */
const connectionsMax = 256
/** A database that does not open is told to whoever started us, or comes within this time. */
const failureLingerMs = 1500

/**
 * Runs for the directory, or reports who owns it. Resolves once clients can connect, before the
 * database is open. Throws AppError `misconfigured` as `elect` does.
 */
export async function startOwner(
  options: OwnerOptions,
): Promise<{ kind: 'owner'; owner: Owner } | { kind: 'held'; pid: number | undefined }> {
  const { paths } = options
  const record = candidate(options.version)
  const bound = paths.candidateSocket(record.token)
  const server = createServer()
  // Until the election only probes connect: they want to see that somebody listens.
  const dismiss = (socket: Socket): void => void socket.on('error', () => undefined).destroy()
  server.on('connection', dismiss)
  // Bound before the lock is taken: whoever sees the lock can ask the kernel whether we live.
  if (!(await listen(server, bound))) return { kind: 'held', pid: undefined }
  try {
    const election = await elect(paths, record)
    if (election.kind === 'held') {
      server.close()
      return { kind: 'held', pid: election.holder.pid }
    }
    const { lock } = election
    if (bound !== paths.socket) {
      // Somebody may have deleted the lock of a daemon that lives; its socket still answers.
      if ((await probeSocket(paths.socket)) === 'accepts') {
        lock.release()
        server.close()
        return { kind: 'held', pid: undefined }
      }
      renameSync(bound, paths.socket)
    }
    server.off('connection', dismiss)
    return { kind: 'owner', owner: own(options, server, lock) }
  } catch (error) {
    server.close()
    throw error
  }
}

function own(options: OwnerOptions, server: Server, lock: OwnedLock): Owner {
  const { idleExitSeconds, log } = options
  const startedAt = Date.now()
  const app = options.open()
  let idleTimer: NodeJS.Timeout | undefined
  let draining: Promise<void> | undefined

  const armIdleExit = (): void => {
    clearTimeout(idleTimer)
    if (idleExitSeconds === 0 || draining !== undefined || !reception.isVacant()) return
    idleTimer = setTimeout(() => void drain('idle'), idleExitSeconds * 1000)
  }
  const reception = createReception({
    version: options.version,
    settings: options.settings,
    app,
    onStopRequest: (replacedBy) =>
      void drain(replacedBy === undefined ? 'stop' : 'replaced', replacedBy),
    onVacant: armIdleExit,
    log,
  })
  server.maxConnections = connectionsMax
  server.on('error', () => log('daemon cannot accept a client')) // no file descriptor left
  server.on('connection', (socket) => {
    clearTimeout(idleTimer)
    reception.accept(socket)
  })

  const leave = async (): Promise<void> => {
    clearTimeout(idleTimer)
    removeSocket(options.paths, lock)
    lock.release()
    server.close()
    await reception.close()
  }
  const opened = (async (): Promise<DaemonApp> => {
    try {
      const served = await app
      reception.noteServing()
      log('daemon serves', { ms: Date.now() - startedAt })
      armIdleExit()
      return served
    } catch (error) {
      await delay(failureLingerMs)
      await leave()
      throw error
    }
  })()
  const drain = async (reason: string, replacedBy?: string): Promise<void> => {
    draining ??= (async () => {
      log('daemon drains', { reason })
      clearTimeout(idleTimer)
      await reception.drain(drainTimeoutMs, replacedBy)
      const served = await opened
      await served.close()
      await leave()
      log('daemon left', { reason })
      markClosed()
    })()
    // A failure is `closed`'s to tell: it came from opening or closing the database.
    await draining.catch(markFailed)
  }
  let markClosed: () => void = () => undefined
  let markFailed: (error: unknown) => void = () => undefined
  const closed = new Promise<void>((resolve, reject) => {
    markClosed = resolve
    markFailed = reject
  })
  opened.catch(markFailed)
  return { lock: lock.record, closed, drain }
}

/** Removes the socket only while the lock is ours: afterwards the path may be a successor's. */
function removeSocket(paths: DaemonPaths, lock: OwnedLock): void {
  if (process.platform === 'win32' || !lock.isOwn()) return
  try {
    unlinkSync(paths.socket)
  } catch {
    // already gone: somebody cleaned up by hand
  }
}

/** False when the address is taken, which on Windows means that another process was elected. */
async function listen(server: Server, path: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false)
      else reject(error)
    })
    // bind() happens inside listen(), so the mask covers just it: the socket is born 0600.
    const mask = process.platform === 'win32' ? undefined : process.umask(0o177)
    server.listen(path, () => resolve(true))
    if (mask !== undefined) process.umask(mask)
  })
}
