/** The protocol on a byte stream, both eras: standard input and output, or a client of the daemon. */
/* oxlint-disable unicorn/prefer-add-event-listener -- protocol servers and transports are no event targets */
import type { Readable, Writable } from 'node:stream'
import { isJSONRPCRequest, type JSONRPCMessage, type Transport } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { McpHost } from './host.ts'
import { withAllowedUris } from './http.ts'
import { subscribableUris } from './resources.ts'
import { createServerFactory, type ServerFactory } from './server.ts'
import { StreamTransport } from './stream-transport.ts'

export interface McpStream {
  readonly input: Readable
  /** Gets whole lines, each in one write. */
  readonly output: Writable
}

export interface McpStreamIdentity {
  readonly namespaceName: string
  readonly agent: string
}

export interface McpSession {
  /** Resolves when the client is gone or `close` was called, after running requests were answered. */
  readonly closed: Promise<void>
  /** Aborts running requests and stops reading; the streams themselves stay open. */
  close(): Promise<void>
}

/** Listen streams one connection may hold open. */
const subscriptionsMax = 64
const factories = new WeakMap<McpHost, ServerFactory>()

/** Definitions are made once per application, not once per client of the daemon. */
function factoryOf(host: McpHost): ServerFactory {
  const known = factories.get(host)
  if (known !== undefined) return known
  const factory = createServerFactory(host)
  factories.set(host, factory)
  return factory
}

/**
 * Serves one client. Its identity is settled by who connected, never by what it sends. Throws
 * AppError when the namespace cannot be opened.
 */
export async function serveMcpStream(
  host: McpHost,
  { input, output }: McpStream,
  identity: McpStreamIdentity,
): Promise<McpSession> {
  const principal = await host.principal({ ...identity, channel: 'stdio' })
  const stream = new StreamTransport(input, output)
  const allow = (uris: readonly string[]): Promise<string[]> =>
    subscribableUris(host, { principal, options: {} }, uris)
  const handle = serveStdio(
    ({ era }) => factoryOf(host).serverFor(principal, { era, isLasting: true }),
    { transport: guardListening(stream, allow), maxSubscriptions: subscriptionsMax },
  )
  return { closed: stream.closed, close: () => handle.close() }
}

/**
 * Lets a listen request through with those URIs only that its sender may watch. Messages keep their
 * order: what arrives while the URIs are checked waits.
 */
function guardListening(
  stream: StreamTransport,
  allow: (uris: readonly string[]) => Promise<string[]>,
): Transport {
  const guarded: Transport = {
    start: () => stream.start(),
    send: (message) => stream.send(message),
    close: () => stream.close(),
  }
  let waiting: Promise<void> | undefined
  const pass = (message: JSONRPCMessage): void => guarded.onmessage?.(message)
  const check = async (message: JSONRPCMessage): Promise<void> => {
    if (!isListen(message)) return pass(message)
    const allowed = await withAllowedUris(message, allow).catch(() =>
      withAllowedUris(message, none),
    )
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same message with a shorter list of strings
    return pass(allowed as JSONRPCMessage)
  }
  stream.onmessage = (message) => {
    if (waiting === undefined && !isListen(message)) return pass(message)
    const turn = (waiting ?? Promise.resolve()).then(() => check(message))
    waiting = turn
    void turn.finally(() => {
      if (waiting === turn) waiting = undefined
    })
    return undefined
  }
  stream.onerror = (error) => guarded.onerror?.(error)
  stream.onclose = () => guarded.onclose?.()
  return guarded
}

const none = (): Promise<string[]> => Promise.resolve([])

function isListen(message: JSONRPCMessage): boolean {
  return isJSONRPCRequest(message) && message.method === 'subscriptions/listen'
}
