/** Which memories changed, told to listeners of this process and, over Redis, of every other one. Ids only. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { RedisBus } from '../database/redis.ts'

export interface MemoryChange {
  readonly namespace: bigint
  readonly memoryIds: readonly string[]
  readonly action: 'stored' | 'forgotten'
  /** Agents that may know, besides administrators; undefined: every agent of the namespace. */
  readonly audience?: readonly string[]
}

export interface Changes {
  publish(change: MemoryChange): void
  /** Returns the end of the subscription. */
  onChange(listener: (change: MemoryChange) => void): () => void
}

const channel = 'mindglue:changes'
const messageSchema = z.object({
  from: z.string(),
  namespace: z.string(),
  memoryIds: z.array(z.string()),
  action: z.enum(['stored', 'forgotten']),
  audience: z.array(z.string()).optional(),
})
/** Most ids that are told to other processes: more than anybody subscribes to. */
export const changeIdsMax = 500

/** `bus` is undefined without Redis: then the listeners of this process are all there are. */
export async function openChanges(bus: RedisBus | undefined): Promise<Changes> {
  const listeners = new Set<(change: MemoryChange) => void>()
  const tell = (change: MemoryChange): void => {
    for (const listener of listeners) listener(change)
  }
  const self = randomUUID()
  await bus?.subscribe(channel, (text) => {
    const parsed = messageSchema.safeParse(JSON.parse(text))
    if (!parsed.success || parsed.data.from === self) return
    const { namespace, memoryIds, action, audience } = parsed.data
    tell({ namespace: BigInt(namespace), memoryIds, action, ...(audience && { audience }) })
  })
  return {
    publish: (change) => {
      tell(change)
      const { namespace, action, memoryIds, audience } = change
      const message = {
        from: self,
        namespace: `${namespace}`,
        action,
        memoryIds: memoryIds.slice(0, changeIdsMax),
        audience,
      }
      bus?.publish(channel, JSON.stringify(message))
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
