/**
 * What a pipe remembers of its client's conversation, so that the next daemon can carry on: the
 * handshake, the subscriptions, and the requests that still wait for an answer.
 */
import { idKey, isRepeatable, isStanding, readMessages, type Id, type Message } from './json-rpc.ts'
import { createQuestions } from './questions.ts'

export interface PendingRequest {
  readonly id: Id
  readonly method: string
  /** As it came; a request out of a batch is kept alone. */
  readonly line: Buffer
  /** Asking twice is harmless. */
  readonly repeatable: boolean
  /** How often it was handed to a daemon. */
  sentCount: number
}

export interface SessionMemory {
  /** Unanswered requests, oldest first. */
  readonly pending: ReadonlyMap<string, PendingRequest>
  /**
   * True when the line is for the daemon that is here, even if it drains: an answer to its question, or a
   * notification, but for the cancellation of a request that it was never given. To ask before noting.
   */
  asksNothingNew(line: Buffer): boolean
  /** Remembers a line of the client; returns what to pass on, undefined when nothing. */
  noteFromClient(line: Buffer): Buffer | undefined
  /** Remembers a line of the daemon; returns what it holds, and the line for the client. */
  noteFromDaemon(line: Buffer): { readonly messages: readonly Message[]; readonly line: Buffer }
  noteSent(line: Buffer): void
  drop(id: Id): void
  /** Lines that give a new daemon the legacy session; empty without an answered `initialize`. */
  handshake(
    replayId: string,
  ): { readonly initialize: Buffer; readonly afterwards: readonly Buffer[] } | undefined
  /** Questions that died with their daemon; a late answer to them is not passed on. */
  abandonQuestions(): readonly Id[]
  /** Requests that a drain waits for: handed to the daemon, and not open on purpose. */
  hasInFlight(): boolean
  /** Requests whose answer the client still reads after it closed its own end. */
  hasUnanswered(): boolean
  /** Something of the client only a daemon can keep up: a subscription. */
  needsDaemon(): boolean
}

/** One per pipe. Bounded by what the client leaves unanswered. */
export function createSessionMemory(): SessionMemory {
  const pending = new Map<string, PendingRequest>()
  const session: {
    initialize?: Buffer
    isInitialized: boolean
    initialized?: Buffer
    level?: Buffer
  } = { isInitialized: false }
  const subscriptions = new Map<string, Buffer>()
  const questions = createQuestions()

  const noteRequest = (message: Message & { kind: 'request' }, line: Buffer): void => {
    const { id, method, params } = message
    pending.set(idKey(id), {
      id,
      method,
      line,
      repeatable: isRepeatable(method, params),
      sentCount: 0,
    })
    if (method === 'initialize') session.initialize = line
    if (method === 'logging/setLevel') session.level = line
    const uri = params.get('uri')
    if (typeof uri !== 'string') return
    if (method === 'resources/subscribe') subscriptions.set(uri, line)
    if (method === 'resources/unsubscribe') subscriptions.delete(uri)
  }

  const noteOne = (message: Message, line: Buffer): Buffer | undefined => {
    if (message.kind === 'request') noteRequest(message, line)
    if (message.kind === 'notification') {
      if (message.method === 'notifications/initialized') session.initialized = line
      const cancelled = cancelledId(message)
      if (cancelled !== undefined) pending.delete(idKey(cancelled))
    }
    return message.kind === 'response' ? questions.answer(message.id, line) : line
  }
  const noteFromServer = (message: Message, line: Buffer): Buffer => {
    if (message.kind === 'request') return questions.ask(message.id, line)
    if (message.kind === 'response') {
      const request = pending.get(idKey(message.id))
      if (request?.method === 'initialize' && !message.isError) session.isInitialized = true
      pending.delete(idKey(message.id))
    }
    const withdrawn = cancelledId(message)
    return withdrawn === undefined ? line : questions.withdraw(withdrawn, line)
  }

  const isOfPresent = (message: Message): boolean => {
    const cancelled = cancelledId(message)
    const request = cancelled === undefined ? undefined : pending.get(idKey(cancelled))
    return (
      message.kind === 'response' || (message.kind === 'notification' && request?.sentCount !== 0)
    )
  }

  return {
    pending,
    asksNothingNew(line) {
      const messages = readMessages(line)
      return messages.length > 0 && messages.every(isOfPresent)
    },
    noteFromClient(line) {
      const messages = readMessages(line)
      const [only] = messages
      if (only !== undefined && messages.length === 1) return noteOne(only, line)
      const parts: unknown[] = messages.length === 0 ? [] : splitBatch(line)
      for (const [at, message] of messages.entries()) {
        noteOne(message, Buffer.from(JSON.stringify(parts[at])))
      }
      return line
    },
    noteFromDaemon(line) {
      const messages = readMessages(line)
      const shown = messages.map((message) => noteFromServer(message, line))
      // Our server sends no batches, so a question is a line of its own.
      return { messages, line: shown.length === 1 ? (shown[0] ?? line) : line }
    },
    noteSent(line) {
      for (const message of readMessages(line)) {
        const request = message.kind === 'request' ? pending.get(idKey(message.id)) : undefined
        if (request !== undefined) request.sentCount++
      }
    },
    drop(id) {
      pending.delete(idKey(id))
    },
    handshake(replayId) {
      if (session.initialize === undefined || !session.isInitialized) return undefined
      const afterwards: Buffer[] = []
      if (session.initialized !== undefined) afterwards.push(session.initialized)
      if (session.level !== undefined) afterwards.push(renumber(session.level, `${replayId}-level`))
      for (const [uri, line] of subscriptions) afterwards.push(renumber(line, `${replayId}-${uri}`))
      return { initialize: renumber(session.initialize, replayId), afterwards }
    },
    abandonQuestions: () => questions.abandon(),
    hasInFlight: () =>
      [...pending.values()].some(({ method, sentCount }) => sentCount > 0 && !isStanding(method)),
    hasUnanswered: () => [...pending.values()].some(({ method }) => !isStanding(method)),
    needsDaemon: () =>
      subscriptions.size > 0 || [...pending.values()].some(({ method }) => isStanding(method)),
  }
}

/** The request that a message takes back. */
function cancelledId(message: Message): Id | undefined {
  if (message.kind !== 'notification' || message.method !== 'notifications/cancelled')
    return undefined
  const id = message.params.get('requestId')
  return typeof id === 'string' || typeof id === 'number' ? id : undefined
}

function splitBatch(line: Buffer): unknown[] {
  const value: unknown = JSON.parse(line.toString('utf8'))
  return Array.isArray(value) ? value : []
}

/** The same request under an id of our own, so that its answer can be told apart. */
function renumber(line: Buffer, id: string): Buffer {
  const value: unknown = JSON.parse(line.toString('utf8'))
  return Buffer.from(JSON.stringify({ ...(typeof value === 'object' ? value : {}), id }))
}
