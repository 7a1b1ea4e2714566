/** An embedder that says when it fails: its callers go on without vectors and would hide it. */
import { isRefusedText, type Embedder } from './embed.ts'

export interface WatchedEmbedder extends Embedder {
  /** Whether its last call was answered; true before the first. */
  isAnswering(): boolean
}

/** `onFailure` is told of each failed call, but not of one that the caller gave up or whose text is to blame. */
export function watchEmbedder(
  embedder: Embedder,
  onFailure: (error: unknown) => void,
): WatchedEmbedder {
  let isAnswering = true
  const watched = async <T>(
    signal: AbortSignal | undefined,
    call: () => Promise<T>,
  ): Promise<T> => {
    try {
      const answer = await call()
      isAnswering = true
      return answer
    } catch (error) {
      if (signal?.aborted === true || isRefusedText(error)) throw error
      isAnswering = false
      onFailure(error)
      throw error
    }
  }
  return {
    model: embedder.model,
    dimension: embedder.dimension,
    ...(embedder.coverage && { coverage: embedder.coverage.bind(embedder) }),
    embedDocuments: (texts, signal) =>
      watched(signal, () => embedder.embedDocuments(texts, signal)),
    embedQuestion: (text, signal) => watched(signal, () => embedder.embedQuestion(text, signal)),
    isAnswering: () => isAnswering,
  }
}
