/** What a namespace's own partition promises: it serves all the while, and no vector is lost or doubled. */
import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sampleQuestions } from '../../bench/support/sentences.ts'
import { housekeepingJob } from '../../src/jobs/housekeeping.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import { reembed } from '../../src/jobs/reembed.ts'
import { vectorsJob } from '../../src/jobs/vectors.ts'
import { insertEmbeddings, nearestDocuments } from '../../src/memory/embeddings.sql.ts'
import type { MemoryFilter } from '../../src/memory/memories.sql.ts'
import { demotePartition, type PartitionStep } from '../../src/memory/vector-partitions.ts'
import type { Embedder } from '../../src/pipeline/embed.ts'
import { embedStatic, embedStaticQuestion } from '../../src/pipeline/static-embedder.ts'
import type { Principal } from '../../src/principal.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { behind, maintain, smallLimits, storeSentences } from '../support/partitions.ts'
import { until } from '../support/until.ts'
import { storeVectors } from '../support/vectors.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory({ profile: 'off' })
})
afterAll(() => memory.close())

const questions = sampleQuestions(20)

/** Documents near each question, as the search finds them now. */
async function nearestTo(principal: Principal, filter?: MemoryFilter, limit = 10) {
  return memory.test.scope.withNamespace(principal, { readOnly: true }, async (tx) => {
    const lists: number[][] = []
    for (const question of questions) {
      const vector = embedStaticQuestion(question)
      if (vector === null) continue
      const found = await nearestDocuments(tx, vector, filter, limit)
      lists.push(found.map(({ document }) => document))
    }
    return lists
  })
}

async function forget(principal: Principal, ids: readonly string[]): Promise<void> {
  const { confirm_token: token } = await memory.execute(memory.operations.forget, principal, {
    ids: [...ids],
  })
  if (token === undefined) return
  await memory.execute(memory.operations.forget, principal, { confirm_token: token })
}

const whole = { state: 'ready', isThere: true, different: 0 }
const none = { state: null, isThere: false, copied: 0 }

