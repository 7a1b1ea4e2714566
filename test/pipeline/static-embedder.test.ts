/** The shipped vectors: meaning beyond shared words, and honest absence. */
import { expect, test } from 'vitest'
import { createEmbedder } from '../../src/pipeline/embed.ts'
import { embedStatic, embedStaticQuestion, knownShare } from '../../src/pipeline/static-embedder.ts'
import { wordVectors } from '../../src/pipeline/word-vectors.ts'

const cosine = (a: Float32Array | null, b: Float32Array | null): number =>
  a && b ? a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0) : Number.NaN

test('the asset holds at least 60,000 words in at most 10 MB', () => {
  const { size, values, inverseNorms } = wordVectors()
  expect(size).toBeGreaterThanOrEqual(60_000)
  expect(values.byteLength + inverseNorms.byteLength).toBeLessThan(10_000_000)
})

test('words are found by their frequency rank, unknown ones are not', () => {
  const vectors = wordVectors()
  const rankOf = (word: string): number => vectors.rankOf(word)
  expect(rankOf('the')).toBe(0)
  expect(rankOf('guitar')).toBeGreaterThan(100)
  expect(rankOf('guitar')).toBeLessThan(vectors.size)
  for (const word of ['', 'Guitar', 'qzxjkv', 'straße', 'a'.repeat(100), '__proto__', '\n']) {
    expect(rankOf(word)).toBe(-1)
  }
})

test('a text is closer to one of like meaning than to another', () => {
  const question = embedStatic('What music does she play?')
  expect(cosine(question, embedStatic('Anna practises the violin and the piano'))).toBeGreaterThan(
    cosine(question, embedStatic('The server certificate expires in March')) + 0.1,
  )
})

test('what all texts share is removed: unrelated ordinary sentences are not alike', () => {
  const a = embedStatic('We should talk about the budget for the next quarter')
  const b = embedStatic('My grandmother taught me how to bake bread with honey')
  expect(Math.abs(cosine(a, b))).toBeLessThan(0.5)
})

test('vectors have unit length and the declared dimension', async () => {
  const embedder = createEmbedder({ embedder: 'static' })
  const [vector] = (await embedder?.embedDocuments(['I love hiking in the mountains'])) ?? []
  expect(vector).toHaveLength(100)
  expect(embedder?.dimension).toBe(100)
  expect(cosine(vector ?? null, vector ?? null)).toBeCloseTo(1, 5)
})

test('a text without a known word has no vector', async () => {
  const embedder = createEmbedder({ embedder: 'static' })
  expect(await embedder?.embedDocuments(['', '12345', '你好', 'qzxjkv'])).toEqual([
    null,
    null,
    null,
    null,
  ])
  expect(await embedder?.embedQuestion('🙂')).toBeNull()
})

test("a person's name does not drown what is asked about them", () => {
  const asked = embedStaticQuestion('What instrument does Caroline play?')
  expect(cosine(asked, embedStaticQuestion('What instrument does Melanie play?'))).toBeCloseTo(1, 5)
  expect(embedStaticQuestion('Caroline')).not.toBeNull()
})

test('coverage tells English from what the vectors do not know', () => {
  expect(knownShare('Where did Anna buy the red bicycle?')).toBe(1)
  expect(knownShare('Где она купила велосипед?')).toBe(0)
  expect(knownShare('Wo hat sie das Fahrrad gekauft und repariert?')).toBeLessThan(0.7)
})

test('none means no embedder', () => {
  expect(createEmbedder({ embedder: 'none' })).toBeUndefined()
})
