/** What a change of embedder promises: vectors of two models never meet, and nothing stops meanwhile. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { embedPendingJob } from '../../src/jobs/embed-pending.ts'
import { reembed } from '../../src/jobs/reembed.ts'
import { createEmbedder, type Embedder } from '../../src/pipeline/embed.ts'
import type { Principal } from '../../src/principal.ts'
import {
  openProcess,
  openTestMemory,
  type TestMemory,
  type TestProcess,
} from '../support/memory.ts'
import { countRows } from '../support/rows.ts'
import { until } from '../support/until.ts'

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

/** Vectors of the principal's namespace by their length. */
function dimensions({ namespace }: Principal) {
  return memory.test.owner.ownerTransaction(
    (sql) => sql`select vector_dims(embedding)::int as dimension, count(*)::int as count
      from mindglue.embeddings where namespace = ${namespace} group by 1`,
  )
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

    const { operations, namespaces } = openProcess(memory, { embedder })
    const stored = await memory.execute(operations.store, principal, { content: 'quinces go last' })
    expect(stored.results[0]?.embedded).toBe(false)
    const found = await memory.execute(operations.recall, principal, { query: 'pears' })
    expect(found.results[0]?.content).toBe('pears are on the shelf')
    expect(await countRows(memory, principal, 'embeddings')).toBe(3)

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

test('while it runs, windows of both embedders store and find, and no memory is left behind', async () => {
  const principal = await memory.principal({ namespaceName: 'serving' })
  const stored = Array.from({ length: 300 }, (_, at) => `crate ${at} holds apples`)
  await memory.execute(memory.operations.store, principal, {
    memories: stored.map((content) => ({ content })),
  })
  const newer = openProcess(memory, { embedder: other })
  const running = new AbortController()
  let served = 0
  /** Batches of what was there at first are held until both windows were served meanwhile. */
  const embedder: Embedder = {
    ...other,
    embedDocuments: async (texts) => {
      const before = served
      if (texts.length > 2) await until(() => served >= before + 2, { timeoutMs: 20_000 })
      return texts.map(vectorOf)
    },
  }
  const serve = async (window: TestProcess, name: string): Promise<void> => {
    for (let turn = 0; !running.signal.aborted; turn += 1) {
      const content = `${name} ${turn} holds pears`
      await window.execute(window.operations.store, principal, { content })
      stored.push(content)
      for (const asked of [content, stored[turn % 300] ?? '']) {
        const { results } = await window.execute(window.operations.recall, principal, {
          query: asked,
        })
        expect(results.map((found) => found.content)).toContain(asked)
      }
      served += 1
    }
  }
  const run = async (): Promise<void> => {
    const options = { signal: new AbortController().signal, onProgress: () => undefined }
    const { namespaces } = newer
    const vectors = await reembed(
      { scope: memory.test.scope, namespaces, embedder },
      principal,
      options,
    )
    expect(vectors).toBeGreaterThanOrEqual(300)
    running.abort()
  }
  await Promise.all([run(), serve(memory, 'older'), serve(newer, 'newer')])
  // What the older window stored behind its back waits for its vector, as after any embedder that failed.
  await embedPendingJob({
    scope: memory.test.scope,
    namespaces: newer.namespaces,
    embedder: other,
    metrics: memory.metrics,
    log: memory.log,
  }).run(new AbortController().signal)
  expect(await countRows(memory, principal, 'memories')).toBe(stored.length)
  expect(await dimensions(principal)).toEqual([{ dimension: 3, count: stored.length }])
})

test('run again, it has nothing left to do', async () => {
  const principal = await memory.principal({ namespaceName: 'reembed model' })
  const vectors = await reembed(
    { scope: memory.test.scope, namespaces: memory.namespaces, embedder: other },
    principal,
    { signal: new AbortController().signal, onProgress: () => undefined },
  )
  expect(vectors).toBe(0)
})
