/** Reaches the daemon of a data directory: connects, greets, and starts one where none lives. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, renameSync, statSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import { inspectLock } from './election.ts'
import { createLineSplitter, frame } from './framing.ts'
import { encodeHello, parseAnswer, type Answer, type AttachHello, type Hello } from './hello.ts'
import type { DaemonPaths } from './paths.ts'

/** How to run this program again: `file` is the Node binary, `args` end with the daemon command. */
export interface DaemonProgram {
  readonly file: string
  readonly args: readonly string[]
}

/** File descriptor on which a started daemon says, in one line, how its start went. */
export const startReportFd = 3

export type StartReport =
  | { readonly kind: 'listening' }
  /** After `listening`, once: it is open, and what the person who started it should know. */
  | { readonly kind: 'open'; readonly notice?: string | undefined }
  | { readonly kind: 'held' }
  /** It decided that it cannot serve, and why. */
  | { readonly kind: 'failed'; readonly message: string }

export interface AttachOptions {
  readonly paths: DaemonPaths
  readonly hello: AttachHello
  readonly program: DaemonProgram
  /** Longest time until attached, in milliseconds: a recovery after kill -9 took up to 21 s. */
  readonly timeoutMs: number
  /** Told what a daemon that was started here has to say to a person. */
  readonly onNotice: (notice: string) => void
  /** A newer program announced that it replaces the daemon: let it start its own first. */
  readonly startNotBefore?: number
}

export interface Attachment {
  /** Greeted, paused, without `data` listeners. */
  readonly socket: Socket
  readonly version: string
  readonly pid: number
}

/** Daemons that died before they answered one attach; then something is wrong with the program. */
const deathsMax = 5
/** First and longest pause between looks at a socket that must appear soon. */
const pauseMs = { first: 10, most: 250 }
/** Longest wait for a started daemon's report. */
const reportTimeoutMs = 30_000
/** A log larger than this becomes `daemon.log.1` at the next start. */
const logBytesMax = 5 * 1024 * 1024

/**
 * Attaches to the daemon, starting or replacing it where that is right. Throws AppError: `conflict`
 * when the daemon runs with other settings, `unavailable` when it cannot be reached or refuses,
 * `misconfigured` when the lock's holder cannot be judged.
 */
export async function attach(options: AttachOptions): Promise<Attachment> {
  const { paths, hello } = options
  const deadline = Date.now() + options.timeoutMs
  let deaths = 0
  let pause = pauseMs.first
  let opened: Promise<StartReport | undefined> | undefined
  while (Date.now() < deadline) {
    const socket = await connect(paths.socket)
    if (socket === undefined) {
      if (await mayStart(options)) {
        const started = await startDaemon(options.program, paths, deadline)
        const { report } = started
        opened = started.opened
        if (report?.kind === 'failed') throw new AppError('unavailable', report.message)
        if (report?.kind === 'listening') continue
        if (report === undefined && ++deaths === deathsMax) throw keepsDying(paths)
      }
      await delay(pause)
      pause = Math.min(pause * 2, pauseMs.most)
      continue
    }
    const answer = await greet(socket, hello, deadline)
    if (answer?.kind === 'attached') {
      // It reports before it answers, or its end of the pipe is closed.
      const report = await opened
      if (report?.kind === 'open' && report.notice !== undefined) options.onNotice(report.notice)
      return { socket, version: answer.version, pid: answer.pid }
    }
    if (answer?.kind === 'older') await replace(paths, hello, deadline)
    else if (answer?.kind === 'draining') await ended(socket, deadline)
    else if (answer !== undefined) throw refusal(answer)
    else if (++deaths === deathsMax) throw keepsDying(paths)
    socket.destroy()
  }
  throw new AppError(
    'unavailable',
    `The MindGlue daemon did not answer within ${String(options.timeoutMs / 1000)} s. ` +
      `${paths.log} may say why; \`mindglue daemon status\` shows its state.`,
  )
}

function keepsDying(paths: DaemonPaths): AppError {
  return new AppError('unavailable', `The MindGlue daemon does not stay up; ${paths.log} says why.`)
}

async function mayStart(options: AttachOptions): Promise<boolean> {
  if (options.startNotBefore !== undefined && Date.now() < options.startNotBefore) return false
  const found = await inspectLock(options.paths)
  return found === undefined || !found.alive
}

function refusal(answer: Answer): AppError {
  if (answer.kind === 'settings') {
    const classes = answer.differing.join(', ')
    return new AppError(
      'conflict',
      `The MindGlue daemon of this data directory (process ${String(answer.pid)}) runs with other ` +
        `settings: ${classes}. Give this client the same settings, or run ` +
        '`mindglue daemon stop` so that the next client starts it anew.',
      { details: { differing: answer.differing } },
    )
  }
  const message =
    answer.kind === 'refused' ? answer.message : 'The daemon gave an unexpected answer.'
  return new AppError('unavailable', message)
}

