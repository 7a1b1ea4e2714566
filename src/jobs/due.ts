/** Which namespaces have work of a kind that is due, and until when what was done counts as settled. */
import type { NamespaceScope } from '../database/scope.ts'
import { duePage, type DueKind, type DueNamespace } from '../namespaces/due.sql.ts'
import { jobPrincipal, noNamespace } from './job-principal.ts'

const pageSize = 1_000
/** Namespaces one run takes on, the longest waiting first; the others wait for the next. */
const namespacesPerRun = 100_000
/**
 * A transaction that is still open may commit work into a bucket that was just done: buckets are kept
 * this long. Longer than any transaction may last.
 */
const bucketGraceMs = 70_000

/** Namespaces with work due at `now`, the longest waiting first, each once. */
export async function dueNamespaces(
  scope: NamespaceScope,
  kind: DueKind,
  now: Date,
): Promise<readonly bigint[]> {
  const due = new Set<bigint>()
  let page: readonly DueNamespace[] = []
  do {
    const after = page.at(-1)
    page = await scope.withJob(jobPrincipal(noNamespace), { readOnly: true }, (tx) =>
      duePage(tx, kind, now, pageSize, after),
    )
    for (const { namespace } of page) due.add(namespace)
  } while (page.length === pageSize && due.size < namespacesPerRun)
  return [...due]
}

/** Buckets up to here may be forgotten by a run that began at `now` and did all that was due. */
export function settledBefore(now: Date): Date {
  return new Date(now.getTime() - bucketGraceMs)
}
