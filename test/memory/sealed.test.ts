/** Profile `sealed`: finds what a plain namespace finds, and the database holds no vector that it can read. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Sql } from '../../src/database/database.ts'
import { createScope, type NamespaceScope } from '../../src/database/scope.ts'
import { createExecute } from '../../src/execute.ts'
import { embedPendingJob } from '../../src/jobs/embed-pending.ts'
import { purgeNamespaces } from '../../src/jobs/purge.ts'
import { reembed } from '../../src/jobs/reembed.ts'
import { RankingTexts } from '../../src/memory/ranking-texts.ts'
import { listSealedEmbeddings } from '../../src/memory/sealed-embeddings.sql.ts'
import { SealedVectors } from '../../src/memory/sealed-vectors.ts'
import { Unreadable } from '../../src/memory/unreadable.ts'
import { createNamespaces } from '../../src/namespaces/namespaces.ts'
import { createOperations } from '../../src/operations.ts'
import type { Embedder } from '../../src/pipeline/embed.ts'
import { createEmbedder } from '../../src/pipeline/embed.ts'
import { analyzerVersion } from '../../src/pipeline/terms.ts'
import type { Principal } from '../../src/principal.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { testEngine } from '../support/database.ts'
import { interceptDatabase } from '../support/intercept.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { countRows } from '../support/rows.ts'
import { encodingsOf, everyValue } from '../support/stored-bytes.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory({ profile: 'sealed' })
})
afterAll(() => memory.close())

const embedder = createEmbedder({ embedder: 'static' })
if (embedder === undefined) throw new Error('the static embedder is always there')

let made = 0
const fresh = (changes = {}) => {
  made += 1
  return memory.principal({ namespaceName: `sealed-${made}`, ...changes })
}

async function store(principal: Principal, contents: readonly string[]): Promise<string[]> {
  const { results } = await memory.execute(memory.operations.store, principal, {
    memories: contents.map((content) => ({ content })),
  })
  return results.map((result) => result.id)
}

type Ask = (principal: Principal, input: object) => Promise<readonly { content: string }[]>

/** A further process: everything of its own but the database and the keys. */
function process(
  options: { embedder?: Embedder; sealedVectors?: SealedVectors; scope?: NamespaceScope } = {},
) {
  const scope = options.scope ?? memory.test.scope
  const model = options.embedder ?? embedder
  const sealedVectors = options.sealedVectors ?? new SealedVectors()
  const namespaces = createNamespaces(
    scope,
    {
      profile: 'sealed',
      embedderModel: model?.model ?? '',
      embedderDimension: model?.dimension ?? 0,
      analyzerVersion,
    },
    memory.vault,
  )
  const operations = createOperations({
    embedder: model,
    cursorKey: randomBytes(32),
    rankingTexts: new RankingTexts(),
    sealedVectors,
  })
  const execute = createExecute({
    scope,
    namespaces,
    log: createLog({ level: 'silent' }),
    metrics: memory.metrics,
    onChange: () => undefined,
  })
  const recall: Ask = async (principal, input) => {
    const { results } = await execute(operations.recall, principal, input)
    return results
  }
  return { sealedVectors, namespaces, operations, execute, recall }
}

const notes = z
  .object({ notes: z.array(z.object({ content: z.string() })) })
  .parse(JSON.parse(readFileSync(new URL('../../assets/demo/notes.json', import.meta.url), 'utf8')))
  .notes.map(({ content }) => content)

/** Shares no word with its answer: only vectors find it. */
const feline = { query: 'feline', limit: 1 }
const cats = 'The cats sleep on the sofa.'
const others = ['The invoice is due in June.', 'The train to Oslo was late.']

