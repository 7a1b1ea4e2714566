/** A connection to Redis for small scripts in the way of a request: an answer at once, or none. */
import { Redis } from 'ioredis'
import { AppError } from '../errors.ts'

/** Ten times what a script takes on a busy machine; a request waits no longer for a hung Redis. */
const commandTimeoutMs = 100
const connectTimeoutMs = 1000
/** Often, and the same for every process: they come back together. */
const reconnectMs = 150

export interface RedisScript {
  readonly text: string
  /** SHA-1 of the text. */
  readonly sha: string
}

export interface RedisScripts {
  /** False while there is no connection: a script would fail at once. */
  isReady(): boolean
  /** Runs a script by its digest, with its text where Redis has forgotten it. In the order of the calls. */
  run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown>
  close(): void
}

/**
 * Connects once before it returns, then by itself; throws `unavailable` when there is nobody at first.
 * `onReconnect` is called when a lost connection is back, before anything is sent over it.
 */
export async function openRedisScripts(
  url: string,
  onReconnect: () => void,
  onFailure: (error: unknown) => void,
): Promise<RedisScripts> {
  const client = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 0,
    // What was sent and not answered is decided without Redis: sending it again would count it twice.
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => reconnectMs,
  })
  client.on('error', onFailure)
  try {
    await client.connect()
  } catch (cause) {
    client.disconnect()
    throw new AppError('unavailable', 'REDIS_URL is set and no Redis answers there.', { cause })
  }
  client.on('ready', onReconnect)
  return {
    isReady: () => client.status === 'ready',
    run: async (script, keys, args) => {
      try {
        return await client.evalsha(script.sha, keys.length, ...keys, ...args)
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
        return await client.eval(script.text, keys.length, ...keys, ...args)
      }
    },
    close: () => client.disconnect(),
  }
}
