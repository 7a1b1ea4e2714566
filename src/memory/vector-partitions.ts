/** Gives a large namespace a partition with an approximate index while it serves, and takes it away again. */
import { setTimeout as delay } from 'node:timers/promises'
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import type { Principal } from '../principal.ts'
import {
  buildPartition,
  dropPartition,
  lastVector,
  mendPartition,
  openPartition,
  openWriters,
  partitionStatus,
  type PartitionStatus,
} from './vector-partitions.sql.ts'

export interface PartitionLimits {
  /** More vectors than this: the namespace gets a partition. */
  readonly promoteAbove: number
  /** Fewer than this: it goes. Far below the other, so that a namespace does not go back and forth. */
  readonly demoteBelow: number
}

/** Up to here the exact scan takes about as long as the index, and misses nothing (docs/decisions/0030-vector-partitions.md). */
export const partitionLimits: PartitionLimits = { promoteAbove: 20_000, demoteBelow: 10_000 }

/** What a run ended with; `waiting`: the next run goes on. */
export type PartitionOutcome = 'unchanged' | 'promoted' | 'demoted' | 'waiting'

export type PartitionStep = 'dropped' | 'built' | 'settled' | 'mended' | 'opened'

export interface PartitionRun {
  readonly scope: NamespaceScope
  /** Sees all of its namespace; a job's (jobs/job-principal.ts). */
  readonly principal: Principal
  readonly signal: AbortSignal
  /** Told after each step has been committed; what it throws ends the run there. */
  readonly onStep?: (step: PartitionStep) => void
}

/** Documents that one transaction compares: some 50 ms. */
const mendedPerStep = 20_000
/** An hour: a million vectors take minutes on two cores. */
const buildTimeoutMs = 3_600_000
const settleMs = 20_000
const settlePollMs = 50

/**
 * Brings one namespace to the state its size asks for. Every step is one transaction and leaves a state
 * that the next run, in any process, goes on from; searches are exact until the last one is committed.
 * Two runs at once do no harm: one builds, and mending twice changes nothing.
 */
export async function maintainPartition(
  run: PartitionRun,
  limits: PartitionLimits,
): Promise<PartitionOutcome> {
  const { state, isWanted, isSuperfluous } = await run.scope.withJob(
    run.principal,
    { readOnly: true },
    async (tx) => judge(tx, limits),
  )
  const hasDropped = isSuperfluous && (await demotePartition(run))
  if (!isWanted) return hasDropped ? 'demoted' : 'unchanged'
  if (state === 'ready') return 'unchanged'
  if (state === undefined && !(await build(run))) return 'waiting'
  return (await fill(run)) ? 'promoted' : 'waiting'
}

/** True when `maintainPartition` would change something. Always false on the embedded engine. */
export async function needsMaintenance(
  tx: NamespaceTransaction,
  limits: PartitionLimits,
): Promise<boolean> {
  if (tx.dialect.engine === 'embedded') return false
  const { state, isWanted, isSuperfluous } = await judge(tx, limits)
  return isSuperfluous || (isWanted && state !== 'ready')
}

interface Verdict {
  readonly state: PartitionStatus['state']
  readonly isWanted: boolean
  /** A table is there that is not wanted, or that was given up and has to make room for a new one. */
  readonly isSuperfluous: boolean
}

/** What has a partition keeps it until it is well below the size that gave it one. */
async function judge(tx: NamespaceTransaction, limits: PartitionLimits): Promise<Verdict> {
  const status = await partitionStatus(tx, limits.demoteBelow, limits.promoteAbove)
  const { state, isThere, isPossible, hasMoreThanLow, hasMoreThanHigh } = status
  const isWanted = state === undefined ? isPossible && hasMoreThanHigh : hasMoreThanLow
  return { state, isWanted, isSuperfluous: isThere && (state === undefined || !isWanted) }
}

/**
 * Takes a namespace's partition away, in a short transaction of its own; searches are exact from its
 * commit on. For a namespace that shrank, and before one is deleted. False when there was none.
 * Throws `unavailable` when searches of other namespaces held the lock: call it again.
 */
export async function demotePartition(
  run: Pick<PartitionRun, 'scope' | 'principal' | 'onStep'>,
): Promise<boolean> {
  const dropped = await run.scope.withJob(run.principal, {}, async (tx) => {
    if (!(await dropPartition(tx))) return false
    await recordEvent(tx, run.principal, 'vectors.demote', 'ok', {})
    return true
  })
  if (dropped) run.onStep?.('dropped')
  return dropped
}

async function build({ scope, principal, signal, onStep }: PartitionRun): Promise<boolean> {
  const options = { statementTimeoutMs: buildTimeoutMs, signal }
  const copied = await scope.withJob(principal, options, buildPartition)
  if (copied === undefined) return false
  onStep?.('built')
  return true
}

/**
 * The copy holds what was committed when it was made, and writers keep it in step since the build's
 * commit. Between the two stand the writers that had begun before and ended after: once they are gone,
 * one comparison finds what they left out.
 */
async function fill(run: PartitionRun): Promise<boolean> {
  const { scope, principal, signal, onStep } = run
  if (!(await settle(run))) return false
  onStep?.('settled')
  const last = await scope.withJob(principal, { readOnly: true }, lastVector)
  for (let after = 0; after < last; after += mendedPerStep) {
    if (signal.aborted) return false
    await scope.withJob(principal, {}, (tx) => mendPartition(tx, after, after + mendedPerStep))
  }
  onStep?.('mended')
  const opened = await scope.withJob(principal, {}, async (tx) => {
    if (!(await openPartition(tx))) return false
    await recordEvent(tx, principal, 'vectors.promote', 'ok', { counts: { documents: last } })
    return true
  })
  if (opened) onStep?.('opened')
  return opened
}

/** Waits for the writers that are open now, of any namespace; false when one goes on for too long. */
async function settle({ scope, signal }: PartitionRun): Promise<boolean> {
  const before = new Set(await scope.withDirectory(openWriters))
  const endsAt = performance.now() + settleMs
  for (let open = before; open.size > 0; await delay(settlePollMs)) {
    if (signal.aborted || performance.now() > endsAt) return false
    const now = await scope.withDirectory(openWriters)
    open = new Set(now.filter((writer) => before.has(writer)))
  }
  return true
}
