/** An OpenAI-compatible endpoint, spoken to over real HTTP, well-behaved and not. */
import { text as readText } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { AppError } from '../../src/errors.ts'
import { createEmbedder, type Embedder } from '../../src/pipeline/embed.ts'
import { serveLoopback } from '../support/loopback.ts'

interface Seen {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: { readonly model: string; readonly input: readonly string[] }
}

const askedSchema = z.object({ model: z.string(), input: z.array(z.string()) })

/** An endpoint that answers with `answer`; tells what it was asked. */
async function endpoint(
  answer: (seen: Seen) => { status?: number; body: unknown },
  settings: { dimension?: number; timeoutMs?: number } = {},
): Promise<{ embedder: Embedder; seen: Seen[] }> {
  const seen: Seen[] = []
  const { url } = await serveLoopback(async (request, response) => {
    const asked: Seen = {
      path: request.url ?? '',
      authorization: request.headers.authorization,
      body: askedSchema.parse(JSON.parse(await readText(request))),
    }
    seen.push(asked)
    const { status = 200, body } = answer(asked)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  const embedder = createEmbedder({
    embedder: 'openai',
    url: `${url}/v1/`,
    model: 'tiny',
    dimension: settings.dimension ?? 3,
    key: 'sk-canary',
    timeoutMs: settings.timeoutMs ?? 5000,
  })
  if (!embedder) throw new Error('an embedder was configured')
  return { embedder, seen }
}

/** Each text's vector is its length in the first component, answered in reverse order. */
const lengths = ({ body }: Seen): { body: unknown } => ({
  body: {
    data: body.input.map((text, index) => ({ index, embedding: [text.length, 0, 0] })).toReversed(),
  },
})

async function failure(promise: Promise<unknown>): Promise<AppError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof AppError) return error
  throw new Error('an AppError was expected', { cause: error })
}

test('texts are sent to …/embeddings with model and key, vectors come back normalised', async () => {
  const { embedder, seen } = await endpoint(({ body }) => ({
    body: { data: body.input.map((_, index) => ({ index, embedding: [3, 4, 0] })) },
  }))
  expect(await embedder.embedQuestion('where?')).toEqual(Float32Array.from([0.6, 0.8, 0]))
  expect(seen[0]?.path).toBe('/v1/embeddings')
  expect(seen[0]?.authorization).toBe('Bearer sk-canary')
  expect(seen[0]?.body).toMatchObject({ model: 'tiny', input: ['where?'] })
})

test('vectors are matched to texts by index, in batches, empty texts left out', async () => {
  const { embedder, seen } = await endpoint(({ body }) => ({
    body: {
      data: body.input
        .map((text, index) => ({ index, embedding: [Number(text), 1, 0] }))
        .toReversed(),
    },
  }))
  const texts = Array.from({ length: 150 }, (_, index) => String(index + 1))
  const vectors = await embedder.embedDocuments(['', ...texts, '  '])
  expect(vectors[0]).toBeNull()
  expect(vectors.at(-1)).toBeNull()
  for (const [index, text] of texts.entries()) {
    const [first = 0, second = 1] = vectors[index + 1] ?? []
    expect(first / second).toBeCloseTo(Number(text), 2)
  }
  expect(seen.map(({ body }) => body.input.length)).toEqual([64, 64, 22])
})

test.each([
  ['an error status', { status: 500, body: { error: 'sk-canary' } }, 'unavailable'],
  ['too many requests', { status: 429, body: {} }, 'unavailable'],
  ['no JSON', { body: '<html>' }, 'unavailable'],
  ['another shape', { body: { vectors: [] } }, 'unavailable'],
  ['too few vectors', { body: { data: [] } }, 'unavailable'],
  ['another dimension', { body: { data: [{ index: 0, embedding: [1, 2] }] } }, 'misconfigured'],
])('%s is a typed error that shows no secret', async (_name, answer, code) => {
  const { embedder } = await endpoint(() => answer)
  const error = await failure(embedder.embedQuestion('private words'))
  expect(error.code).toBe(code)
  expect(error.message).not.toMatch(/canary|private words|127\.0\.0\.1/)
})

test('an endless answer is cut off', async () => {
  const { embedder } = await endpoint(() => ({ body: ' '.repeat(3_000_000) }))
  expect((await failure(embedder.embedQuestion('x'))).code).toBe('unavailable')
})

test('a zero vector is no vector', async () => {
  const { embedder } = await endpoint(() => ({
    body: { data: [{ index: 0, embedding: [0, 0, 0] }] },
  }))
  expect(await embedder.embedQuestion('x')).toBeNull()
})

test('a very long text is cut before it is sent', async () => {
  const { embedder, seen } = await endpoint(lengths)
  await embedder.embedDocuments(['x'.repeat(65_536)])
  expect(seen[0]?.body.input[0]).toHaveLength(16_384)
})

test('an aborted request stops', async () => {
  const { embedder } = await endpoint(lengths)
  await expect(embedder.embedQuestion('x', AbortSignal.abort(new Error('gone')))).rejects.toThrow(
    'gone',
  )
})
