/** What is promised of vectors that are made later: nobody's bad memory keeps another one from its own. */
import { text as readText } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { embedPendingJob } from '../../src/jobs/embed-pending.ts'
import { reembed } from '../../src/jobs/reembed.ts'
import { createNamespaces, type Namespaces } from '../../src/namespaces/namespaces.ts'
import { createEmbedder, type Embedder } from '../../src/pipeline/embed.ts'
import { analyzerVersion } from '../../src/pipeline/terms.ts'
import type { Principal } from '../../src/principal.ts'
import { openLoopback } from '../support/loopback.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { countRows } from '../support/rows.ts'

const askedSchema = z.object({ input: z.array(z.string()) })

/** An embedding service that refuses texts with these words, or whatever it is asked while it is away. */
interface Service {
  isAway: boolean
  refuses: string
  requests: number
}

const service: Service = { isAway: true, refuses: 'endless', requests: 0 }
let memory: TestMemory
let embedder: Embedder
let close: () => Promise<void>

beforeAll(async () => {
  const served = await openLoopback(async (request, response) => {
    const { input } = askedSchema.parse(JSON.parse(await readText(request)))
    service.requests += 1
    const isRefused = input.some((text) => text.includes(service.refuses))
    response.writeHead(service.isAway ? 503 : isRefused ? 400 : 200)
    const data = input.map((text, index) => ({ index, embedding: [text.length, 1, 0] }))
    response.end(JSON.stringify({ data }))
  })
  const { url } = served
  close = served.close
  const made = createEmbedder({
    embedder: 'openai',
    url,
    model: 'tiny',
    dimension: 3,
    timeoutMs: 5_000,
  })
  if (made === undefined) throw new Error('an embedder was configured')
  embedder = made
  memory = await openTestMemory({ embedder })
})
afterAll(async () => {
  await memory.close()
  await close()
})

const { signal } = new AbortController()

function run(namespaces = memory.namespaces): Promise<void> {
  const { metrics, log, test: database } = memory
  const { scope } = database
  return embedPendingJob({ scope, namespaces, embedder, metrics, log }).run(signal)
}

/** Stores while the service is away, so that the vectors are owed. */
async function owe(namespaceName: string, contents: readonly string[]): Promise<Principal> {
  service.isAway = true
  const principal = await memory.principal({ namespaceName })
  const memories = contents.map((content) => ({ content }))
  await memory.execute(memory.operations.store, principal, { memories })
  service.isAway = false
  return principal
}

const vectors = (principal: Principal) => countRows(memory, principal, 'embeddings')
const embedAnew = (principal: Principal, namespaces: Namespaces, by: Embedder) =>
  reembed({ scope: memory.test.scope, namespaces, embedder: by }, principal, {
    signal,
    onProgress: () => undefined,
  })

/** Another process: nothing cached, another model where one is given. */
function openNamespaces({ model, dimension }: Embedder): Namespaces {
  const defaults = { profile: 'field' as const, analyzerVersion }
  return createNamespaces(
    memory.test.scope,
    { ...defaults, embedderModel: model, embedderDimension: dimension },
    memory.vault,
  )
}

test('a text that the service refuses keeps no other memory and no other namespace from its vectors', async () => {
  const texts = Array.from({ length: 9 }, (_, index) => `pears, basket ${index}`)
  const first = await owe('first', [...texts, 'an endless scroll', 'apples'])
  const second = await owe('second', ['plums'])
  await run()
  expect([await vectors(first), await vectors(second)]).toEqual([10, 1])
  expect(memory.logged()).toContain('memories were left without a vector')
  // It is not asked for over and over; embedding the namespace anew asks again.
  const { requests } = service
  await run()
  expect(service.requests).toBe(requests)
  service.refuses = 'nothing'
  await embedAnew(first, memory.namespaces, embedder)
  expect(await vectors(first)).toBe(11)
})

test('a service that refuses everything costs no memory its vector', async () => {
  const principal = await owe('all', ['pears', 'apples'])
  service.refuses = ''
  await expect(run()).rejects.toMatchObject({ code: 'unavailable' })
  service.refuses = 'nothing'
  await run()
  expect(await vectors(principal)).toBe(2)
})

test('a namespace that another process gave another embedder is left alone, whatever this one has cached', async () => {
  const principal = await owe('moved', ['pears'])
  const other: Embedder = { ...embedder, model: 'other' }
  await embedAnew(principal, openNamespaces(other), other)
  await memory.execute(memory.operations.store, principal, { content: 'apples' })
  const { requests } = service
  await run()
  expect(service.requests).toBe(requests)
})

test('a memory that does not decrypt, and a namespace whose keys do not open, keep nobody waiting', async () => {
  const lost = await owe('lost', ['quinces'])
  const damaged = await owe('damaged', ['pears', 'apples'])
  const sound = await owe('sound', ['plums'])
  await memory.test.owner.ownerTransaction((_sql, script) =>
    script(`
      update mindglue.namespace_keys set salt = decode(repeat('00', 32), 'hex')
        where namespace = ${lost.namespace};
      update mindglue.memories set content = decode(repeat('c0', 120), 'hex')
        where namespace = ${damaged.namespace} and document = (
          select min(document) from mindglue.memories where namespace = ${damaged.namespace})`),
  )
  await run(openNamespaces(embedder))
  const counts = [await vectors(lost), await vectors(damaged), await vectors(sound)]
  expect(counts).toEqual([0, 1, 1])
})