/** Asks an older daemon to finish and leave, and waits for its end. */
async function replace(paths: DaemonPaths, hello: AttachHello, deadline: number): Promise<void> {
  const socket = await connect(paths.socket)
  if (socket === undefined) return
  const { protocol, version } = hello
  await greet(socket, { request: 'stop', protocol, version, replacedBy: version }, deadline)
  await ended(socket, deadline)
}

/** Undefined when nobody listens. */
export async function connect(path: string): Promise<Socket | undefined> {
  return await new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      socket.on('error', () => undefined) // a reset is a close; `close` follows
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== undefined && absent.has(error.code)) resolve(undefined)
      else
        reject(
          new AppError(
            'unavailable',
            `The socket ${path} cannot be opened (${error.code ?? ''}).`,
            {
              cause: error,
            },
          ),
        )
    })
  })
}

/** EAGAIN: the backlog is full for a moment. */
const absent: ReadonlySet<string> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EAGAIN',
  'EPIPE',
])

/**
 * Sends a hello and waits for the answer's line; undefined when the daemon went before it gave one.
 * Leaves the socket paused and without listeners for data.
 */
export async function greet(
  socket: Socket,
  hello: Hello,
  deadline: number,
): Promise<Answer | undefined> {
  socket.write(frame(encodeHello(hello)))
  const line = await firstLine(socket, deadline)
  if (line === undefined) return undefined
  return (
    parseAnswer(line) ?? {
      kind: 'refused',
      message: 'The socket of the data directory is served by something else than MindGlue.',
    }
  )
}

async function firstLine(stream: Readable, deadline: number): Promise<Buffer | undefined> {
  return await new Promise((resolve) => {
    const splitter = createLineSplitter(() => finish(undefined))
    const finish = (line: Buffer | undefined): void => {
      clearTimeout(timer)
      stream.pause()
      stream.off('data', onData).off('end', onEnd).off('close', onEnd)
      resolve(line)
    }
    const onData = (chunk: Buffer): void => {
      const end = chunk.indexOf('\n') + 1
      const [line] = splitter.push(end === 0 ? chunk : chunk.subarray(0, end))
      if (line !== undefined) finish(line)
      // What came with it is the next reader's.
      if (end > 0 && end < chunk.length) stream.unshift(chunk.subarray(end))
    }
    const onEnd = (): void => finish(undefined)
    const timer = setTimeout(onEnd, Math.max(0, deadline - Date.now()))
    stream.on('data', onData).on('end', onEnd).on('close', onEnd)
    stream.resume() // the reader before left it paused
  })
}

/** Resolves when the other side closed, or at the deadline. */
export async function ended(socket: Socket, deadline: number): Promise<void> {
  if (socket.destroyed) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, Math.max(0, deadline - Date.now()))
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.resume()
  })
}

interface Started {
  /** Undefined when it died without one. */
  readonly report: StartReport | undefined
  /** Of one that listens: its next report; undefined when it died or the deadline came first. */
  readonly opened: Promise<StartReport | undefined> | undefined
}

/**
 * Starts a daemon in a session of its own, so that neither a terminal's signals nor this process's
 * end reach it, and waits for its report instead of polling. Its stderr goes to `daemon.log`.
 */
async function startDaemon(
  program: DaemonProgram,
  paths: DaemonPaths,
  deadline: number,
): Promise<Started> {
  rotateLog(paths.log)
  const log = openSync(paths.log, 'a', 0o600)
  try {
    const child = spawn(program.file, [...program.args], {
      cwd: paths.directory,
      detached: true,
      stdio: ['ignore', 'ignore', log, 'pipe'],
      windowsHide: true,
    })
    child.on('error', () => undefined) // the pipe ends without a line, which says the same
    child.unref()
    const pipe = child.stdio[startReportFd]
    if (!(pipe instanceof Readable)) return { report: undefined, opened: undefined }
    // Opening may take long, but whether it was elected a daemon knows within a moment.
    const report = parseReport(await firstLine(pipe, Date.now() + reportTimeoutMs))
    if (report?.kind !== 'listening') {
      pipe.destroy()
      return { report, opened: undefined }
    }
    const opened = firstLine(pipe, deadline).then((line) => {
      pipe.destroy()
      return parseReport(line)
    })
    return { report, opened }
  } finally {
    closeSync(log)
  }
}

function parseReport(line: Buffer | undefined): StartReport | undefined {
  const [kind, ...words] = (line?.toString('utf8') ?? '').split(' ')
  const text = words.join(' ')
  if (kind === 'listening' || kind === 'held') return { kind }
  if (kind === 'open') return { kind, ...(text !== '' && { notice: text }) }
  return kind === 'failed' ? { kind, message: text } : undefined
}

/** The line a daemon writes on `startReportFd`. */
export function encodeReport(report: StartReport): string {
  const { kind } = report
  const text = kind === 'failed' ? report.message : kind === 'open' ? (report.notice ?? '') : ''
  return `${`${kind} ${text.replaceAll('\n', ' ')}`.trimEnd()}\n`
}

function rotateLog(path: string): void {
  try {
    if (statSync(path).size > logBytesMax) renameSync(path, `${path}.1`)
  } catch {
    // no log yet, or another starter rotated it first
  }
}
