/** The socket that postgres.js writes to: it outlives the real one, so that a lost server cannot end the process. */

import { EventEmitter } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { AppError } from '../errors.ts'
import { DatabaseFault, unreachable } from './faults.ts'
import type { PostgresTarget } from './postgres-url.ts'

const terminateMessage = Buffer.from([0x58, 0, 0, 0, 4]) // Terminate: 'X', length 4
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]) // SSLRequest, code 80877103
const cancelRequestCode = 80_877_102
const closeGraceMs = 1000

/**
 * postgres.js 3.4.9 sets its socket to null on 'close' and writes to it later from a setImmediate: an
 * uncatchable TypeError (src/connection.js:255). It also reconnects under a transaction that still runs,
 * whose next statements then land in somebody else's session. Both start with the 'close' event, so this
 * wrapper never emits it. When the real socket goes, the driver hears 'error', which rejects the
 * statements it has sent; later writes go nowhere, and `onLost` tells the owner to drop the connection.
 * See docs/decisions/0005-postgres-guard.md.
 */
export class GuardedSocket extends EventEmitter {
  readonly #socket: Socket
  #lost: DatabaseFault | undefined
  #lastState: string | undefined
  readonly #lossListeners = new Set<(fault: DatabaseFault) => void>()

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#lastState = fatalState(chunk)
      if (this.#lost === undefined) this.emit('data', chunk)
    })
    socket.on('drain', () => this.emit('drain'))
    socket.on('error', (error) => this.lose(error.message))
    socket.on('close', () => this.lose('connection closed'))
  }

  get lost(): DatabaseFault | undefined {
    return this.#lost
  }

  /** Calls back once, when the connection is gone; at once when it is already. Returns how to unsubscribe. */
  onLost(listener: (fault: DatabaseFault) => void): () => void {
    if (this.#lost === undefined) this.#lossListeners.add(listener)
    else listener(this.#lost)
    return () => void this.#lossListeners.delete(listener)
  }

  /** Gives the connection up; statements under way are rejected. `sqlState` says why, where we know better. */
  lose(reason: string, sqlState = this.#lastState): void {
    if (this.#lost !== undefined) return
    this.#lost = new DatabaseFault(reason, { sqlState })
    this.#socket.destroy()
    // The driver writes its own fields on the error it gets, so it gets one of its own.
    if (this.listenerCount('error') > 0) this.emit('error', new Error(reason))
    for (const listener of this.#lossListeners) listener(this.#lost)
    this.#lossListeners.clear()
  }

  /** Says goodbye to the server and waits, not for long, until the socket is closed. */
  async close(): Promise<void> {
    if (this.#socket.closed) return
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()))
    const timer = setTimeout(() => this.#socket.destroy(), closeGraceMs)
    this.#socket.end(terminateMessage)
    await closed
    clearTimeout(timer)
  }

  // What follows is the part of net.Socket that postgres.js calls.

  write(chunk: Uint8Array, done?: () => void): boolean {
    return this.#lost === undefined ? this.#socket.write(chunk, done) : true
  }

  end(chunk?: Uint8Array): void {
    if (this.#lost === undefined && chunk !== undefined) this.#socket.end(chunk)
  }

  destroy(): void {
    this.lose('given up by the driver')
  }

  setKeepAlive(enabled: boolean, delayMs: number): void {
    this.#socket.setKeepAlive(enabled, delayMs)
  }

  get readyState(): string {
    return this.#lost === undefined ? this.#socket.readyState : 'closed'
  }
}

/** SQLSTATE of an ErrorResponse that starts the chunk: the server's last words to an idle connection. */
function fatalState(chunk: Buffer): string | undefined {
  if (chunk[0] !== 0x45) return undefined
  const message = chunk.toString('latin1', 5, Math.min(chunk.length, 1 + chunk.readUInt32BE(1)))
  return /(?:^|\0)C([0-9A-Z]{5})\0/.exec(message)?.[1]
}

/** TCP or Unix socket, then TLS when the target wants it; throws `unavailable` or `misconfigured`. */
export async function openSocket(target: PostgresTarget, signal: AbortSignal): Promise<Socket> {
  const plain = createConnection(
    target.socketPath === undefined
      ? { host: target.host, port: target.port, noDelay: true }
      : { path: target.socketPath },
  )
  const abort = (): void => void plain.destroy(new Error('connect timeout'))
  signal.addEventListener('abort', abort)
  try {
    await happens(plain, 'connect')
    return target.tls === undefined ? plain : await secure(plain, target)
  } catch (error) {
    plain.destroy()
    throw error instanceof AppError ? error : connectFailure(error)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** PostgreSQL protocol §54.2.10: one byte answers SSLRequest; more would be injected plain text (CVE-2021-23222). */
async function secure(plain: Socket, target: PostgresTarget): Promise<Socket> {
  plain.write(sslRequest)
  const [answer] = await happens(plain, 'data')
  if (!Buffer.isBuffer(answer) || answer.length !== 1 || answer[0] !== 0x53) {
    throw new AppError(
      'misconfigured',
      'The database offers no TLS. Turn it on there, or say sslmode=disable in DATABASE_URL.',
    )
  }
  plain.pause()
  const socket = connectTls({ ...target.tls, socket: plain })
  await happens(socket, 'secureConnect')
  return socket
}

/** Resolves with the event's arguments; rejects when the socket fails or closes first. */
function happens(socket: Socket, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      socket.off(event, onEvent)
      socket.off('error', onError)
      socket.off('close', onClose)
      act()
    }
    const onEvent = (...values: unknown[]): void => settle(() => resolve(values))
    const onError = (error: Error): void => settle(() => reject(error))
    const onClose = (): void => settle(() => reject(new Error('connection closed')))
    socket.on(event, onEvent)
    socket.on('error', onError)
    socket.on('close', onClose)
  })
}

function connectFailure(error: unknown): AppError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const text = error instanceof Error ? error.message : ''
  if (/CERT|ERR_TLS|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return new AppError(
      'misconfigured',
      'The certificate of the database cannot be verified. Name its authority with sslrootcert.',
      { cause: new DatabaseFault(`${code}: ${text}`) },
    )
  }
  return unreachable(new DatabaseFault(`${code}: ${text}`))
}

/** Asks the server to stop a statement (protocol §54.2.8); best effort, over a connection of its own. */
export async function cancelStatement(
  target: PostgresTarget,
  backend: { readonly pid: number; readonly secret: number },
  signal: AbortSignal,
): Promise<void> {
  const socket = await openSocket(target, signal)
  const message = Buffer.alloc(16)
  message.writeUInt32BE(16, 0)
  message.writeUInt32BE(cancelRequestCode, 4)
  message.writeUInt32BE(backend.pid, 8)
  message.writeUInt32BE(backend.secret, 12)
  socket.on('error', () => undefined)
  socket.end(message)
}