describe('a recall', () => {
  test('ranks as in a plain namespace, with a filter and without', async () => {
    const off = await fresh({ profile: 'off' })
    const sealed = await fresh()
    for (const principal of [off, sealed]) await store(principal, notes)
    for (const query of ['When is the launch?', 'Who likes tea?', 'Wi-Fi code', 'the garden']) {
      for (const filter of [{}, { types: ['fact', 'preference', 'event'] }]) {
        const answers = []
        for (const principal of [off, sealed, sealed]) {
          const input = { query, limit: 20, ...filter }
          const { results } = await memory.execute(memory.operations.recall, principal, input)
          answers.push(results.map(({ content, score }) => ({ content, score: score ?? 0 })))
        }
        const [plain = [], ...encrypted] = answers
        expect(plain.length).toBeGreaterThan(2)
        for (const answer of encrypted) {
          expect(answer.map(({ content }) => content)).toEqual(plain.map(({ content }) => content))
          // A server keeps plain vectors in half precision, sealed ones in single.
          for (const [at, { score }] of answer.entries()) {
            expect(Math.abs(score - (plain[at]?.score ?? 0))).toBeLessThan(0.002)
          }
        }
      }
    }
  })

  test('finds by meaning what another process stored just now', async () => {
    const principal = await fresh()
    const [first, second] = [process(), process()]
    await store(principal, others)
    for (const { recall } of [first, second]) {
      expect((await recall(principal, feline))[0]?.content).not.toBe(cats)
    }
    await first.execute(first.operations.store, principal, { content: cats })
    for (const { recall } of [second, first]) {
      expect((await recall(principal, feline))[0]?.content).toBe(cats)
    }
  })

  test('does not find what another process forgot just now', async () => {
    const principal = await fresh()
    const [first, second] = [process(), process()]
    const [id] = await store(principal, [cats, ...others])
    for (const { recall } of [first, second]) {
      expect((await recall(principal, feline))[0]?.content).toBe(cats)
    }
    await first.execute(first.operations.forget, principal, { ids: [id] })
    for (const { recall } of [second, first]) {
      const contents = (await recall(principal, feline)).map(({ content }) => content)
      expect(contents).not.toContain(cats)
    }
    // Nor does a vector of it stay behind in a process.
    for (const { sealedVectors } of [first, second]) expect(sealedVectors.held.vectors).toBe(2)
  })

  test('keeps no vector of what was forgotten while it was opened', async () => {
    const principal = await fresh()
    const [gone = ''] = await store(principal, [cats, ...others])
    const { sealedVectors } = process()
    const settings = await memory.namespaces.settings(principal)
    const openAll = (meanwhile: () => void) =>
      memory.test.scope.withNamespace(principal, { readOnly: true }, async (tx) => {
        const documents = await listSealedEmbeddings(tx, undefined, 10)
        const read = async <Row extends object>(...query: Parameters<Sql>): Promise<Row[]> => {
          const rows = await tx<Row>(...query)
          meanwhile()
          return rows
        }
        const place = { tx: Object.assign(read, tx), settings }
        await sealedVectors.of(settings).open(place, documents, new Unreadable())
      })
    await openAll(() => sealedVectors.forget(principal.namespace, [gone]))
    expect(sealedVectors.held.vectors).toBe(2)
    // What is asked of the database from then on is as good as ever.
    await openAll(() => undefined)
    expect(sealedVectors.held.vectors).toBe(3)
  })

  // An embedded database does one thing at a time: nothing comes in between.
  test.runIf(testEngine === 'postgres')(
    'answers with nothing that became private after its vector was found',
    async () => {
      const ada = await fresh({ agent: 'ada' })
      const bob = { ...ada, agent: 'bob' }
      const [id] = await store(ada, [cats, ...others])
      let arrive = (): void => undefined
      let goOn = (): void => undefined
      const arrived = new Promise<void>((resolve) => (arrive = resolve))
      const hidden = new Promise<void>((resolve) => (goOn = resolve))
      const database = interceptDatabase(memory.test.database, () => async (statement) => {
        if (statement.text.includes('uuid_send(c.id)')) {
          arrive()
          await hidden
        }
        return statement
      })
      const late = process({ scope: createScope(database, memory.test.contextKey) })
      const asked = late.recall(bob, feline)
      await arrived
      expect(late.sealedVectors.held.vectors).toBe(3)
      await memory.execute(memory.operations.edit, ada, { id, access: 'private' })
      goOn()
      expect((await asked).map(({ content }) => content)).not.toContain(cats)
      expect((await late.recall(ada, feline))[0]?.content).toBe(cats)
    },
  )

  test('many at once on a cold process agree', async () => {
    const principal = await fresh()
    await store(principal, [...notes, cats])
    const { recall } = process()
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => recall(principal, { ...feline, limit: 5 })),
    )
    const texts = answers.map((answer) => answer.map(({ content }) => content))
    expect(texts[0]?.[0]).toBe(cats)
    for (const text of texts) expect(text).toEqual(texts[0])
  })

  test('beyond what the process may hold searches the newest vectors, and the words of all', async () => {
    const principal = await fresh()
    await store(principal, [cats])
    await store(principal, others)
    const dimension = embedder.dimension
    // Room for two vectors of this dimension.
    const { recall } = process({ sealedVectors: new SealedVectors(2 * (dimension * 4 + 200)) })
    const [nearest] = await recall(principal, feline)
    expect(nearest?.content).not.toBe(cats)
    const [worded] = await recall(principal, { query: 'sofa', limit: 1 })
    expect(worded?.content).toBe(cats)
  })

  test('holds several namespaces within one limit', async () => {
    const sealedVectors = new SealedVectors(4 * 64 * (embedder.dimension * 4 + 150))
    const { recall } = process({ sealedVectors })
    const principals = []
    for (let at = 0; at < 6; at += 1) principals.push(await fresh())
    for (const principal of principals) await store(principal, [cats, ...others])
    for (let round = 0; round < 2; round += 1) {
      for (const principal of principals) {
        expect((await recall(principal, feline))[0]?.content).toBe(cats)
      }
    }
    expect(sealedVectors.held).toEqual({ namespaces: 4, vectors: 12 })
  })
})

