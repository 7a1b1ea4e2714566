/** Redis or Valkey: tells the other processes what changed. Holds nothing that must survive. */
import { AppError } from '../errors.ts'

/** A command that has no answer by then counts as lost: Redis is never worth a request's time. */
const commandTimeoutMs = 1_000
const connectTimeoutMs = 3_000
const reconnectMsMax = 2_000

export interface RedisBus {
  /** Throws `unavailable` when Redis does not answer. */
  ping(): Promise<void>
  /** Sends to every other subscriber; losing a message while Redis is away is allowed. */
  publish(channel: string, message: string): void
  /** Gets what others publish on `channel`, and our own messages too; also after a reconnect. */
  subscribe(channel: string, onMessage: (message: string) => void): Promise<void>
  close(): Promise<void>
}

/** Connects once before it returns; afterwards it reconnects by itself, and the program works without it. */
export async function openRedis(
  url: string,
  onFailure: (error: unknown) => void,
): Promise<RedisBus> {
  const options = {
    lazyConnect: true,
    // Commands fail at once while Redis is away; the default queues them without end.
    enableOfflineQueue: false,
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) => Math.min(attempt * 100, reconnectMsMax),
  }
  // Loaded here: most processes have no Redis, and loading it costs them more than a bare Node's start.
  const { Redis } = await import('ioredis')
  const sender = new Redis(url, options)
  const receiver = new Redis(url, { ...options, autoResubscribe: true })
  for (const client of [sender, receiver]) client.on('error', onFailure)
  const handlers = new Map<string, (message: string) => void>()
  receiver.on('message', (channel: string, message: string) => handlers.get(channel)?.(message))
  try {
    await Promise.all([sender.connect(), receiver.connect()])
  } catch (error) {
    sender.disconnect()
    receiver.disconnect()
    throw new AppError(
      'unavailable',
      'REDIS_URL is set and no Redis answers there. Start it, or unset REDIS_URL for one process.',
      { cause: error },
    )
  }
  return {
    ping: async () => {
      await sender.ping()
    },
    publish: (on, message) => {
      sender.publish(on, message).catch(onFailure)
    },
    subscribe: async (channel, onMessage) => {
      handlers.set(channel, onMessage)
      await receiver.subscribe(channel)
    },
    close: async () => {
      await Promise.allSettled([sender.quit(), receiver.quit()])
    },
  }
}
