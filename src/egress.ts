/** The only way out: one HTTP request with a deadline, a size limit and no redirects. */
import type { Dispatcher } from 'undici'
import { AppError } from './errors.ts'

export interface OutgoingRequest {
  readonly url: string | URL
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** From the call to the last byte of the answer. */
  readonly timeoutMs: number
  readonly answerBytesMax: number
  readonly signal?: AbortSignal | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** One pool for the process; sockets are closed when idle for four seconds and never keep it alive. */
let agent: Dispatcher | undefined

/**
 * Sends one request and reads the whole answer, whatever its status. A redirect is an answer like
 * any other and is not followed. Throws AppError `timeout`, `unavailable` (no connection, connection
 * lost, answer too large) or the signal's reason; the url and the bodies are in none of them.
 */
export async function send(outgoing: OutgoingRequest): Promise<Answer> {
  const { url, method = 'GET', headers = {}, body, timeoutMs, answerBytesMax, signal } = outgoing
  const deadline = AbortSignal.timeout(timeoutMs)
  // Loaded here: a process that asks nobody would pay more for it than for a bare Node's start.
  const { Agent, request } = await import('undici')
  agent ??= new Agent({ connections: 32, pipelining: 1, maxHeaderSize: 16 * 1024 })
  try {
    const response = await request(url, {
      method,
      headers: { ...headers },
      body: body ?? null,
      dispatcher: agent,
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    })
    return {
      status: response.statusCode,
      headers: response.headers,
      body: await readBody(response.body, answerBytesMax),
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    if (error instanceof AppError) throw error
    if (deadline.aborted) {
      throw new AppError('timeout', 'A service we asked took too long; try again.', {
        cause: error,
      })
    }
    throw new AppError('unavailable', 'A service we asked cannot be reached; try again later.', {
      cause: error,
    })
  }
}

/** Stops reading, and drops the connection, at the first chunk beyond the limit. */
async function readBody(body: AsyncIterable<Buffer>, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > bytesMax) {
      throw new AppError('unavailable', 'A service we asked sent too large an answer.', {
        details: { answerBytesMax: bytesMax },
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}
