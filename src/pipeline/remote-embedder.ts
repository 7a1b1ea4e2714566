/** Vectors from an OpenAI-compatible endpoint (`POST …/embeddings`): OpenAI, Ollama, vLLM, LM Studio. */
import { z } from 'zod'
import { send } from '../egress.ts'
import { AppError } from '../errors.ts'
import type { Embedder, EmbedderSettings } from './embed.ts'

type RemoteSettings = Extract<EmbedderSettings, { embedder: 'openai' }>

/** One request's texts: endpoints take at least 64, and a failure loses little work. */
const batchMax = 64
/** Models read at most 8,192 tokens; servers refuse longer texts instead of cutting them. */
const charactersMax = 16_384
/** A component is about 22 bytes as JSON text; the rest is room for keys. */
const bytesPerComponent = 32

const answerSchema = z.object({
  data: z
    .array(z.object({ index: z.number().int().min(0), embedding: z.array(z.number()).max(4096) }))
    .max(batchMax),
})

/** Throws AppError `misconfigured` when the model's dimension is not the configured one. */
export function remoteEmbedder(settings: RemoteSettings): Embedder {
  const embed = async (
    texts: readonly string[],
    signal?: AbortSignal,
  ): Promise<(Float32Array | null)[]> => {
    const vectors: (Float32Array | null)[] = texts.map(() => null)
    // Servers refuse an empty text, and it has no meaning to find.
    const filled = [...texts.keys()].filter((index) => texts[index]?.trim())
    for (let start = 0; start < filled.length; start += batchMax) {
      const indexes = filled.slice(start, start + batchMax)
      const inputs = indexes.map((index) => (texts[index] ?? '').slice(0, charactersMax))
      const batch = await embedBatch(settings, inputs, signal)
      for (const [position, index] of indexes.entries()) vectors[index] = batch[position] ?? null
    }
    return vectors
  }
  return {
    model: settings.model,
    dimension: settings.dimension,
    embedDocuments: embed,
    embedQuestion: async (text, signal) => (await embed([text], signal))[0] ?? null,
  }
}

async function embedBatch(
  settings: RemoteSettings,
  inputs: readonly string[],
  signal: AbortSignal | undefined,
): Promise<(Float32Array | null)[]> {
  const answer = await send({
    url: `${settings.url.replace(/\/+$/, '')}/embeddings`,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(settings.key !== undefined && { authorization: `Bearer ${settings.key}` }),
    },
    body: JSON.stringify({ model: settings.model, input: inputs, encoding_format: 'float' }),
    timeoutMs: settings.timeoutMs,
    answerBytesMax: 65_536 + inputs.length * (settings.dimension * bytesPerComponent + 256),
    signal,
  })
  if (answer.status !== 200) throw refused(answer.status)
  const parsed = answerSchema.safeParse(parseJson(answer.body))
  if (!parsed.success) throw unreadable(parsed.error)
  const vectors: (Float32Array | null)[] = inputs.map(() => null)
  for (const { index, embedding } of parsed.data.data) {
    if (embedding.length !== settings.dimension) throw wrongDimension(settings, embedding.length)
    vectors[index] = normalised(embedding)
  }
  if (parsed.data.data.length !== inputs.length) throw unreadable()
  return vectors
}

/** L2-normalised; null for the zero vector, which has no direction. */
export function normalised(vector: ArrayLike<number>): Float32Array | null {
  const values = Float32Array.from(vector)
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
  return Number.isFinite(norm) && norm > 0 ? values.map((value) => value / norm) : null
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw unreadable(cause)
  }
}

const refused = (status: number): AppError =>
  new AppError('unavailable', `The embedding service answered with status ${status}.`, {
    details: { status },
  })

const unreadable = (cause?: unknown): AppError =>
  new AppError('unavailable', 'The embedding service sent an answer we cannot read.', { cause })

/** Shared with the local model: vectors of another length would be refused by the database. */
export const wrongDimension = (
  settings: { readonly model: string; readonly dimension: number },
  actual: number,
): AppError =>
  new AppError(
    'misconfigured',
    `The model ${settings.model} makes vectors of ${actual} numbers, not ${settings.dimension}; ` +
      'set MINDGLUE_EMBEDDER_DIMENSION.',
  )
