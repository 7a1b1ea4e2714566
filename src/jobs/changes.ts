/** Which memories changed, told to listeners of this process and, over Redis, of every other one. Ids only. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { openRedis, type RedisBus } from '../database/redis.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface MemoryChange {
  readonly namespace: bigint
  readonly memoryIds: readonly string[]
  readonly action: 'stored' | 'forgotten'
}

export interface Changes {
  publish(change: MemoryChange): void
  /** Returns the end of the subscription. */
  onChange(listener: (change: MemoryChange) => void): () => void
  /** Undefined without Redis. */
  readonly bus: RedisBus | undefined
  close(): Promise<void>
}

const channel = 'mindglue:changes'
const messageSchema = z.object({
  from: z.string(),
  namespace: z.string(),
  memoryIds: z.array(z.string()),
  action: z.enum(['stored', 'forgotten']),
})
/** Most ids that are told to other processes: more than anybody subscribes to. */
export const changeIdsMax = 500

/** Throws `unavailable` when a configured Redis cannot be reached at start. */
export async function openChanges(
  redisUrl: string | undefined,
  log: Log,
  metrics: Metrics,
): Promise<Changes> {
  const listeners = new Set<(change: MemoryChange) => void>()
  const tell = (change: MemoryChange): void => {
    for (const listener of listeners) listener(change)
  }
  const self = randomUUID()
  const bus =
    redisUrl === undefined
      ? undefined
      : await openRedis(
          redisUrl,
          channel,
          (text) => {
            const parsed = messageSchema.safeParse(JSON.parse(text))
            if (!parsed.success || parsed.data.from === self) return
            const { namespace, memoryIds, action } = parsed.data
            tell({ namespace: BigInt(namespace), memoryIds, action })
          },
          (error) => {
            metrics.failure('redis')
            log.warn('redis failed', { component: 'redis', error })
          },
        )
  return {
    publish: (change) => {
      tell(change)
      const { namespace, action, memoryIds } = change
      const message = {
        from: self,
        namespace: `${namespace}`,
        action,
        memoryIds: memoryIds.slice(0, changeIdsMax),
      }
      bus?.publish(channel, JSON.stringify(message))
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    bus,
    close: async () => {
      await bus?.close()
    },
  }
}
