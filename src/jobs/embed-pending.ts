/** Makes the vectors that an embedder could not make when the memory was stored. */
import type { InNamespace, NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { addFields, readFields } from '../memory/fields.ts'
import {
  clearNeedsEmbedding,
  needingEmbedding,
  type StoredContent,
} from '../memory/memories.sql.ts'
import { insertVectors } from '../memory/vectors.ts'
import { addDue, clearDue } from '../namespaces/due.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { readRevision } from '../namespaces/namespaces.sql.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import type { Principal } from '../principal.ts'
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

/** Makes the vectors of some versions and writes those whose memory is still there. */
export async function embedRows(
  { within, embedder, settings, principal }: Embedding,
  rows: readonly StoredContent[],
  signal: AbortSignal,
): Promise<void> {
  const texts = rows.map((row) => readFields(settings, row).decode('content', row.content))
  const vectors = await embedder.embedDocuments(texts, signal)
  await within(principal, {}, async (tx) => {
    // Forgotten meanwhile: gone, and no vector either. The flag is cleared under the row's lock.
    const documents = rows.map((row) => row.document)
    const kept = await clearNeedsEmbedding(tx, documents)
    if ((await readRevision(tx, true)) !== settings.revision) {
      throw new AppError('conflict', 'The namespace was given another embedder meanwhile.')
    }
    await insertVectors(
      tx,
      settings,
      rows.flatMap((row, index) => {
        const [{ document }, embedding] = [row, vectors[index]]
        if (!embedding || !kept.has(document)) return []
        return { document, embedding, writer: () => addFields(settings, row) }
      }),
    )
  })
}

export interface EmbedPendingDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  readonly embedder: Embedder
}

export function embedPendingJob({ scope, namespaces, embedder }: EmbedPendingDependencies): Job {
  const embedNamespace = async (namespace: bigint, signal: AbortSignal): Promise<void> => {
    const principal = jobPrincipal(namespace)
    const settings = await namespaces.settings(principal)
    // Another model's namespace waits for `mindglue reembed`.
    if (settings.embedderModel !== embedder.model) return
    while (!signal.aborted) {
      const rows = await scope.withJob(principal, { readOnly: true }, (tx) =>
        needingEmbedding(tx, batchRows),
      )
      if (rows.length === 0) return
      await embedRows({ within: scope.withJob, embedder, settings, principal }, rows, signal)
    }
  }
  return {
    name: 'embed',
    everySeconds: 5,
    run: async (signal) => {
      const now = new Date()
      for (const namespace of await dueNamespaces(scope, 'embed', now)) {
        await embedNamespace(namespace, signal)
        if (signal.aborted) return
        await scope.withJob(jobPrincipal(namespace), {}, async (tx) => {
          await clearDue(tx, 'embed', settledBefore(now))
          await addDue(tx, 'statistics', [now])
        })
      }
    },
  }
}
