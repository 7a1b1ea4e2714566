/** Whether the configured Redis answers: at the start, and each time readiness is asked for. */
import { Redis } from 'ioredis'
import { AppError } from '../errors.ts'
import type { Check } from './health.ts'

/** Far above a healthy answer, below the limit of a readiness probe. */
const answerMsMax = 2000

export interface RedisProbe {
  /** Never rejects. */
  check(): Promise<Check>
  close(): void
}

/**
 * Connects once. Throws AppError `misconfigured` when Redis does not answer: a configured server that
 * cannot be used stops the start. Later it reconnects by itself, and `check` tells the truth meanwhile.
 */
export async function openRedisProbe(url: string): Promise<RedisProbe> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: answerMsMax,
    commandTimeout: answerMsMax,
    // Off, since a queued command waits for as long as the server is gone (25 s and more were seen).
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(attempt * 200, 5000),
  })
  // Without a listener the driver prints the error, address included.
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    await redis.ping()
  } catch (cause) {
    redis.disconnect()
    throw new AppError(
      'misconfigured',
      'Redis does not answer. Check REDIS_URL and that the server runs, or unset it to work without.',
      { cause },
    )
  }
  return {
    async check() {
      try {
        await redis.ping()
        return { name: 'redis', ok: true }
      } catch {
        // Lost: why. The reading itself is the alarm, and the driver is connecting again already.
        return { name: 'redis', ok: false, detail: 'no answer' }
      }
    },
    close: () => redis.disconnect(),
  }
}