describe('the database', () => {
  test('holds no vector in any encoding, while a plain namespace is caught by the same search', async () => {
    const [vector] = await embedder.embedDocuments([cats])
    if (!vector) throw new Error('the text has words')
    const holds = async (): Promise<string[]> => {
      const values = await everyValue(memory.test.owner)
      return encodingsOf(vector)
        .filter(({ bytes }) => values.some((value) => value.includes(bytes)))
        .map(({ name }) => name)
    }
    const sealed = await fresh()
    await store(sealed, [cats])
    expect(await countRows(memory, sealed, 'sealed_embeddings')).toBe(1)
    expect(await countRows(memory, sealed, 'embeddings')).toBe(0)
    expect(await holds()).toEqual([])
    const field = await fresh({ profile: 'field' })
    await store(field, [cats])
    expect(await holds()).not.toEqual([])
  })

  test.each([
    ['from another memory', `token = (select token from sealed_embeddings where document = $b)`],
    ['cut short', `token = substr(token, 1, length(token) - 16)`],
    ['of another column', `token = (select content from memories where document = $a)`],
    ['in plain', `token = decode(repeat('00', 400), 'hex')`],
  ])('with a vector %s searches the others and says which is damaged', async (_what, change) => {
    const principal = await fresh()
    const [first] = await store(principal, [cats, ...others])
    await memory.test.owner.ownerTransaction(async (sql, script) => {
      const rows = await sql<{ document: number }>`
        select document from mindglue.sealed_embeddings
        where namespace = ${principal.namespace} order by 1`
      const [a, b] = rows.map(
        ({ document }) => `${document} and namespace = ${principal.namespace}`,
      )
      const set = change.replaceAll('$a', a ?? '').replaceAll('$b', b ?? '')
      await script(`set local search_path = mindglue, public;
        update sealed_embeddings set ${set} where document = ${a}`)
    })
    const { execute, operations } = process()
    const ask = (query: string) => execute(operations.recall, principal, { query, limit: 1 })
    expect(await ask('feline')).toMatchObject({
      results: [{ content: expect.not.stringMatching(cats) as unknown }],
      unreadable: [first],
    })
    expect(await ask('a locomotive')).toMatchObject({ results: [{ content: others[1] }] })
    // Its words still find it.
    expect(await ask('sofa')).toMatchObject({ results: [{ content: cats }] })
  })
})

