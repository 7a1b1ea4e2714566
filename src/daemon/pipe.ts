/**
 * Client's stdio ↔ daemon's socket. Frames lines, remembers the conversation, survives the daemon:
 * the next one gets the handshake again, what was pending is asked again where that is harmless and
 * answered with a retryable error where it is not.
 */
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { toAppError, type AppError } from '../errors.ts'
import type { Attachment } from './connect.ts'
import { createLineSplitter, frame } from './framing.ts'
import { encodeControl, isControl, parseControl } from './hello.ts'
import { errorLine, type Id } from './json-rpc.ts'
import { createSessionMemory, type PendingRequest } from './session-memory.ts'

export interface PipeOptions {
  readonly input: Readable
  readonly output: Writable
  /** Reaches a daemon; `startNotBefore` in milliseconds since 1970 as in `AttachOptions`. */
  readonly attach: (startNotBefore: number | undefined) => Promise<Attachment>
  /** One line for the person who reads the client's log. */
  readonly warn: (message: string) => void
}

/** A request is handed to three daemons at most: one that kills each of them must end. */
const sendsMax = 3
/** Lines held for a daemon that is not there yet; beyond it the client is not read. */
const queueBytesMax = 1024 * 1024
/** After a failed attach the next attempt waits this long; requests meanwhile get its error. */
const retryAfterMs = 1000
/** Time a newer program has to start its daemon before an older one tries. */
const replacementGraceMs = 10_000
/** After the client closed its end: longest wait for answers it may still read. */
const farewellMs = 30_000

/** JSON-RPC 2.0 §5.1 leaves -32000 to -32099 to servers; the client SDKs use -32000 for a lost connection. */
const connectionLost = -32_000
const invalidRequest = -32_600

type Link =
  | { readonly state: 'none' }
  | { readonly state: 'attaching' }
  /** The legacy handshake is replayed; `replayId`'s answer is ours. */
  | { readonly state: 'greeting'; readonly socket: Socket; readonly replayId: string }
  | { readonly state: 'open'; readonly socket: Socket }
  /** The daemon finishes what is in flight; new requests wait for its successor. */
  | { readonly state: 'draining'; readonly socket: Socket; hasAnswered: boolean }

/**
 * Runs until the client closes its end or `stop` aborts. Resolves with the exit code: 0, or 1 when
 * no daemon could ever be reached; the client's requests have then been answered with the reason.
 */
export async function runPipe(options: PipeOptions, stop: AbortSignal): Promise<number> {
  const { promise, resolve } = deferredExit()
  new Pipe(options, resolve, stop).start()
  return await promise
}

/** Owns the link and the queue; everything runs on the event loop's one thread. */
class Pipe {
  readonly #options: PipeOptions
  readonly #exit: (code: number) => void
  readonly #stop: AbortSignal
  readonly #memory = createSessionMemory()
  #link: Link = { state: 'none' }
  #queue: Buffer[] = []
  #queuedBytes = 0
  #links = 0
  #lastFailure: { readonly error: AppError; readonly at: number } | undefined
  #startNotBefore: number | undefined
  #hasEnded = false
  #hasLeft = false
  #farewell: NodeJS.Timeout | undefined

  constructor(options: PipeOptions, exit: (code: number) => void, stop: AbortSignal) {
    this.#options = options
    this.#exit = exit
    this.#stop = stop
  }

