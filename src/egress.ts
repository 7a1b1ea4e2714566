/** The only way out: one HTTP request with a deadline, a size limit and no redirects. */
import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
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
  /** Connects to addresses of the internet alone: for a url that a stranger chose. */
  readonly isPublicOnly?: boolean
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** One pool for the process; sockets are closed when idle for four seconds and never keep it alive. */
let agent: Dispatcher | undefined
let publicAgent: Dispatcher | undefined

/**
 * Sends one request and reads the whole answer, whatever its status. A redirect is an answer like
 * any other and is not followed. Throws AppError `timeout`, `unavailable` (no connection, connection
 * lost, answer too large) or the signal's reason; the url and the bodies are in none of them.
 */
export async function send(outgoing: OutgoingRequest): Promise<Answer> {
  const { url, method = 'GET', headers = {}, body, timeoutMs, answerBytesMax, signal } = outgoing
  const { isPublicOnly = false } = outgoing
  const deadline = AbortSignal.timeout(timeoutMs)
  // Loaded here: a process that asks nobody would pay more for it than for a bare Node's start.
  const { Agent, request } = await import('undici')
  const pool = { connections: 32, pipelining: 1, maxHeaderSize: 16 * 1024 }
  agent ??= new Agent(pool)
  publicAgent ??= new Agent({ ...pool, connect: { lookup: publicLookup } })
  try {
    if (isPublicOnly) refusePrivateLiteral(url)
    const response = await request(url, {
      method,
      headers: { ...headers },
      body: body ?? null,
      dispatcher: isPublicOnly ? publicAgent : agent,
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

/** Special-purpose addresses (IANA registries of RFC 6890), multicast and what is reserved. */
const privateIPv4 = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  privateIPv4.addSubnet(network, bits)
}
/** The only part of IPv6 that is given out (RFC 4291 §2.4), and what in it is not for hosts of the internet. */
const globalIPv6 = new BlockList()
globalIPv6.addSubnet('2000::', 3, 'ipv6')
const privateIPv6 = new BlockList()
for (const [network, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
] as const) {
  privateIPv6.addSubnet(network, bits, 'ipv6')
}

/** False for an address of this machine, of a private network, or of no machine; and for what is none. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !privateIPv4.check(address)
  return family === 6 && globalIPv6.check(address, 'ipv6') && !privateIPv6.check(address, 'ipv6')
}

class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress'
}

/** What is looked up is what is connected to: no second answer of a name server gets a chance. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, '')
    const [first] = found
    const isPublic = found.every(({ address }) => isPublicAddress(address))
    if (first === undefined || !isPublic) return callback(new PrivateAddress(), '')
    return options.all === true
      ? callback(null, found)
      : callback(null, first.address, first.family)
  })
}

/** An address in a url is not looked up. */
function refusePrivateLiteral(url: string | URL): void {
  const host = new URL(url).hostname.replace(/^\[(?<address>.*)\]$/u, '$<address>')
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw new PrivateAddress()
}
