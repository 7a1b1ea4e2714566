/** Erases what expired in bounded batches, memories and spent keys, in every namespace, while it is in use. */
import { listedIdsMax, recordEvent } from '../audit/events.ts'
import type { NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import { hasExpired } from '../memory/claims.sql.ts'
import { removeExpired, type RemovedExpired } from '../memory/remove.ts'
import { clearDue, dueBucketMs } from '../namespaces/due.sql.ts'
import type { Principal } from '../principal.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { dueNamespaces, settledBefore } from './due.ts'
import { jobPrincipal } from './job-principal.ts'
import { dropSpentKeys } from './spent-keys.ts'
import type { Job } from './runner.ts'

/** What a batch should take: its locks, and the embedded engine, are held that long. */
const batchMs = 100
const batchRows = { first: 1_000, least: 500, most: 5_000 }
/** A run ends after so many namespaces failed: then it is not theirs, and the next run tries again. */
const failuresMax = 10

export interface PurgeDependencies {
  readonly scope: NamespaceScope
  readonly metrics: Metrics
  /** Batches under way at once in this process. */
  readonly workers: number
}

export function purgeJob(dependencies: PurgeDependencies & { readonly everySeconds: number }): Job {
  return {
    name: 'purge',
    everySeconds: dependencies.everySeconds,
    run: async (signal) => {
      const now = new Date()
      const namespaces = await dueNamespaces(dependencies.scope, 'expiry', now)
      await purgeNamespaces(dependencies, namespaces, signal, settledBefore(now))
    },
  }
}

/** A namespace that is being purged. */
interface Backlog {
  readonly namespace: bigint
  /** How far the present pass over its expired memories has come; undefined: it begins. */
  from: Date | undefined
  /** It had a full batch: several workers may be at it. */
  isLarge: boolean
}

/** One run over all that is due; its workers share it. */
interface Run extends PurgeDependencies {
  /** In the order of their turns. */
  readonly waiting: Set<Backlog>
  readonly failures: unknown[]
  readonly settled: Date | undefined
  rows: number
  purged: number
}

/**
 * Purges namespaces until nothing in them is expired, a batch each in turn, so that a large one keeps no
 * other waiting. Each batch is a transaction of its own and may meet those of other processes: nothing is
 * purged twice. Due buckets until `settled` are forgotten where nothing is left. Returns how many memories
 * went; throws what failed first, after the others are done.
 */
export async function purgeNamespaces(
  dependencies: PurgeDependencies,
  namespaces: readonly bigint[],
  signal: AbortSignal,
  settled?: Date,
): Promise<number> {
  const waiting = new Set<Backlog>()
  for (const namespace of namespaces) waiting.add({ namespace, from: undefined, isLarge: false })
  const run: Run = {
    ...dependencies,
    waiting,
    failures: [],
    settled,
    rows: batchRows.first,
    purged: 0,
  }
  const turns = new Set<Promise<void>>()
  for (;;) {
    while (turns.size < run.workers && run.failures.length < failuresMax && !signal.aborted) {
      const [next] = waiting
      if (next === undefined) break
      waiting.delete(next)
      // Back in the line before its turn is over: another worker may join.
      if (next.isLarge) waiting.add(next)
      const turn: Promise<void> = takeTurn(run, next).finally(() => turns.delete(turn))
      turns.add(turn)
    }
    if (turns.size === 0) break
    await Promise.race(turns)
  }
  if (run.failures.length > 0) throw run.failures[0]
  return run.purged
}

/** One batch of one namespace, which then waits for its next turn or has nothing left. Never throws. */
async function takeTurn(run: Run, backlog: Backlog): Promise<void> {
  const began = performance.now()
  const { from } = backlog
  try {
    const batch = await purgeBatch(run, backlog.namespace, from)
    run.purged += batch.memories.length
    if (batch.isFull) {
      run.rows = nextRows(run.rows, performance.now() - began)
      backlog.isLarge = true
      const { last } = batch.expired ?? {}
      if (last && !(backlog.from && backlog.from > last)) backlog.from = last
      run.waiting.add(backlog)
    } else if (from === undefined) {
      run.waiting.delete(backlog)
    } else {
      // What others had locked or committed late lies before `from`: a pass ends where it began.
      backlog.from = undefined
      run.waiting.add(backlog)
    }
  } catch (error) {
    // The other namespaces go on; the run ends with this error, and the next run tries again.
    run.failures.push(error)
    run.waiting.delete(backlog)
  }
}

async function purgeBatch(
  { scope, metrics, rows, settled }: Run,
  namespace: bigint,
  from: Date | undefined,
): Promise<RemovedExpired> {
  const principal = jobPrincipal(namespace)
  // Meeting a forget of the same lineages it may be chosen to end a deadlock: then it runs once more.
  const batch = await scope.withJob(principal, { retryable: true }, async (tx) => {
    const removed = await removeExpired(tx, rows, from)
    await recordPurge(tx, principal, removed)
    const isLast = !removed.isFull && from === undefined
    // What a full batch of spent keys leaves has its turn in the next run: it stays due.
    if (isLast && (await dropSpentKeys(tx)) && settled) await forgetDue(tx, settled)
    return removed
  })
  if (batch.expired) {
    const lagMs = Date.now() - batch.expired.first.getTime()
    metrics.purged(batch.memories.length, Math.max(0, lagMs) / 1000)
  }
  return batch
}

/** An event lists only so many ids, and every erased memory is listed. */
async function recordPurge(
  tx: NamespaceTransaction,
  principal: Principal,
  { memories }: RemovedExpired,
): Promise<void> {
  for (let start = 0; start < memories.length; start += listedIdsMax) {
    const listed = memories.slice(start, start + listedIdsMax)
    const versions = listed.reduce((sum, memory) => sum + memory.versions, 0)
    await recordEvent(tx, principal, 'purge', 'ok', {
      resourceIds: listed.map((memory) => memory.id),
      counts: { memories: listed.length, versions },
    })
  }
}

/** Not while anything is left: another process may hold it locked, and may fail. */
async function forgetDue(tx: NamespaceTransaction, settled: Date): Promise<void> {
  const endOfBucket = new Date(settled.getTime() + dueBucketMs)
  if (!(await hasExpired(tx, endOfBucket))) await clearDue(tx, 'expiry', settled)
}

/** Bigger while a batch is quicker than it may be, smaller when it is slower. */
function nextRows(rows: number, tookMs: number): number {
  const factor = Math.min(2, Math.max(0.5, batchMs / tookMs))
  return Math.min(batchRows.most, Math.max(batchRows.least, Math.round(rows * factor)))
}
