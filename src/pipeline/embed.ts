/** Text to vectors: the contract of an embedder and the choice of one. */
import { AppError } from '../errors.ts'
import { remoteEmbedder } from './remote-embedder.ts'
import { staticEmbedder } from './static-embedder.ts'
import { transformersEmbedder } from './transformers-embedder.ts'

/**
 * Makes vectors of one model. Vectors are L2-normalised Float32Array[dimension]; null where a text
 * has none (no known word). Both calls may run at once, and throw AppError `unavailable` or
 * `timeout` when the model fails; the caller stores without a vector and embeds later.
 */
export interface Embedder {
  /** Recorded per namespace; vectors of two models are never compared. */
  readonly model: string
  readonly dimension: number
  /** One vector a text, in order. */
  embedDocuments(texts: readonly string[], signal?: AbortSignal): Promise<(Float32Array | null)[]>
  embedQuestion(text: string, signal?: AbortSignal): Promise<Float32Array | null>
  /** Share (0..1) of the text's content words the model knows; absent: any language. */
  coverage?(text: string): number
}

/** Whether vectors of the embedder may stand beside those of a namespace: one model, one width. */
export function fitsNamespace(
  embedder: Embedder,
  { embedderModel, embedderDimension }: { embedderModel: string; embedderDimension: number },
): boolean {
  return embedder.model === embedderModel && embedder.dimension === embedderDimension
}

/** Statuses with which an embedding service refuses what a text is, say its length, and would again. */
const refusingStatuses: ReadonlySet<unknown> = new Set([400, 413, 422])
/** True where the service refused what a text is, not its caller's turn: the others of a batch may pass. */
export function isRefusedText(error: unknown): boolean {
  return error instanceof AppError && refusingStatuses.has(error.details?.['status'])
}

/** A text that every model takes. */
const plainText = 'memory'

/**
 * Vectors of texts among which may be some that the model refuses: those alone get none. Throws what `embedDocuments` throws when the model refuses or fails whatever it is asked.
 */
export async function embedAcceptable(
  embedder: Embedder,
  texts: readonly string[],
  signal?: AbortSignal,
): Promise<{ readonly vectors: readonly (Float32Array | null)[]; readonly refused: number }> {
  if (texts.length === 0) return { vectors: [], refused: 0 }
  try {
    return { vectors: await embedder.embedDocuments(texts, signal), refused: 0 }
  } catch (error) {
    if (!isRefusedText(error)) throw error
    if (texts.length === 1) {
      await requireAnswer(embedder, signal)
      return { vectors: [null], refused: 1 }
    }
    const half = Math.ceil(texts.length / 2)
    const first = await embedAcceptable(embedder, texts.slice(0, half), signal)
    const second = await embedAcceptable(embedder, texts.slice(half), signal)
    return {
      vectors: [...first.vectors, ...second.vectors],
      refused: first.refused + second.refused,
    }
  }
}

/** Throws what `embedDocuments` throws when the model does not even embed a plain word. */
export async function requireAnswer(embedder: Embedder, signal?: AbortSignal): Promise<void> {
  await embedder.embedDocuments([plainText], signal)
}

export type EmbedderSettings =
  | { readonly embedder: 'static' | 'none' }
  | {
      readonly embedder: 'openai'
      /** Base URL with its version, `http://127.0.0.1:11434/v1`. */
      readonly url: string
      readonly model: string
      readonly dimension: number
      readonly key?: string | undefined
      /** For one call, retries none. */
      readonly timeoutMs: number
    }
  | {
      readonly embedder: 'transformers'
      readonly model: string
      readonly dimension: number
      /** Weights of eight bits; unset: as the package chooses. */
      readonly dtype?: 'q8'
    }

/** The configured embedder, undefined for `none`. Opens nothing: models load with the first text. */
export function createEmbedder(settings: EmbedderSettings): Embedder | undefined {
  switch (settings.embedder) {
    case 'none':
      return undefined
    case 'static':
      return staticEmbedder()
    case 'openai':
      return remoteEmbedder(settings)
    case 'transformers':
      return transformersEmbedder(settings)
    default:
      return settings satisfies never
  }
}
