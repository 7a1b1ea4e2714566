/** The optional local model: what the user hears when its package is absent, and how it is called. */
import { expect, test } from 'vitest'
import { createEmbedder } from '../../src/pipeline/embed.ts'
import { transformersEmbedder } from '../../src/pipeline/transformers-embedder.ts'

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
