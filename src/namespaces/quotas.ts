/** How much a namespace may hold: the job's estimate and what came since, against the plan. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import type { Principal } from '../principal.ts'
import { readUsage } from './namespaces.sql.ts'
import type { Plans } from './plans.ts'

/** Memories and bytes of their texts. */
export interface Size {
  readonly memories: number
  readonly bytes: number
}

export interface Quotas {
  /**
   * Throws AppError `quota_exceeded` when the transaction's namespace has no room for `more`. One row by
   * primary key, no lock: stores never wait for each other. Exact within a process; what other processes
   * stored within the last minute may be missing where no Redis carries the news, and its bytes always.
   */
  require(tx: NamespaceTransaction, plan: string, more: Size): Promise<void>
  /** To call when something was stored here, after its commit, or elsewhere, when it is heard. */
  stored(namespace: bigint, more: Size): void
}

/** What is remembered beside an estimate is gathered so coarsely, if much comes at once. */
const slotMs = 100
/** The job refreshes estimates every minute; what is older is in them, or its process has ended. */
const rememberedMs = 300_000

interface Slot {
  readonly beganAt: number
  /** When the last of it was stored: an estimate made later holds all of it. */
  at: number
  memories: number
  bytes: number
}

/** One for a process; `now` in milliseconds since the epoch, as the database's clock nearly shows. */
export function createQuotas(plans: Plans, now: () => number = Date.now): Quotas {
  const recent = new Map<bigint, Slot[]>()

  /** What came after the estimate; what came before is forgotten here. */
  const since = (namespace: bigint, countedAt: Date): Size => {
    const newer = (recent.get(namespace) ?? []).filter(({ at }) => at > countedAt.getTime())
    if (newer.length === 0) recent.delete(namespace)
    else recent.set(namespace, newer)
    return {
      memories: newer.reduce((sum, { memories }) => sum + memories, 0),
      bytes: newer.reduce((sum, { bytes }) => sum + bytes, 0),
    }
  }

  return {
    async require(tx, plan, more) {
      const bounds = plans.of(plan)
      if (bounds.memories === Infinity && bounds.bytes === Infinity) return
      const counted = await readUsage(tx)
      const added = since(tx.namespace, counted.countedAt)
      const memories = counted.memories + added.memories + more.memories
      const bytes = counted.bytes + added.bytes + more.bytes
      if (memories > bounds.memories) throw full(`${bounds.memories} memories`)
      if (bytes > bounds.bytes) throw full(`${bounds.bytes / 1_000_000} MB of text`)
    },
    stored(namespace, { memories, bytes }) {
      const at = now()
      const slots = recent.get(namespace) ?? []
      const last = slots.at(-1)
      if (last !== undefined && at < last.beganAt + slotMs) {
        last.at = at
        last.memories += memories
        last.bytes += bytes
      } else {
        slots.push({ beganAt: at, at, memories, bytes })
      }
      while ((slots[0]?.at ?? at) < at - rememberedMs) slots.shift()
      recent.set(namespace, slots)
    },
  }
}

/** Room that a transaction asks for; it counts when the transaction has committed. */
export function createRoom(quotas: Quotas | undefined, principal: Principal, plan: string) {
  let memories = 0
  let bytes = 0
  return {
    inTransaction: (tx: NamespaceTransaction): ((more: Size) => Promise<void>) => {
      memories = 0 // a transaction that is run again starts anew
      bytes = 0
      return async (more) => {
        memories += more.memories
        bytes += more.bytes
        // The operator may always restore what belongs there.
        if (principal.channel !== 'cli') await quotas?.require(tx, plan, { memories, bytes })
      }
    },
    taken: () => {
      // How many memories there are more is told to every process with their ids.
      if (bytes > 0) quotas?.stored(principal.namespace, { memories: 0, bytes })
    },
  }
}

function full(bound: string): AppError {
  return new AppError(
    'quota_exceeded',
    `This namespace is full: its plan allows ${bound}. Forget what is no longer needed, which makes room within a minute, or ask for a larger plan.`,
  )
}