describe('a namespace', () => {
  test('that outgrows the exact scan gets a partition, noted and made by the jobs', async () => {
    const principal = await memory.principal({ namespaceName: 'grows' })
    const touched = new Set([principal.namespace])
    const log = createLog({ level: 'silent' })
    const { scope } = memory.test
    const { namespaces, metrics } = memory
    const jobs = [
      housekeepingJob({ scope, namespaces, metrics, log, touched, limits: smallLimits }),
      vectorsJob({ scope, metrics, log, limits: smallLimits }),
    ]
    const run = async () => {
      touched.add(principal.namespace)
      for (const job of jobs) await job.run(new AbortController().signal)
      return behind(memory, principal)
    }
    const ids = await storeSentences(memory, principal, 200)
    expect(await run()).toMatchObject(none)

    ids.push(...(await storeSentences(memory, principal, 50, 7)))
    const exact = await nearestTo(principal)
    expect(await run()).toMatchObject({ ...whole, vectors: 250, copied: 250 })
    expect(await nearestTo(principal)).toEqual(exact)

    await forget(principal, ids.slice(0, 120))
    expect(await run()).toMatchObject({ ...whole, vectors: 130 })
    await forget(principal, ids.slice(120, 160))
    expect(await run()).toMatchObject({ ...none, vectors: 90 })

    const admin = await memory.principal({ namespaceName: 'grows', scopes: ['admin'] })
    const { events } = await memory.execute(memory.operations.auditQuery, admin, { limit: 100 })
    const actions = events.map(({ action }) => action).filter((name) => name.startsWith('vectors.'))
    expect(actions).toEqual(['vectors.demote', 'vectors.promote'])
    const text = await memory.metrics.text()
    expect(text).toContain('mindglue_vector_partitions_total{outcome="promoted"} 1')
    expect(text).toContain('mindglue_vector_partitions_total{outcome="demoted"} 1')
  })

  test('with a partition is searched there', async () => {
    const principal = await memory.principal({ namespaceName: 'searched' })
    await storeSentences(memory, principal, 400)
    expect(await maintain(memory, principal)).toBe('promoted')
    const before = await nearestTo(principal)
    const [first] = before[0] ?? []
    // What is missing from the copy alone is missing from the answer.
    await memory.test.owner.ownerTransaction(
      (sql) => sql`delete from mindglue.partitioned_embeddings
        where namespace = ${principal.namespace} and document = ${first ?? 0}`,
    )
    const after = await nearestTo(principal)
    expect(after[0]).not.toContain(first)
    expect(after[0]).toHaveLength(10)
  })

  test('keeps private memories out of its partition and finds them for their owner alone', async () => {
    const owner = await memory.principal({ namespaceName: 'private', agent: 'ada' })
    const other = await memory.principal({ namespaceName: 'private', agent: 'eve' })
    const [content = ''] = questions
    const { store } = memory.operations
    await memory.execute(store, owner, { content, access: 'private' })
    await storeSentences(memory, owner, 300)
    expect(await maintain(memory, owner)).toBe('promoted')
    await memory.execute(store, owner, { content: `${content} again`, access: 'private' })
    expect(await behind(memory, owner)).toMatchObject({ vectors: 302, copied: 300 })
    const isPrivate = (document: number) => document < 0
    expect((await nearestTo(owner))[0]?.filter(isPrivate)).toHaveLength(2)
    expect((await nearestTo(other)).flat().filter(isPrivate)).toEqual([])
  })

  test('with a partition keeps history out of it, also when access changes', async () => {
    const principal = await memory.principal({ namespaceName: 'edited' })
    const [id = ''] = await storeSentences(memory, principal, 210, 9)
    expect(await maintain(memory, principal)).toBe('promoted')
    const edit = (change: object) =>
      memory.execute(memory.operations.edit, principal, { id, ...change })
    await edit({ content: 'The lighthouse keeper paints his boat.' })
    expect(await behind(memory, principal)).toMatchObject({ ...whole, vectors: 210, copied: 210 })
    await edit({ access: 'private' })
    // The private one is compared by itself, and in no copy.
    expect(await behind(memory, principal)).toMatchObject({ vectors: 210, copied: 209 })
    await edit({ access: 'shared' })
    expect(await behind(memory, principal)).toMatchObject({ ...whole, vectors: 210, copied: 210 })
    const { results } = await memory.execute(memory.operations.recall, principal, {
      query: 'Who paints the boat?',
      limit: 1,
    })
    expect(results[0]).toMatchObject({ id, version: 4 })
  })

  test('that is to be deleted loses its partition at once', async () => {
    const principal = await memory.principal({ namespaceName: 'deleted' })
    await storeSentences(memory, principal, 250)
    await maintain(memory, principal)
    const job = { scope: memory.test.scope, principal: jobPrincipal(principal.namespace) }
    expect(await demotePartition(job)).toBe(true)
    expect(await behind(memory, principal)).toMatchObject({ ...none, vectors: 250 })
    expect(await demotePartition(job)).toBe(false)
  })
})

test('stores, recalls and forgets go on while the partition is made and taken away', async () => {
  const principal = await memory.principal({ namespaceName: 'busy' })
  await storeSentences(memory, principal, 600)
  const work = { isOver: false }
  const counts = { stored: 0, forgotten: 0, found: 0 }
  const writer = async (seed: number) => {
    for (let round = 0; !work.isOver; round += 1) {
      const ids = await storeSentences(memory, principal, 4, seed + round)
      counts.stored += ids.length
      await forget(principal, ids.slice(0, 2))
      counts.forgotten += 2
    }
  }
  const reader = async () => {
    for (let round = 0; !work.isOver; round += 1) {
      const { results } = await memory.execute(memory.operations.recall, principal, {
        query: questions[round % questions.length],
      })
      if (results.length > 0) counts.found += 1
      await setImmediate()
    }
  }
  const clients = [writer(1_000), writer(500_000), reader()]
  try {
    for (let round = 0; round < 3; round += 1) {
      // A writer may hold a lock of the parent for a moment: the job comes back as well.
      await until(async () => (await maintain(memory, principal)) === 'promoted')
      expect(await behind(memory, principal)).toMatchObject(whole)
      const gone = { promoteAbove: 1_000_000, demoteBelow: 1_000_000 }
      if (round < 2) {
        await until(async () => {
          return (await maintain(memory, principal, undefined, gone)) === 'demoted'
        })
      }
    }
  } finally {
    work.isOver = true
    await Promise.all(clients)
  }
  expect(counts.found).toBeGreaterThan(0)
  expect(await behind(memory, principal)).toMatchObject({
    ...whole,
    vectors: 600 + counts.stored - counts.forgotten,
  })
})

