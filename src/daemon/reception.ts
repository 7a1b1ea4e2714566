/**
 * The daemon's end of each connection: reads the hello, answers it, hands clients to the app, and
 * sees them off when the daemon drains. Knows nothing of locks and nothing of MCP.
 */
import type { Socket } from 'node:net'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { AppError } from '../errors.ts'
import { createLineSplitter, frame } from './framing.ts'
import {
  compareVersions,
  differingSettings,
  encodeAnswer,
  encodeControl,
  isControl,
  parseControl,
  parseHello,
  pipeProtocol,
  type Answer,
  type AttachHello,
  type DaemonStatus,
  type Hello,
  type SettingsDigest,
} from './hello.ts'

/** One client's conversation. */
export interface DaemonSession {
  readonly closed: Promise<void>
  close(): Promise<void>
}

/** What a daemon serves once its database is open. */
export interface DaemonApp {
  /** What whoever started the daemon should know; a line. */
  readonly notice?: string | undefined
  /** `output` must be written in whole lines: control lines go between them. */
  serve(
    stream: { readonly input: Readable; readonly output: Writable },
    hello: AttachHello,
  ): Promise<DaemonSession>
  /** Checkpoints and closes the database; nothing is written after it resolves. */
  close(): Promise<void>
}

export interface ReceptionOptions {
  readonly version: string
  readonly settings: SettingsDigest
  /** Clients wait for it with their connection open; its error is what they are told. */
  readonly app: Promise<DaemonApp>
  readonly onStopRequest: (replacedBy: string | undefined) => void
  /** Nobody is connected any more. */
  readonly onVacant: () => void
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void
}

export interface Reception {
  accept(socket: Socket): void
  isVacant(): boolean
  noteServing(): void
  /** Takes no more clients; those here finish what is in flight, within `timeoutMs`. */
  drain(timeoutMs: number, replacedBy: string | undefined): Promise<void>
  /** Closes every connection, by force after a second. */
  close(): Promise<void>
}

/** A process that connects and stays silent is dropped after this time. */
const helloTimeoutMs = 10_000
const closeTimeoutMs = 1000

interface Connection {
  readonly socket: Socket
  readonly input: PassThrough
  /** The pipe has its last answer, or is gone. */
  readonly drained: Promise<void>
}

interface Client extends Connection {
  readonly hello: AttachHello
  readonly connectedAt: number
  readonly session: DaemonSession
}