describe('upkeep', () => {
  test('an expired memory goes with its vector', async () => {
    const principal = await fresh()
    await memory.execute(memory.operations.store, principal, {
      memories: [{ content: cats, ttl_seconds: 1 }, { content: others[0] ?? '' }],
    })
    await memory.test.owner.ownerTransaction((sql) => {
      return sql`update mindglue.memories set expires_at = now() - interval '1 minute'
        where namespace = ${principal.namespace} and expires_at is not null`
    })
    const { signal } = new AbortController()
    const purge = { scope: memory.test.scope, metrics: memory.metrics, workers: 1 }
    await purgeNamespaces(purge, [principal.namespace], signal)
    expect(await countRows(memory, principal, 'sealed_embeddings')).toBe(1)
  })

  test('the vectors that an embedder owed are sealed too', async () => {
    const principal = await fresh()
    const failing: Embedder = {
      ...embedder,
      embedDocuments: () => Promise.reject(new Error('the model is away')),
    }
    const away = process({ embedder: failing })
    await away.execute(away.operations.store, principal, { content: cats })
    expect(await countRows(memory, principal, 'sealed_embeddings')).toBe(0)
    await embedPendingJob({
      scope: memory.test.scope,
      namespaces: memory.namespaces,
      embedder,
      metrics: memory.metrics,
      log: memory.log,
    }).run(new AbortController().signal)
    expect(await countRows(memory, principal, 'sealed_embeddings')).toBe(1)
    expect(await countRows(memory, principal, 'embeddings')).toBe(0)
    expect((await process().recall(principal, feline))[0]?.content).toBe(cats)
  })

  test('another embedder gets new vectors, and none of the old ones is searched', async () => {
    const principal = await fresh()
    const before = process()
    await store(principal, [cats, ...others])
    expect((await before.recall(principal, feline))[0]?.content).toBe(cats)
    // The opposite of every vector: what was nearest is now farthest.
    const other: Embedder = {
      model: 'static, turned round',
      dimension: embedder.dimension,
      embedDocuments: async (texts) =>
        (await embedder.embedDocuments(texts)).map(
          (vector) => vector?.map((value) => -value) ?? null,
        ),
      embedQuestion: (text) => embedder.embedQuestion(text),
    }
    const after = process({ embedder: other })
    const vectors = await reembed(
      { scope: memory.test.scope, namespaces: after.namespaces, embedder: other },
      principal,
      { signal: new AbortController().signal, onProgress: () => undefined },
    )
    expect(vectors).toBe(3)
    expect(await countRows(memory, principal, 'embeddings')).toBe(0)
    expect(await countRows(memory, principal, 'sealed_embeddings')).toBe(3)
    const again = process({ embedder: other, sealedVectors: before.sealedVectors })
    expect((await again.recall(principal, feline))[0]?.content).not.toBe(cats)
  })

  test('an export and an import carry a sealed namespace to another', async () => {
    const principal = await fresh()
    await store(principal, [cats, ...others])
    const admin = { scopes: ['admin'], channel: 'cli' } as const
    const { content } = await memory.execute(memory.operations.export, principal, {})
    const target = await fresh(admin)
    const lines = content
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    const { imported } = await memory.execute(memory.operations.import, target, { lines })
    expect(imported).toBe(3)
    expect(await countRows(memory, target, 'sealed_embeddings')).toBe(3)
    expect((await process().recall(target, feline))[0]?.content).toBe(cats)
  })
})
