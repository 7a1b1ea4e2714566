/** Vectors of distinct sentences without their memories: for what only vectors are needed for. */
import { distinctSentences } from '../../bench/support/sentences.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import { insertEmbeddings, type NewEmbedding } from '../../src/memory/embeddings.sql.ts'
import { embedStatic } from '../../src/pipeline/static-embedder.ts'
import type { Principal } from '../../src/principal.ts'
import type { TestMemory } from './memory.ts'

const batchRows = 2_000

/** Writes `count` vectors of documents `after` + 1, + 2 … through the product's own insert. */
export async function storeVectors(
  { test }: TestMemory,
  { namespace }: Principal,
  count: number,
  after = 0,
  onProgress: (done: number) => void = () => undefined,
): Promise<void> {
  let rows: NewEmbedding[] = []
  let done = 0
  const write = async () => {
    const batch = rows
    rows = []
    await test.scope.withJob(jobPrincipal(namespace), {}, (tx) => insertEmbeddings(tx, batch))
    done += batch.length
    onProgress(done)
  }
  let document = after
  for (const sentence of distinctSentences(count)) {
    document += 1
    const embedding = embedStatic(sentence)
    if (embedding !== null) rows.push({ document, embedding })
    if (rows.length === batchRows) await write()
  }
  if (rows.length > 0) await write()
}