test('a store that began before the partition and ends after it is in it', async () => {
  const principal = await memory.principal({ namespaceName: 'late' })
  await storeSentences(memory, principal, 250)
  let isWritten = false
  let mayEnd = false
  const vector = embedStatic('A vector that waits for its commit.')
  if (vector === null) throw new Error('no known word')
  const late = memory.test.scope.withNamespace(principal, {}, async (tx) => {
    await insertEmbeddings(tx, [{ document: 9_999, embedding: vector }])
    isWritten = true
    await until(() => mayEnd)
  })
  await until(() => isWritten)
  const steps: PartitionStep[] = []
  const promotion = maintain(memory, principal, (step) => steps.push(step))
  await until(() => steps.includes('built'))
  expect(await behind(memory, principal)).toMatchObject({ state: 'filling', copied: 250 })
  mayEnd = true
  await late
  expect(await promotion).toBe('promoted')
  expect(await behind(memory, principal)).toMatchObject({ ...whole, copied: 251 })
})

describe('ended in the middle, the next run goes on:', () => {
  class Killed extends Error {}

  test.each<PartitionStep>(['built', 'settled', 'mended', 'opened'])('after %s', async (step) => {
    const principal = await memory.principal({ namespaceName: `killed-${step}` })
    const ids = await storeSentences(memory, principal, 250)
    const kill = (done: PartitionStep) => {
      if (done === step) throw new Killed()
    }
    await expect(maintain(memory, principal, kill)).rejects.toThrow(Killed)
    // Writes in between reach both or neither.
    await storeSentences(memory, principal, 20, 9)
    await forget(principal, ids.slice(0, 10))
    const { results } = await memory.execute(memory.operations.recall, principal, {
      query: questions[0],
    })
    expect(results.length).toBeGreaterThan(0)
    expect(['promoted', 'unchanged']).toContain(await maintain(memory, principal))
    expect(await behind(memory, principal)).toMatchObject({ ...whole, vectors: 260 })
  })

  test('after it was given up and before it is dropped', async () => {
    const principal = await memory.principal({ namespaceName: 'killed-dropped' })
    await storeSentences(memory, principal, 250)
    await maintain(memory, principal)
    const exact = await nearestTo(principal)
    await memory.test.owner.ownerTransaction(
      (sql) => sql`delete from mindglue.vector_partitions where namespace = ${principal.namespace}`,
    )
    // From here on the copy is stale: nobody may look at it or write to it.
    await storeSentences(memory, principal, 20, 9)
    expect(await behind(memory, principal)).toMatchObject({ state: null, copied: 250 })
    expect((await nearestTo(principal)).flat()).toEqual(expect.arrayContaining(exact[0] ?? []))
    const kill = (done: PartitionStep) => {
      if (done === 'dropped') throw new Killed()
    }
    await expect(maintain(memory, principal, kill)).rejects.toThrow(Killed)
    expect(await behind(memory, principal)).toMatchObject(none)
    expect(await maintain(memory, principal)).toBe('promoted')
    expect(await behind(memory, principal)).toMatchObject({ ...whole, vectors: 270 })
  })

  test('by a lost connection while it builds: nothing is left over', async () => {
    const principal = await memory.principal({ namespaceName: 'killed-building' })
    await memory.test.owner.ownerTransaction(
      (sql) => sql`
        insert into mindglue.embeddings (namespace, document, embedding)
        select ${principal.namespace}, d,
          (select array_agg(random() - 0.5 + g * 0) from generate_series(1, 100) g where d > 0)::vector::halfvec
        from generate_series(1, 3000) d`,
    )
    const ended = maintain(memory, principal).catch((error: unknown) => error)
    await until(async () => {
      const killed = await memory.test.owner.ownerTransaction(
        (sql) => sql`
          select pg_terminate_backend(p.pid) from pg_stat_progress_create_index p
          where p.datname = current_database()`,
      )
      return killed.length > 0
    })
    expect(await ended).toBeInstanceOf(Error)
    await until(async () => !(await behind(memory, principal)).isThere)
    expect(await behind(memory, principal)).toMatchObject({ ...none, vectors: 3000 })
    expect(await maintain(memory, principal)).toBe('promoted')
    expect(await behind(memory, principal)).toMatchObject({ ...whole, vectors: 3000 })
  })
})

