/** Makes the vectors that an embedder could not make when the memory was stored. */
import type { NamespaceScope } from '../database/scope.ts'
import { insertEmbeddings } from '../memory/embeddings.sql.ts'
import { fieldCodec } from '../memory/fields.ts'
import { clearNeedsEmbedding, needingEmbedding } from '../memory/memories.sql.ts'
import { clearDue, duePage } from '../namespaces/due.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { jobPrincipal } from './job-principal.ts'
import type { Job } from './runner.ts'

const namespacesPerRun = 100
const batchRows = 64
const bucketGraceMs = 70_000

export interface EmbedPendingDependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
  readonly embedder: Embedder
}

export function embedPendingJob({ scope, namespaces, embedder }: EmbedPendingDependencies): Job {
  const embedNamespace = async (namespace: bigint, signal: AbortSignal): Promise<void> => {
    const principal = jobPrincipal(namespace)
    const codec = fieldCodec(await namespaces.settings(principal))
    while (!signal.aborted) {
      const rows = await scope.withNamespace(principal, { readOnly: true }, (tx) =>
        needingEmbedding(tx, batchRows),
      )
      if (rows.length === 0) return
      const texts = rows.map((row) => codec.decode('content', row.content))
      const vectors = await embedder.embedDocuments(texts, signal)
      await scope.withNamespace(principal, {}, async (tx) => {
        // Rows forgotten meanwhile are gone and get no vector: the flag is cleared under their lock.
        const documents = rows.map((row) => row.document)
        const kept = await clearNeedsEmbedding(tx, documents)
        await insertEmbeddings(
          tx,
          rows.flatMap(({ document }, index) => {
            const embedding = vectors[index]
            return embedding && kept.has(document) ? [{ document, embedding }] : []
          }),
        )
      })
    }
  }
  return {
    name: 'embed',
    everySeconds: 5,
    run: async (signal) => {
      const now = new Date()
      const page = await scope.withDirectory((sql) => duePage(sql, 'embed', now, namespacesPerRun))
      for (const { namespace } of page) {
        await embedNamespace(namespace, signal)
        const done = new Date(now.getTime() - bucketGraceMs)
        await scope.withNamespace(jobPrincipal(namespace), {}, (tx) => clearDue(tx, 'embed', done))
      }
    },
  }
}
