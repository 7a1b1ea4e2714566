/** The directory of due work: which namespace has something to purge, embed or count, and from when. */
import type { NamespaceTransaction } from '../database/scope.ts'

export type DueKind = 'expiry' | 'embed' | 'statistics' | 'removal'

/** Width of a bucket (`due_add`): work noted at a time lies in the bucket that begins before it. */
export const dueBucketMs = 10_000

/** A namespace with the oldest of its due buckets. */
export interface DueNamespace {
  readonly namespace: bigint
  readonly bucket: Date
}

/** Notes work of the transaction's namespace at given times; nearby times share a bucket of ten seconds. */
export async function addDue(
  tx: NamespaceTransaction,
  kind: DueKind,
  times: readonly Date[],
): Promise<void> {
  if (times.length === 0) return
  await tx`
    select due_add(${kind}, t.at) from (
      select distinct date_bin('10 seconds', u.at, timestamptz '2000-01-01') as at
      from unnest(${times}::timestamptz[]) as u (at) order by 1) t`
}

/**
 * Namespaces with due work, the longest waiting first, after the last one of the page before. Opens to a
 * job's context alone.
 */
export function duePage(
  tx: NamespaceTransaction,
  kind: DueKind,
  until: Date,
  limit: number,
  after: DueNamespace | undefined,
): Promise<DueNamespace[]> {
  return after
    ? tx`select namespace, bucket
        from due_page(${kind}, ${until}, ${limit}, ${after.bucket}, ${after.namespace})`
    : tx`select namespace, bucket from due_page(${kind}, ${until}, ${limit})`
}

/** Forgets the buckets of the transaction's namespace up to a time; a job's context alone does. */
export async function clearDue(
  tx: NamespaceTransaction,
  kind: DueKind,
  until: Date,
): Promise<void> {
  await tx`select due_done(${kind}, ${until})`
}