  start(): void {
    const { input, output } = this.#options
    const splitter = createLineSplitter(() => {
      this.#say(errorLine(null, invalidRequest, 'The message is larger than 16 MiB; split it.'))
    })
    input.on('data', (chunk: Buffer) => {
      for (const line of splitter.push(chunk)) this.#fromClient(line)
    })
    input.on('end', () => this.#end())
    input.on('error', () => this.#leave(0))
    // EPIPE: the client is gone and nobody is left to tell.
    output.on('error', () => this.#leave(0))
    output.on('drain', () => this.#socket()?.resume())
    this.#stop.addEventListener('abort', () => this.#leave(0), { once: true })
    if (this.#stop.aborted) return this.#leave(0)
    void this.#attach()
  }

  #socket(): Socket | undefined {
    return 'socket' in this.#link ? this.#link.socket : undefined
  }

  #fromClient(said: Buffer): void {
    // A control line from outside would speak in our name; it cannot be JSON, so nothing is lost.
    if (isControl(said)) return
    const { state } = this.#link
    // What is in flight may wait for just this answer, and the drain for what is in flight.
    const isPassed = state === 'open' || (state === 'draining' && this.#memory.asksNothingNew(said))
    const line = this.#memory.noteFromClient(said)
    if (line === undefined) return
    const socket = this.#socket()
    if (isPassed && socket !== undefined) {
      this.#send(socket, line)
      return this.#answerDrain() // a request that was taken back gets no answer
    }
    this.#queue.push(line)
    this.#queuedBytes += line.length
    if (this.#queuedBytes > queueBytesMax) this.#options.input.pause()
    if (this.#link.state === 'none') this.#attachUnlessJustFailed()
  }

  #attachUnlessJustFailed(): void {
    const failure = this.#lastFailure
    if (failure !== undefined && Date.now() - failure.at < retryAfterMs) {
      this.#answerAll(failure.error)
    } else {
      void this.#attach()
    }
  }

  async #attach(): Promise<void> {
    this.#link = { state: 'attaching' }
    try {
      const attachment = await this.#options.attach(this.#startNotBefore)
      if (this.#hasLeft) return void attachment.socket.destroy()
      this.#lastFailure = undefined
      this.#startNotBefore = undefined
      this.#open(attachment.socket)
    } catch (error) {
      this.#fail(toAppError(error))
    }
  }

  #fail(error: AppError): void {
    this.#link = { state: 'none' }
    this.#lastFailure = { error, at: Date.now() }
    this.#options.warn(error.publicMessage)
    this.#answerAll(error)
    if (this.#links === 0) this.#leave(1)
    this.#leaveIfDone()
  }

  /** Nobody will serve what waits: says why, once per request. */
  #answerAll(error: AppError): void {
    for (const request of this.#memory.pending.values()) {
      this.#refuse(request.id, error.publicMessage, {
        code: error.code,
        retryable: error.retryable,
      })
    }
    this.#clearQueue()
  }

  #refuse(id: Id, message: string, data: Readonly<Record<string, unknown>>): void {
    this.#memory.drop(id)
    this.#say(errorLine(id, connectionLost, message, data))
  }

  #open(socket: Socket): void {
    this.#links++
    const splitter = createLineSplitter(() => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      for (const line of splitter.push(chunk)) this.#fromDaemon(socket, line)
    })
    socket.on('drain', () => this.#options.input.resume())
    socket.on('close', () => this.#lost(socket))
    if (socket.destroyed) return this.#lost(socket)
    const replayId = `mindglue-replay-${String(this.#links)}`
    const handshake = this.#memory.handshake(replayId)
    if (handshake === undefined) {
      this.#flush(socket)
    } else {
      this.#link = { state: 'greeting', socket, replayId }
      socket.write(frame(handshake.initialize))
    }
    socket.resume()
  }

  #flush(socket: Socket): void {
    this.#link = { state: 'open', socket }
    const again = [...this.#memory.pending.values()].filter((request) => request.sentCount > 0)
    for (const request of again) this.#send(socket, request.line)
    const waiting = this.#queue
    this.#clearQueue()
    for (const line of waiting) this.#send(socket, line)
  }

  #send(socket: Socket, line: Buffer): void {
    this.#memory.noteSent(line)
    if (!socket.write(frame(line))) this.#options.input.pause()
  }

