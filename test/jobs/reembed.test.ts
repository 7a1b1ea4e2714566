/** What a change of embedder promises: vectors of two models never meet, and nothing stops meanwhile. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { reembed } from '../../src/jobs/reembed.ts'
import { createNamespaces } from '../../src/namespaces/namespaces.ts'
import { createOperations } from '../../src/operations.ts'
import { createEmbedder, type Embedder } from '../../src/pipeline/embed.ts'
import { analyzerVersion } from '../../src/pipeline/terms.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { countRows } from '../support/rows.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

/** Three dimensions, by the first letter: enough to see whose vectors are in use. */
const other: Embedder = {
  model: 'letters-3d',
  dimension: 3,
  embedDocuments: (texts) => Promise.resolve(texts.map(vectorOf)),
  embedQuestion: (text) => Promise.resolve(vectorOf(text)),
}

function vectorOf(text: string): Float32Array {
  const place = (text.codePointAt(0) ?? 0) % 3
  return Float32Array.from([0, 1, 2], (index) => (index === place ? 1 : 0))
}

/** As a service that was told to make shorter vectors. */
const shorter: Embedder = { ...other, model: createEmbedder({ embedder: 'static' })?.model ?? '' }

test.each([
  ['model', other],
  ['width', shorter],
])(
  'a namespace answers by words under an embedder of another %s and by its vectors once re-embedded',
  async (name, embedder) => {
    const principal = await memory.principal({ namespaceName: `reembed ${name}` })
    const contents = ['apples are in the cellar', 'pears are on the shelf', 'the cider is for June']
    await memory.execute(memory.operations.store, principal, {
      memories: contents.map((content) => ({ content })),
    })

    const operations = createOperations({
      embedder,
      cursorKey: randomBytes(32),
      rankingTexts: memory.rankingTexts,
      sealedVectors: memory.sealedVectors,
    })
    const stored = await memory.execute(operations.store, principal, { content: 'quinces go last' })
    expect(stored.results[0]?.embedded).toBe(false)
    const found = await memory.execute(operations.recall, principal, { query: 'pears' })
    expect(found.results[0]?.content).toBe('pears are on the shelf')
    expect(await countRows(memory, principal, 'embeddings')).toBe(3)

    const namespaces = createNamespaces(
      memory.test.scope,
      {
        profile: 'field',
        embedderModel: embedder.model,
        embedderDimension: embedder.dimension,
        analyzerVersion,
      },
      memory.vault,
    )
    const seen: number[] = []
    const vectors = await reembed({ scope: memory.test.scope, namespaces, embedder }, principal, {
      signal: new AbortController().signal,
      onProgress: (done) => seen.push(done),
    })
    expect([vectors, seen]).toEqual([4, [4]])
    expect(await countRows(memory, principal, 'embeddings')).toBe(4)
    const answer = await memory.execute(operations.recall, principal, { query: 'pears' })
    expect(answer.results[0]?.content).toBe('pears are on the shelf')
  },
)

test('run again, it has nothing left to do', async () => {
  const principal = await memory.principal({ namespaceName: 'reembed model' })
  const vectors = await reembed(
    { scope: memory.test.scope, namespaces: memory.namespaces, embedder: other },
    principal,
    { signal: new AbortController().signal, onProgress: () => undefined },
  )
  expect(vectors).toBe(0)
})
