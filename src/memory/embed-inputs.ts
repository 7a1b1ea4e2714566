/** Vectors for memories about to be stored; a failing embedder never fails a store. */
import type { PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import type { MemoryInput } from './derive.ts'

/** Vectors of all items; undefined when the embedder failed: they are then made later by a job. */
export async function embedAll(
  context: PrepareContext,
  inputs: readonly MemoryInput[],
  embedder: Embedder | undefined,
): Promise<readonly (Float32Array | null)[] | undefined> {
  if (embedder === undefined) return inputs.map(() => null)
  // Two models are never mixed: `mindglue reembed` makes these vectors with all the others.
  if (embedder.model !== context.settings.embedderModel) return undefined
  try {
    return await context.stage('embed', () =>
      embedder.embedDocuments(
        inputs.map((input) => input.content),
        context.signal,
      ),
    )
  } catch (error) {
    if (context.signal.aborted) throw error
    // Nothing is lost: the memory is stored and found by its words, the embed job makes the vector.
    return undefined
  }
}
