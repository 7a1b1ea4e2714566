/** Text to vectors: the contract of an embedder and the choice of one. */
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
  | { readonly embedder: 'transformers'; readonly model: string; readonly dimension: number }

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
