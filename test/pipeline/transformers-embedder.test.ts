/** The optional local model: what the user hears when its package is absent, and how it is called. */
import { expect, test } from 'vitest'
import { createEmbedder } from '../../src/pipeline/embed.ts'
import {
  multilingualModel,
  transformersEmbedder,
} from '../../src/pipeline/transformers-embedder.ts'

const settings = { embedder: 'transformers', model: 'm', dimension: 2 } as const

test('without the package the error says how to install it', async () => {
  const embedder = createEmbedder(settings)
  const asked = embedder?.embedQuestion('x')
  await expect(asked).rejects.toMatchObject({ code: 'misconfigured' })
  await expect(asked).rejects.toThrow('npm install @huggingface/transformers')
})

/** The package's shape with a rule instead of a network: one component is the text's length. */
function packageOf(rows: (texts: string[]) => number[][]): () => Promise<{
  pipeline: () => Promise<(texts: string[]) => Promise<{ tolist: () => number[][] }>>
}> {
  return () =>
    Promise.resolve({
      pipeline: () => Promise.resolve((texts) => Promise.resolve({ tolist: () => rows(texts) })),
    })
}

test('texts are embedded in batches of sixteen, in order, normalised', async () => {
  const sizes: number[] = []
  const embedder = transformersEmbedder(
    settings,
    packageOf((texts) => {
      sizes.push(texts.length)
      return texts.map((text) => [Number(text), 1])
    }),
  )
  const vectors = await embedder.embedDocuments(
    Array.from({ length: 40 }, (_, index) => `${index}`),
  )
  expect(sizes).toEqual([16, 16, 8])
  const [first = 0, second = 1] = vectors[39] ?? []
  expect(first / second).toBeCloseTo(39, 2)
})

test('another dimension than the configured one is named', async () => {
  const embedder = transformersEmbedder(
    settings,
    packageOf((texts) => texts.map(() => [1, 2, 3])),
  )
  await expect(embedder.embedQuestion('x')).rejects.toMatchObject({ code: 'misconfigured' })
})

test('a model that cannot be loaded is unavailable, and is tried again', async () => {
  let tries = 0
  const embedder = transformersEmbedder(settings, () => {
    tries += 1
    if (tries === 1) return Promise.reject(new Error('no such file'))
    return packageOf((texts) => texts.map(() => [0, 2]))()
  })
  await expect(embedder.embedQuestion('x')).rejects.toMatchObject({ code: 'unavailable' })
  expect(await embedder.embedQuestion('x')).toEqual(Float32Array.from([0, 1]))
})

test('an E5 model is told which texts are questions, and the multilingual one is read in eight bits', async () => {
  const asked: unknown[] = []
  const load = () =>
    Promise.resolve({
      pipeline: (...call: unknown[]) => {
        asked.push(call)
        return Promise.resolve((texts: string[]) => {
          asked.push(texts)
          return Promise.resolve({ tolist: () => texts.map(() => Array<number>(384).fill(1)) })
        })
      },
    })
  const embedder = transformersEmbedder({ embedder: 'transformers', ...multilingualModel }, load)
  await embedder.embedDocuments(['Katze', ' '])
  await embedder.embedQuestion('kedi')
  expect(asked).toEqual([
    ['feature-extraction', 'Xenova/multilingual-e5-small', { dtype: 'q8' }],
    ['passage: Katze', 'passage:  '],
    ['query: kedi'],
  ])
})

test.each(['bge-m3', 'intfloat/multilingual-e5-large-instruct', 'all-e5x'])(
  '%s gets the texts as they are',
  async (model) => {
    const seen: string[][] = []
    const load = packageOf((texts) => {
      seen.push(texts)
      return texts.map(() => [0, 1])
    })
    await transformersEmbedder({ ...settings, model }, load).embedQuestion('tea')
    expect(seen).toEqual([['tea']])
  },
)