  #clearQueue(): void {
    this.#queue = []
    this.#queuedBytes = 0
    this.#options.input.resume()
  }

  #fromDaemon(socket: Socket, said: Buffer): void {
    if (isControl(said)) {
      const control = parseControl(said)
      if (control?.control === 'drain') this.#drain(socket, control.replacedBy)
      return
    }
    const { messages, line } = this.#memory.noteFromDaemon(said)
    const [message] = messages
    if (message?.kind === 'response' && this.#isReplayAnswer(socket, message)) return
    if (!this.#options.output.write(frame(line))) socket.pause()
    this.#answerDrain()
    this.#leaveIfDone()
  }

  /** The client saw the first answer to its `initialize`; later ones are for us. */
  #isReplayAnswer(socket: Socket, message: { id: Id; isError: boolean }): boolean {
    if (typeof message.id !== 'string' || !message.id.startsWith('mindglue-replay-')) return false
    if (this.#link.state !== 'greeting' || message.id !== this.#link.replayId) return true
    const handshake = this.#memory.handshake(this.#link.replayId)
    if (message.isError || handshake === undefined) {
      this.#options.warn('The new MindGlue daemon refused the session; restart this client.')
      socket.destroy()
      return true
    }
    for (const line of handshake.afterwards) socket.write(frame(line))
    this.#flush(socket)
    return true
  }

  #drain(socket: Socket, replacedBy: string | undefined): void {
    if (replacedBy !== undefined) this.#startNotBefore = Date.now() + replacementGraceMs
    this.#link = { state: 'draining', socket, hasAnswered: false }
    this.#answerDrain()
  }

  #answerDrain(): void {
    const link = this.#link
    if (link.state !== 'draining' || link.hasAnswered || this.#memory.hasInFlight()) return
    link.hasAnswered = true
    link.socket.write(frame(encodeControl({ control: 'drained' })))
  }

  #lost(socket: Socket): void {
    if (this.#socket() !== socket || this.#hasLeft) return
    this.#link = { state: 'none' }
    for (const id of this.#memory.abandonQuestions()) this.#cancelQuestion(id)
    for (const request of this.#memory.pending.values()) this.#refuseUnlessRepeatable(request)
    this.#leaveIfDone()
    if (this.#hasLeft) return
    // Nothing to ask and nothing to hear: a daemon that was stopped stays stopped until needed.
    const isNeeded =
      this.#memory.pending.size > 0 || this.#queue.length > 0 || this.#memory.needsDaemon()
    if (isNeeded) void this.#attach()
  }

  #refuseUnlessRepeatable(request: PendingRequest): void {
    const { id, sentCount, repeatable } = request
    if (sentCount === 0 || (repeatable && sentCount < sendsMax)) return
    const message = repeatable
      ? 'The MindGlue daemon stopped three times while it worked on this request.'
      : 'The MindGlue daemon stopped while it worked on this request, which may or may not have ' +
        'been done. Send it again; with an idempotency_key that is always safe.'
    this.#refuse(id, message, { code: 'unavailable', retryable: true, outcome: 'unknown' })
  }

  #cancelQuestion(requestId: Id): void {
    const params = { requestId, reason: 'The MindGlue daemon that asked has stopped.' }
    this.#say(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params }))
  }

  #say(line: string): void {
    if (!this.#options.output.write(frame(line))) this.#socket()?.pause()
  }

  /** The client closed its end; answers on their way still reach it. */
  #end(): void {
    this.#hasEnded = true
    this.#farewell = setTimeout(() => this.#leave(0), farewellMs)
    this.#leaveIfDone()
  }

  #leaveIfDone(): void {
    if (this.#hasEnded && !this.#memory.hasUnanswered()) this.#leave(0)
  }

  #leave(code: number): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    clearTimeout(this.#farewell)
    this.#options.input.pause()
    this.#socket()?.end()
    this.#exit(code)
  }
}

function deferredExit(): { promise: Promise<number>; resolve: (code: number) => void } {
  let resolve: (code: number) => void = () => undefined
  const promise = new Promise<number>((yes) => (resolve = yes))
  return { promise, resolve }
}
