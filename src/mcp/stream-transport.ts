/** JSON-RPC messages as lines of a byte stream: bounded, with an answer to what is no message. */
import type { Readable, Writable } from 'node:stream'
import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  parseJSONRPCMessage,
  type JSONRPCMessage,
  type Transport,
} from '@modelcontextprotocol/server'
import { parseJson } from '../json.ts'
import { rpcCode } from './json-rpc-response.ts'

/** Longest line: the largest batch of memories, escaped, fits several times. */
const lineBytesMax = 16 * 1024 * 1024
/** Answers waiting to be read by the client before its next requests wait as well. */
const outputBytesMax = 8 * 1024 * 1024
/** Longest wait for running requests after the client closed its side. */
const drainMs = 10_000
const newline = 0x0a

/**
 * A transport over any pair of streams. When the input ends, running requests are still answered
 * (at most 10 s), then the transport closes. It ends neither stream: their owner does.
 */
export class StreamTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  /** Resolves once the transport is closed, from either side. */
  readonly closed: Promise<void>

  readonly #input: Readable
  readonly #output: Writable
  readonly #pending = new Set<string | number>()
  #chunks: Buffer[] = []
  #bufferedBytes = 0
  #isSkipping = false
  #isClosed = false
  #drainTimer: NodeJS.Timeout | undefined
  #resolveClosed: () => void = () => undefined

  constructor(input: Readable, output: Writable) {
    this.#input = input
    this.#output = output
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  start(): Promise<void> {
    this.#input.on('data', this.#onData)
    this.#input.on('end', this.#onEnd)
    this.#input.on('close', this.#onEnd)
    this.#input.on('error', this.#onInputError)
    this.#output.on('error', this.#onOutputError)
    this.#output.on('drain', this.#onDrain)
    if (this.#input.readableEnded || this.#input.destroyed) setImmediate(this.#onEnd)
    return Promise.resolve()
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error('The connection is closed'))
    this.#write(message)
    if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) {
      if (message.id !== undefined) this.#pending.delete(message.id)
      this.#closeWhenDrained()
    }
    return Promise.resolve()
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#isClosed = true
    clearTimeout(this.#drainTimer)
    this.#input.off('data', this.#onData)
    this.#input.off('end', this.#onEnd)
    this.#input.off('close', this.#onEnd)
    this.#output.off('drain', this.#onDrain)
    // The error listeners stay: a late failure of a stream we no longer use must not end the process.
    this.#input.pause()
    this.#chunks = []
    this.onclose?.()
    this.#resolveClosed()
    return Promise.resolve()
  }

  /** One message, one write: whoever shares the output adds whole lines between ours. */
  #write(message: object): void {
    this.#output.write(`${JSON.stringify(message)}\n`)
    if (this.#output.writableLength > outputBytesMax) this.#input.pause()
  }

  readonly #onData = (chunk: Buffer | string): void => {
    let rest = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    for (;;) {
      const end = rest.indexOf(newline)
      if (end === -1) break
      this.#append(rest.subarray(0, end))
      this.#line()
      if (this.#isClosed) return
      rest = rest.subarray(end + 1)
    }
    this.#append(rest)
  }

  #append(bytes: Buffer): void {
    if (this.#isSkipping || bytes.length === 0) return
    this.#bufferedBytes += bytes.length
    if (this.#bufferedBytes > lineBytesMax) {
      this.#isSkipping = true
      this.#chunks = []
    } else this.#chunks.push(bytes)
  }

  #line(): void {
    const isTooLong = this.#isSkipping
    const text = isTooLong ? '' : Buffer.concat(this.#chunks).toString('utf8').trim()
    this.#chunks = []
    this.#bufferedBytes = 0
    this.#isSkipping = false
    if (isTooLong) this.#refuse(null, rpcCode.invalidRequest, 'The message is too long')
    else if (text !== '') this.#receive(text)
  }

  #receive(text: string): void {
    let value: unknown
    try {
      value = parseJson(text)
    } catch {
      this.#refuse(null, rpcCode.parseError, 'Parse error: the line is not valid JSON')
      return
    }
    let message: JSONRPCMessage
    try {
      message = parseJSONRPCMessage(value)
    } catch {
      // A broken answer gets no answer: two peers would go on refusing each other for ever.
      if (!isAnswer(value)) this.#refuse(idOf(value), rpcCode.invalidRequest, 'Invalid request')
      return
    }
    if (isJSONRPCRequest(message)) this.#pending.add(message.id)
    else if ('method' in message && message.method === 'notifications/cancelled') {
      // Cancelled requests are never answered.
      const cancelled: unknown = message.params?.['requestId']
      if (typeof cancelled === 'string' || typeof cancelled === 'number') {
        this.#pending.delete(cancelled)
      }
    }
    this.onmessage?.(message)
  }

  #refuse(id: string | number | null, code: number, message: string): void {
    this.#write({ jsonrpc: '2.0', id, error: { code, message } })
  }

  readonly #onEnd = (): void => {
    if (this.#isClosed || this.#drainTimer !== undefined) return
    this.#drainTimer = setTimeout(() => void this.close(), drainMs)
    this.#closeWhenDrained()
  }

  #closeWhenDrained(): void {
    if (this.#drainTimer !== undefined && this.#pending.size === 0) void this.close()
  }

  readonly #onInputError = (error: Error): void => {
    this.onerror?.(error)
    void this.close()
  }

  /** EPIPE and the like: nobody reads any more. */
  readonly #onOutputError = (error: Error): void => {
    if (!this.#isClosed) this.onerror?.(error)
    void this.close()
  }

  readonly #onDrain = (): void => {
    if (!this.#isClosed) this.#input.resume()
  }
}

function isAnswer(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('result' in value || 'error' in value)
}

function idOf(value: unknown): string | number | null {
  if (typeof value !== 'object' || value === null || !('id' in value)) return null
  const { id } = value
  return typeof id === 'string' || typeof id === 'number' ? id : null
}