/** One per daemon. Everything runs on the event loop's one thread. */
export function createReception(options: ReceptionOptions): Reception {
  const startedAt = Date.now()
  const sockets = new Set<Socket>()
  const clients = new Set<Client>()
  let phase: DaemonStatus['state'] = 'opening'

  // A draining daemon keeps the connections it answers so: their end is the client's signal.
  const isDraining = (): boolean => phase === 'draining'
  const say = (socket: Socket, answer: Answer): void =>
    void socket.write(frame(encodeAnswer(answer)))

  const attach = async (connection: Connection, hello: AttachHello): Promise<void> => {
    const { socket, input } = connection
    const app = await options.app
    if (socket.destroyed) return
    if (isDraining()) return say(socket, { kind: 'draining', pid: process.pid })
    // Serving before answering: whatever goes wrong here can still be said. Nothing is written by
    // the app before a client speaks, and a client speaks only after the answer.
    const session = await app.serve({ input, output: socket }, hello)
    if (isDraining()) return say(socket, { kind: 'draining', pid: process.pid })
    const client: Client = { ...connection, hello, connectedAt: Date.now(), session }
    clients.add(client)
    say(socket, { kind: 'attached', version: options.version, pid: process.pid })
    await session.closed.catch(() => options.log('a session ended with an error'))
    clients.delete(client)
    socket.end()
  }

  const answer = async (connection: Connection, hello: Hello | undefined): Promise<void> => {
    const { socket } = connection
    const refusal = refuse(options, hello)
    if (refusal !== undefined || hello === undefined) {
      if (refusal !== undefined) say(socket, refusal)
      socket.end()
    } else if (hello.request === 'status') {
      say(socket, { kind: 'status', status: status(options.version, phase, startedAt, clients) })
      socket.end()
    } else if (hello.request === 'stop') {
      say(socket, { kind: 'draining', pid: process.pid })
      options.onStopRequest(hello.replacedBy)
    } else if (isDraining()) {
      say(socket, { kind: 'draining', pid: process.pid })
    } else {
      await attach(connection, hello)
    }
  }

  const answerSafely = async (connection: Connection, line: Buffer): Promise<void> => {
    try {
      await answer(connection, parseHello(line))
    } catch (error) {
      const name = error instanceof Error ? error.name : typeof error
      options.log('daemon refuses a client', { error: name })
      say(connection.socket, { kind: 'refused', message: publicMessage(error) })
      connection.socket.end()
    }
  }

  return {
    accept(socket) {
      sockets.add(socket)
      receive(
        socket,
        (connection, line) => void answerSafely(connection, line),
        () => {
          sockets.delete(socket)
          if (sockets.size === 0) options.onVacant()
        },
      )
    },
    isVacant: () => sockets.size === 0,
    noteServing() {
      if (phase === 'opening') phase = 'serving'
    },
    async drain(timeoutMs, replacedBy) {
      phase = 'draining'
      await seeOff([...clients], timeoutMs, replacedBy)
    },
    async close() {
      for (const socket of sockets) socket.end()
      await Promise.all([...sockets].map(closed))
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Splits what arrives: the first line is the hello, control lines are ours, the rest is the app's. */
function receive(
  socket: Socket,
  onHello: (connection: Connection, line: Buffer) => void,
  onClose: () => void,
): void {
  const input = new PassThrough()
  let markDrained: () => void = () => undefined
  const drained = new Promise<void>((resolve) => (markDrained = resolve))
  let isGreeted = false
  const silence = setTimeout(() => socket.destroy(), helloTimeoutMs)
  const splitter = createLineSplitter(() => socket.destroy())
  socket.on('error', () => undefined) // a reset is a close; `close` follows
  socket.on('data', (chunk: Buffer) => {
    for (const line of splitter.push(chunk)) {
      if (!isGreeted) {
        isGreeted = true
        clearTimeout(silence)
        onHello({ socket, input, drained }, line)
      } else if (!isControl(line)) {
        if (!input.write(frame(line))) socket.pause()
      } else if (parseControl(line)?.control === 'drained') {
        markDrained()
      }
    }
  })
  input.on('drain', () => socket.resume())
  socket.on('end', () => input.end())
  socket.on('close', () => {
    clearTimeout(silence)
    markDrained()
    input.end()
    onClose()
  })
}

/** Why this hello cannot be served by this program; undefined when it can. */
function refuse(options: ReceptionOptions, hello: Hello | undefined): Answer | undefined {
  const pid = process.pid
  if (hello === undefined) {
    return { kind: 'refused', message: 'The MindGlue daemon does not understand this greeting.' }
  }
  if (hello.request === 'status' || hello.request === 'stop') return undefined
  const order = compareVersions(options.version, hello.version)
  if (order < 0) return { kind: 'older', version: options.version, pid }
  if (hello.protocol !== pipeProtocol) {
    const message =
      `The data directory is served by MindGlue ${options.version}, which cannot talk to ` +
      `${hello.version}. Restart this client with the newer program.`
    return { kind: 'refused', message }
  }
  const differing = differingSettings(options.settings, hello.settings, order === 0)
  return differing.length === 0 ? undefined : { kind: 'settings', pid, differing }
}

function publicMessage(error: unknown): string {
  if (error instanceof AppError) return error.publicMessage
  return 'The database could not be opened; daemon.log in the data directory says why.'
}

function status(
  version: string,
  state: DaemonStatus['state'],
  startedAt: number,
  clients: ReadonlySet<Client>,
): DaemonStatus {
  const secondsSince = (time: number): number => Math.round((Date.now() - time) / 1000)
  return {
    pid: process.pid,
    version,
    state,
    uptimeSeconds: secondsSince(startedAt),
    residentBytes: process.memoryUsage.rss(),
    clients: [...clients].map(({ hello, connectedAt }) => ({
      agent: hello.agent,
      namespaceName: hello.namespaceName,
      connectedSeconds: secondsSince(connectedAt),
    })),
  }
}

/** Asks every pipe to hold new requests, and waits until each has its last answer. */
async function seeOff(
  clients: readonly Client[],
  timeoutMs: number,
  replacedBy: string | undefined,
): Promise<void> {
  const control = encodeControl({
    control: 'drain',
    ...(replacedBy === undefined ? {} : { replacedBy }),
  })
  for (const { socket } of clients) socket.write(frame(control))
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  await Promise.race([Promise.all(clients.map(async (client) => await client.drained)), timeout])
  clearTimeout(timer)
  await Promise.all(clients.map(async (client) => await client.session.close()))
}

async function closed(socket: Socket): Promise<void> {
  if (socket.destroyed) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, closeTimeoutMs)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
