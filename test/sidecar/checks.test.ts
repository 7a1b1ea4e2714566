/** What `/health/ready` says of each dependency, and what an outage of one that may fail does to it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { watchEmbedder } from '../../src/pipeline/watched-embedder.ts'
import { readinessOf } from '../../src/sidecar/checks.ts'
import { createReadiness } from '../../src/sidecar/health.ts'
import { FlakyEmbedder } from '../support/flaky-embedder.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

function start(): { embedder: FlakyEmbedder; failures: unknown[]; ask: () => Promise<unknown> } {
  const embedder = new FlakyEmbedder()
  const failures: unknown[] = []
  const watched = watchEmbedder(embedder, (error) => failures.push(error))
  const { database } = memory.test
  const ask = createReadiness(readinessOf({ database, embedder: watched, redis: undefined }))
  return { embedder, failures, ask }
}

test('each dependency is named', async () => {
  expect(await start().ask()).toEqual({
    status: 'ready',
    checks: [
      { name: 'database', ok: true },
      { name: 'migrations', ok: true },
      { name: 'embedder', ok: true, optional: true },
    ],
  })
})

test('an embedder that fails is named, counted, and takes nobody out of service', async () => {
  const { embedder, failures, ask } = start()
  embedder.isDown = true
  const down = { name: 'embedder', ok: false, detail: 'unavailable', optional: true }
  expect(await ask()).toMatchObject({ status: 'ready', checks: [{}, {}, down] })
  expect(failures).toHaveLength(1)
})

test('probes ask an embedder once a minute, and believe its last answer meanwhile', async () => {
  const { embedder, failures, ask } = start()
  embedder.isDown = true
  for (let probe = 0; probe < 5; probe += 1) {
    expect(await ask()).toMatchObject({ checks: [{}, {}, { ok: false }] })
  }
  expect(failures).toHaveLength(1)
})

test('what the caller gave up is no failure of the embedder', async () => {
  const failures: unknown[] = []
  const embedder = new FlakyEmbedder()
  embedder.isDown = true
  const watched = watchEmbedder(embedder, (error) => failures.push(error))
  await expect(watched.embedQuestion('tea', AbortSignal.abort())).rejects.toThrow()
  expect([failures, watched.isAnswering()]).toEqual([[], true])
})
