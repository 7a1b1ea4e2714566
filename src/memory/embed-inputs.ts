/** Vectors for memories about to be stored; a failing embedder never fails a store. */
import type { PrepareContext } from '../operation.ts'
import { fitsNamespace, type Embedder } from '../pipeline/embed.ts'
import type { MemoryInput } from './derive.ts'

/** Texts of one call: what a remote model takes at once, so that progress is told between its calls. */
const pieceSize = 64

/** Vectors of all items, `onProgress` told how many so far; undefined when the embedder failed: they are then made later by a job. */
export async function embedAll(
  context: PrepareContext,
  inputs: readonly MemoryInput[],
  embedder: Embedder | undefined,
  onProgress: (done: number) => void = () => undefined,
): Promise<readonly (Float32Array | null)[] | undefined> {
  if (embedder === undefined) return inputs.map(() => null)
  // Two models are never mixed: `mindglue reembed` makes these vectors with all the others.
  if (!fitsNamespace(embedder, context.settings)) return undefined
  try {
    return await context.stage('embed', async () => {
      const vectors: (Float32Array | null)[] = []
      for (let start = 0; start < inputs.length; start += pieceSize) {
        const texts = inputs.slice(start, start + pieceSize).map((input) => input.content)
        vectors.push(...(await embedder.embedDocuments(texts, context.signal)))
        onProgress(vectors.length)
      }
      return vectors
    })
  } catch (error) {
    if (context.signal.aborted) throw error
    // Nothing is lost: the memory is stored and found by its words, the embed job makes the vector.
    return undefined
  }
}
