/**
 * Operations for the person at this computer: one JSON line asks, lines with the same id answer.
 * Whoever reaches the socket (0600) or runs this process is the operating-system user who owns the
 * data, so every scope is theirs; MCP clients are served by another protocol.
 */
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { z } from 'zod'
import { AppError, toAppError, type ErrorCode } from '../errors.ts'
import type { Execute, ExecuteOptions } from '../execute.ts'
import type { Operation } from '../operation.ts'
import type { Operations } from '../operations.ts'
import type { Channel, Principal } from '../principal.ts'
import { createLineSplitter, frame, lineBytesMax } from './framing.ts'
import { upkeepCommand, type UpkeepCommands, type UpkeepHost } from './operator-commands.ts'
import type { DaemonSession } from './reception.ts'

/** What this needs from the application; `App` has this shape. */
export interface OperatorHost extends UpkeepHost {
  readonly execute: Execute
  readonly operations: Operations
  principal(request: {
    readonly namespaceName: string
    readonly agent: string
    readonly channel: Channel
  }): Promise<Principal>
}

export interface OperatorIdentity {
  readonly namespaceName: string
  readonly agent: string
}

/** Name → input and output: every operation, and what only an operator may ask. */
export type OperatorCommands = {
  readonly [Name in keyof Operations]: {
    readonly input: z.input<Operations[Name]['input']>
    readonly output: z.output<Operations[Name]['output']>
  }
} & UpkeepCommands
export type OperatorCommand = keyof OperatorCommands

/** One line from the operator. */
export interface OperatorRequest {
  readonly id: number
  readonly operation: string
  readonly input: unknown
}

export type OperatorReply = { readonly id: number } & (
  | { readonly progress: { readonly done: number; readonly total?: number } }
  | { readonly output: unknown }
  | { readonly error: OperatorError }
)

export interface OperatorError {
  readonly code: ErrorCode
  readonly message: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly retryAfterSeconds?: number
}

const requestLine = z.strictObject({
  id: z.int().min(0),
  operation: z.string().max(64),
  input: z.unknown(),
})
/**
 * Runs one command with every scope on channel `cli`, whatever process it happens in. Throws only
 * AppError: `unsupported` for a name that is no command, besides what the command throws.
 */
export async function operate(
  host: OperatorHost,
  identity: OperatorIdentity,
  { operation: name, input }: Pick<OperatorRequest, 'operation' | 'input'>,
  options: ExecuteOptions = {},
): Promise<unknown> {
  try {
    const principal = await host.principal({ ...identity, channel: 'cli' })
    const command = upkeepCommand(name, host)
    if (command !== undefined) return await command(principal, input, options)
    if (!isOperation(host.operations, name)) {
      throw new AppError('unsupported', `This MindGlue knows no command ${JSON.stringify(name)}.`)
    }
    const operation: Operation = host.operations[name]
    return await host.execute(operation, principal, input, options)
  } catch (error) {
    throw toAppError(error)
  }
}

function isOperation(operations: Operations, name: string): name is keyof Operations {
  return Object.hasOwn(operations, name)
}

/**
 * Serves one operator on a stream of lines, one request at a time: what follows waits unread.
 * Throws AppError when the namespace cannot be opened.
 */
export async function serveOperator(
  host: OperatorHost,
  { input, output }: { readonly input: Readable; readonly output: Writable },
  identity: OperatorIdentity,
): Promise<DaemonSession> {
  await host.principal({ ...identity, channel: 'cli' })
  const stop = new AbortController()
  const { signal } = stop
  const say = async (reply: OperatorReply): Promise<void> => {
    if (signal.aborted || output.destroyed) return
    if (output.write(frame(boundedLine(reply)))) return
    // Aborted when the operator is gone: then nobody reads and nothing drains.
    await once(output, 'drain', { signal }).catch(() => undefined)
  }
  const answer = async (line: Buffer): Promise<void> => {
    const request = parseRequest(line)
    if (request === undefined) {
      const message = 'The line is no request of this protocol.'
      return await say({ id: 0, error: { code: 'invalid_input', message } })
    }
    const { id } = request
    const onProgress = (done: number, total?: number): void =>
      void say({ id, progress: { done, ...(total !== undefined && { total }) } })
    try {
      const result = await operate(host, identity, request, { signal, onProgress })
      await say({ id, output: result })
    } catch (error) {
      await say({ id, error: encodeError(toAppError(error)) })
    }
  }
  let isClosed: () => void = () => undefined
  const ended = new Promise<void>((resolve) => (isClosed = resolve))
  let tail = Promise.resolve()
  let waiting = 0
  const inTurn = async (before: Promise<void>, line: Buffer): Promise<void> => {
    await before
    await answer(line)
    waiting -= 1
    if (waiting === 0) input.resume()
  }
  const take = (line: Buffer): void => {
    waiting += 1
    input.pause()
    tail = inTurn(tail, line)
  }
  const splitter = createLineSplitter(() => stop.abort())
  signal.addEventListener('abort', isClosed, { once: true })
  output.once('close', () => stop.abort())
  input.on('end', isClosed).on('close', isClosed)
  input.on('data', (chunk: Buffer) => {
    if (!signal.aborted) for (const line of splitter.push(chunk)) take(line)
  })
  const closed = ended.then(() => tail)
  return {
    closed,
    close: async () => {
      stop.abort()
      await closed
    },
  }
}

function parseRequest(line: Buffer): OperatorRequest | undefined {
  try {
    return requestLine.parse(JSON.parse(line.toString('utf8')))
  } catch {
    return undefined
  }
}

/** The other side drops a connection over a longer line, so it is told in a short one. */
function boundedLine(reply: OperatorReply): string {
  const line = JSON.stringify(reply)
  if (Buffer.byteLength(line) <= lineBytesMax) return line
  const message = 'The answer is larger than 16 MiB; ask for less at a time.'
  return JSON.stringify({ id: reply.id, error: { code: 'payload_too_large', message } })
}

function encodeError(error: AppError): OperatorError {
  const { code, publicMessage: message, details, retryAfterSeconds } = error
  return {
    code,
    message,
    ...(details !== undefined && { details }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  }
}
