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
/** Most ids that are told to other processes; a list as long as this stands for the whole namespace. */
export const changeIdsMax = 500
const messageSchema = z.object({
  from: z.string(),
  namespace: z.string().regex(/^\d{1,19}$/u),
  memoryIds: z.array(z.string()).max(changeIdsMax),
  action: z.enum(['stored', 'forgotten']),
  audience: z.array(z.string()).optional(),
})

/**
 * `bus` is undefined without Redis: then the listeners of this process are all there are. `onUnknown` is told
 * of a message that is none of ours, which is ignored: whoever else writes to that Redis must not end us.
 */
export async function openChanges(
  bus: RedisBus | undefined,
  onUnknown: () => void = () => undefined,
): Promise<Changes> {
  const listeners = new Set<(change: MemoryChange) => void>()
  const tell = (change: MemoryChange): void => {
    for (const listener of listeners) listener(change)
  }
  const self = randomUUID()
  await bus?.subscribe(channel, (text) => {
    const message = readMessage(text)
    if (message === undefined) return onUnknown()
    const { from, namespace, memoryIds, action, audience } = message
    if (from === self) return undefined
    tell({ namespace: BigInt(namespace), memoryIds, action, ...(audience && { audience }) })
    return undefined
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

function readMessage(text: string): z.output<typeof messageSchema> | undefined {
  try {
    return messageSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
