/** Namespaces with many vectors, and a look behind the policies at their partition (Postgres). */
import { distinctSentences } from '../../bench/support/sentences.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import {
  maintainPartition,
  type PartitionLimits,
  type PartitionOutcome,
  type PartitionStep,
} from '../../src/memory/vector-partitions.ts'
import type { Principal } from '../../src/principal.ts'
import type { TestMemory } from './memory.ts'

/** Small enough for a test; everything else is as in the product. */
export const smallLimits: PartitionLimits = { promoteAbove: 200, demoteBelow: 100 }

/** Stores `count` distinct sentences, no two of one seed the same; returns their ids. */
export async function storeSentences(
  memory: TestMemory,
  principal: Principal,
  count: number,
  seed = 1,
): Promise<string[]> {
  const contents = [...distinctSentences(count, seed)]
  const ids: string[] = []
  for (let start = 0; start < count; start += 100) {
    const { results } = await memory.execute(memory.operations.store, principal, {
      memories: contents.slice(start, start + 100).map((content) => ({ content })),
    })
    ids.push(...results.map(({ id }) => id))
  }
  return ids
}

/** One run of the job's work on one namespace. */
export function maintain(
  { test }: TestMemory,
  { namespace }: Principal,
  onStep: (step: PartitionStep) => void = () => undefined,
  limits = smallLimits,
): Promise<PartitionOutcome> {
  const { signal } = new AbortController()
  const principal = jobPrincipal(namespace)
  return maintainPartition({ scope: test.scope, principal, signal, onStep }, limits)
}

export interface Behind {
  readonly state: string | null
  readonly isThere: boolean
  /** Vectors of current versions in the truth and in the copy. */
  readonly vectors: number
  readonly copied: number
  /** Rows that are in one of the two alone, or differ. */
  readonly different: number
}

/** What the administrator sees. */
export async function behind({ test }: TestMemory, { namespace }: Principal): Promise<Behind> {
  const [row] = await test.owner.ownerTransaction(
    (sql) => sql<Behind & { isthere: boolean }>`
      with truth as (select document, embedding::text as embedding from mindglue.embeddings
          where namespace = ${namespace} and is_current),
        copy as (select document, embedding::text as embedding from mindglue.partitioned_embeddings
          where namespace = ${namespace})
      select (select state from mindglue.vector_partitions where namespace = ${namespace}) as state,
        to_regclass('mindglue.partitioned_embeddings_' || ${namespace}::bigint) is not null as isthere,
        (select count(*)::int from truth) as vectors, (select count(*)::int from copy) as copied,
        (select count(*)::int from ((table truth except table copy)
          union all (table copy except table truth)) d) as different`,
  )
  if (!row) throw new Error('no row')
  const { isthere: isThere, ...rest } = row
  return { ...rest, isThere }
}
