/** Makes the vectors that an embedder could not make when the memory was stored. */
import type { InNamespace, NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { addFields, readFields } from '../memory/fields.ts'
import {
  clearNeedsEmbedding,
  needingEmbedding,
  type StoredContent,
} from '../memory/memories.sql.ts'
import { Unreadable } from '../memory/unreadable.ts'
import { insertVectors } from '../memory/vectors.ts'
import { addDue, clearDue } from '../namespaces/due.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { readRevision } from '../namespaces/namespaces.sql.ts'
import type { NamespaceSettings } from '../operation.ts'
import { embedAcceptable, requireAnswer, fitsNamespace, type Embedder } from '../pipeline/embed.ts'
import type { Principal } from '../principal.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { dueNamespaces, settledBefore } from './due.ts'
import { jobPrincipal } from './job-principal.ts'
import type { Job } from './runner.ts'

const batchRows = 64

interface Embedding {
  readonly within: InNamespace
  readonly embedder: Embedder
  readonly settings: NamespaceSettings
  readonly principal: Principal
}

/**
 * Makes the vectors of some versions and writes those whose memory is still there. One whose text does
 * not decrypt, or is refused by the model, gets none and is not asked for again until `mindglue reembed`:
 * its words still find it. Returns how many those are.
 */
export async function embedRows(
  { within, embedder, settings, principal }: Embedding,
  rows: readonly StoredContent[],
  signal: AbortSignal,
): Promise<number> {
  const unreadable = new Unreadable()
  const readable = rows.flatMap((row) => {
    const open = () => readFields(settings, row).decode('content', row.content)
    const text = unreadable.skip(row.id, open)
    return text === undefined ? [] : [{ row, text }]
  })
  const texts = readable.map(({ text }) => text)
  const { vectors, refused } = await embedAcceptable(embedder, texts, signal)
  await within(principal, {}, async (tx) => {
    // Forgotten meanwhile: gone, and no vector either. The flag is cleared under the row's lock.
    const documents = rows.map((row) => row.document)
    const kept = await clearNeedsEmbedding(tx, documents)
    // With other settings what did not decrypt may: then no flag is cleared.
    if ((await readRevision(tx, true)) !== settings.revision) {
      throw new AppError('conflict', 'The namespace was given another embedder meanwhile.')
    }
    await insertVectors(
      tx,
      settings,
      readable.flatMap(({ row }, index) => {
        const [{ document }, embedding] = [row, vectors[index]]
        if (!embedding || !kept.has(document)) return []
        return { document, embedding, writer: () => addFields(settings, row) }
      }),
    )
  })
  return rows.length - readable.length + refused
}

export interface EmbedPendingDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  readonly embedder: Embedder
  readonly metrics: Metrics
  readonly log: Log
}

export function embedPendingJob(dependencies: EmbedPendingDependencies): Job {
  const { scope, embedder, metrics, log } = dependencies
  return {
    name: 'embed',
    everySeconds: 5,
    run: async (signal) => {
      const now = new Date()
      for (const namespace of await dueNamespaces(scope, 'embed', now)) {
        if (signal.aborted) return
        try {
          await embedNamespace(dependencies, namespace, signal, now)
        } catch (error) {
          if (signal.aborted) return
          // Due still, so the next run tries again. The others have their turn, unless the model is away.
          metrics.failure('jobs')
          log.warn('namespace could not be embedded', { component: 'embed', error })
          await requireAnswer(embedder, signal)
        }
      }
    },
  }
}

async function embedNamespace(
  { scope, namespaces, embedder, metrics, log }: EmbedPendingDependencies,
  namespace: bigint,
  signal: AbortSignal,
  now: Date,
): Promise<void> {
  const principal = jobPrincipal(namespace)
  const read = { readOnly: true }
  const revision = await scope.withJob(principal, read, (tx) => readRevision(tx, false))
  const settings = await namespaces.settings(principal, revision)
  while (!signal.aborted) {
    // Another model's namespace waits for `mindglue reembed`.
    if (!fitsNamespace(embedder, settings)) break
    const rows = await scope.withJob(principal, read, (tx) => needingEmbedding(tx, batchRows))
    if (rows.length === 0) break
    const embedding = { within: scope.withJob, embedder, settings, principal }
    const skipped = await embedRows(embedding, rows, signal)
    if (skipped === 0) continue
    metrics.failure('embedder')
    log.warn('memories were left without a vector', { component: 'embed', rows: skipped })
  }
  if (signal.aborted) return
  await scope.withJob(principal, {}, async (tx) => {
    await clearDue(tx, 'embed', settledBefore(now))
    await addDue(tx, 'statistics', [now])
  })
}