test('several processes at once make one partition', async () => {
  const principal = await memory.principal({ namespaceName: 'several' })
  await storeSentences(memory, principal, 300)
  const outcomes = await Promise.all(Array.from({ length: 4 }, () => maintain(memory, principal)))
  expect(outcomes).toContain('promoted')
  expect(outcomes).not.toContain('demoted')
  expect(await behind(memory, principal)).toMatchObject({ ...whole, vectors: 300 })
})

test('another embedder gives the partition up and gets its own', async () => {
  const principal = await memory.principal({ namespaceName: 'reembedded' })
  await storeSentences(memory, principal, 250)
  await maintain(memory, principal)
  const short: Embedder = {
    model: 'short-5d',
    dimension: 5,
    embedDocuments: (texts) => Promise.resolve(texts.map(shortVector)),
    embedQuestion: (text) => Promise.resolve(shortVector(text)),
  }
  const { scope } = memory.test
  await reembed({ scope, namespaces: memory.namespaces, embedder: short }, principal, {
    signal: new AbortController().signal,
    onProgress: () => undefined,
  })
  expect(await behind(memory, principal)).toMatchObject({ state: null, vectors: 250 })
  expect(await maintain(memory, principal)).toBe('promoted')
  expect(await behind(memory, principal)).toMatchObject({ ...whole, copied: 250 })
})

function shortVector(text: string): Float32Array {
  const raw = Array.from({ length: 5 }, (_, index) => (text.codePointAt(index) ?? 0) % 17)
  const length = Math.hypot(...raw)
  return Float32Array.from(raw, (value) => value / length)
}

describe('with a filter', () => {
  let principal: Principal
  const half = 3_000
  beforeAll(async () => {
    principal = await memory.principal({ namespaceName: 'filtered' })
    await storeSentences(memory, principal, 100)
    // Many memories at a low cost: copies of one row, each with a vector of a sentence of its own.
    await memory.test.owner.ownerTransaction(
      (sql) => sql`
        insert into mindglue.memories
        select (r.made).* from (
          select jsonb_populate_record(null::mindglue.memories, to_jsonb(m) || jsonb_build_object(
            'id', gen_random_uuid(), 'document', 1000 + d,
            'dedupe_key', '\\x' || lpad(to_hex(d), 8, '0'),
            'type', case when d % 50 = 0 then 'task' when d % 2 = 0 then 'event' else 'note' end
          )) as made
          from (select * from mindglue.memories where namespace = ${principal.namespace} limit 1) m
          cross join generate_series(1, ${2 * half}::int) d) r`,
    )
    await storeVectors(memory, principal, 2 * half, 1_000)
    expect(await maintain(memory, principal)).toBe('promoted')
  })

  /** The same search with the partition out of sight. */
  async function exactly(filter: MemoryFilter | undefined): Promise<number[][]> {
    const hide = (state: string) =>
      memory.test.owner.ownerTransaction(
        (sql) => sql`update mindglue.vector_partitions set state = ${state}
          where namespace = ${principal.namespace}`,
      )
    await hide('filling')
    try {
      return await nearestTo(principal, filter, 300)
    } finally {
      await hide('ready')
    }
  }

  test.each([
    ['few memories', { types: ['task'] }],
    ['half of them', { types: ['note'] }],
    ['none', { types: ['procedure'] }],
    ['nearly all', { types: ['note', 'event'] }],
  ])('that keeps %s no memory is missing', async (_name, filter) => {
    const exact = await exactly(filter)
    const found = await nearestTo(principal, filter, 300)
    expect(found.map((list) => list.length)).toEqual(exact.map((list) => list.length))
    const share = found.flatMap((list, index) => {
      const near = new Set(list)
      return (exact[index] ?? []).slice(0, 10).map((document) => Number(near.has(document)))
    })
    const recall = share.reduce((sum, hit) => sum + hit, 0) / Math.max(1, share.length)
    expect(share.length === 0 || recall >= 0.97).toBe(true)
  })
})
