/** Progress of a batch store, as both official clients see it over HTTP and over a stream. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { batchItemsMax } from '../../src/memory/memory.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { connections, type Caller, type ReportedProgress } from '../support/clients.ts'
import { until } from '../support/until.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

/** The share of a batch that is told when every memory was derived. */
const derived = Math.floor(batchItemsMax / 3)

function memories(of: string, sentences = 3) {
  const sentence = 'Ada met Grace in Lisbon last Friday and they moved the launch by two weeks. '
  return Array.from({ length: batchItemsMax }, (_, index) => ({
    content: `${of} ${index}: ${sentence.repeat(sentences)}`,
  }))
}

describe.each(connections)('$name', ({ name, open }) => {
  let caller: Caller
  beforeAll(async () => {
    caller = await open(app)
  })
  afterAll(() => caller.close())

  test('a batch of 500 tells how many memories are done, rising until all are', async () => {
    const reports: ReportedProgress[] = []
    const answer = await caller.call('store', { memories: memories(name) }, (report) =>
      reports.push(report),
    )
    expect(answer.structured).toMatchObject({ stored: batchItemsMax })
    const done = reports.map(({ progress }) => progress)
    expect(done).toEqual([...new Set(done)].toSorted((a, b) => a - b))
    expect(new Set(reports.map(({ total }) => total))).toEqual(new Set([batchItemsMax]))
    expect(done[0], 'the first report comes on the way').toBeLessThan(derived)
    expect(done.at(-1)).toBe(batchItemsMax)
  })

  test('a batch that had been stored before ends with all of it done as well', async () => {
    const reports: ReportedProgress[] = []
    const input = { memories: memories(`again ${name}`).slice(0, 3), idempotency_key: name }
    await caller.call('store', input)
    const answer = await caller.call('store', input, (report) => reports.push(report))
    expect(z.object({ replayed: z.boolean() }).parse(answer.structured).replayed).toBe(true)
    expect(reports.at(-1)).toMatchObject({ progress: 3, total: 3 })
  })
})

test('other requests get their answer while a batch is being derived', async () => {
  const [connection] = connections
  const caller = await connection?.open(app)
  let done = 0
  const batch = caller?.call('store', { memories: memories('busy', 12) }, ({ progress }) => {
    done = progress
  })
  await until(() => done > 0)
  await caller?.call('recall', { limit: 1 })
  expect(done).toBeLessThan(derived)
  await batch
  await caller?.close()
})
