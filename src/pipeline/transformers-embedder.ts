/** Vectors from a local model through `@huggingface/transformers`, which the user installs beside us. */
import { AppError } from '../errors.ts'
import type { Embedder, EmbedderSettings } from './embed.ts'
import { normalised, wrongDimension } from './remote-embedder.ts'

type TransformersSettings = Extract<EmbedderSettings, { embedder: 'transformers' }>

/** The part of the package we use; it is optional, so its own types may be absent. */
interface TransformersModule {
  pipeline(
    task: 'feature-extraction',
    model: string,
    options: { dtype?: 'q8' | undefined },
  ): Promise<FeatureExtractor>
}

type FeatureExtractor = (
  texts: string[],
  options: { pooling: 'mean'; normalize: boolean },
) => Promise<{ tolist(): number[][] }>

/**
 * `MINDGLUE_EMBEDDER=multilingual`: about a hundred languages in 384 numbers. Eight-bit weights are a
 * quarter of the download and of the memory.
 */
export const multilingualModel = {
  model: 'Xenova/multilingual-e5-small',
  dimension: 384,
  dtype: 'q8',
} as const

/** E5 models are trained on texts that say what they are, those for instructions aside (Wang et al. 2022). */
const isE5 = (model: string): boolean => /(?:^|[/-])e5-(?!.*instruct)/iu.test(model)

const noPrefix = { question: '', document: '' }

/** Texts a run: the model works in one thread and memory grows with the batch. */
const batchMax = 16
const charactersMax = 8192

/**
 * The model is loaded with the first text. Throws AppError `misconfigured` when the package is not
 * installed, `unavailable` when the model cannot be loaded or fails; the next call tries again.
 */
export function transformersEmbedder(
  settings: TransformersSettings,
  load: () => Promise<TransformersModule> = loadPackage,
): Embedder {
  const prefix = isE5(settings.model) ? { question: 'query: ', document: 'passage: ' } : noPrefix
  let extractor: Promise<FeatureExtractor> | undefined
  const ready = (): Promise<FeatureExtractor> => {
    extractor ??= load()
      .then((module) =>
        module.pipeline('feature-extraction', settings.model, { dtype: settings.dtype }),
      )
      .catch((error: unknown) => {
        extractor = undefined
        throw failed(error)
      })
    return extractor
  }
  const embed = async (
    before: string,
    texts: readonly string[],
    signal?: AbortSignal,
  ): Promise<(Float32Array | null)[]> => {
    const extract = await ready()
    const vectors: (Float32Array | null)[] = []
    for (let start = 0; start < texts.length; start += batchMax) {
      signal?.throwIfAborted()
      const batch = texts.slice(start, start + batchMax)
      const inputs = batch.map((text) => before + text.slice(0, charactersMax))
      const rows = await extract(inputs, { pooling: 'mean', normalize: true }).then(
        (tensor) => tensor.tolist(),
        (error: unknown) => {
          throw failed(error)
        },
      )
      for (const [index, text] of batch.entries()) {
        const row = rows[index] ?? []
        if (row.length !== settings.dimension) throw wrongDimension(settings, row.length)
        vectors.push(text.trim() === '' ? null : normalised(row))
      }
    }
    return vectors
  }
  return {
    model: settings.model,
    dimension: settings.dimension,
    embedDocuments: (texts, signal) => embed(prefix.document, texts, signal),
    embedQuestion: async (text, signal) =>
      (await embed(prefix.question, [text], signal))[0] ?? null,
  }
}

async function loadPackage(): Promise<TransformersModule> {
  // A name the compiler does not see through: the package is absent in most installations.
  const name: string = '@huggingface/transformers'
  try {
    const module: unknown = await import(name)
    if (isTransformers(module)) return module
    throw new TypeError('the package has no function pipeline')
  } catch (cause) {
    throw new AppError(
      'misconfigured',
      'The configured embedder needs a package: npm install @huggingface/transformers.',
      { cause },
    )
  }
}

const isTransformers = (module: unknown): module is TransformersModule =>
  typeof module === 'object' &&
  module !== null &&
  'pipeline' in module &&
  typeof module.pipeline === 'function'

const failed = (error: unknown): AppError =>
  error instanceof AppError
    ? error
    : new AppError('unavailable', 'The local embedding model cannot be loaded or failed.', {
        cause: error,
      })
