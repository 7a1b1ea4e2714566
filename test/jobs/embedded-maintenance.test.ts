/** The embedded engine's checkpoints and vacuum follow whatever changed, and nothing else. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { embedPendingJob } from '../../src/jobs/embed-pending.ts'
import { housekeepingJob } from '../../src/jobs/housekeeping.ts'
import { maintenanceJobs } from '../../src/jobs/maintenance.ts'
import { purgeJob, purgeNamespaces } from '../../src/jobs/purge.ts'
import { removalJob } from '../../src/jobs/removal.ts'
import type { Job } from '../../src/jobs/runner.ts'
import { partitionLimits } from '../../src/memory/vector-partitions.ts'
import { createEmbedder } from '../../src/pipeline/embed.ts'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
let principal: Principal
let jobs: readonly Job[]
let memoriesWritten = 0
let done: string[] = []
const { signal } = new AbortController()

beforeAll(async () => {
  memory = await openTestMemory()
  principal = await memory.principal()
  jobs = maintenanceJobs(recording(memory.test.database), () => memoriesWritten)
})
afterAll(() => memory.close())
beforeEach(async () => {
  await everyJob()
  await everyJob()
  done = []
})

/** The database itself; what it is asked to maintain is done and written down. */
function recording(database: Database): Database {
  return {
    dialect: database.dialect,
    transaction: (options, work) => database.transaction(options, work),
    status: () => database.status(),
    maintain: async (task, table) => {
      done.push(task)
      await database.maintain(task, table)
    },
    close: () => database.close(),
  }
}

async function everyJob(): Promise<void> {
  for (const job of jobs) await job.run(signal)
}

async function store(input: object): Promise<void> {
  await memory.execute(memory.operations.store, principal, input)
}

const both = ['checkpoint', 'vacuum']

test('where nothing changed nothing is done, however much is read, checkpointed and vacuumed', async () => {
  await memory.test.scope.withNamespace(principal, { readOnly: true }, (tx) => tx`select 1`)
  await memory.test.database.status()
  await memory.test.database.maintain('checkpoint')
  await memory.test.database.maintain('vacuum')
  await everyJob()
  expect(done).toEqual([])
})

test('jobs that find nothing to do are no change', async () => {
  const { namespaces, metrics, log, vault } = memory
  const { scope } = memory.test
  const embedder = createEmbedder({ embedder: 'static' })
  if (embedder === undefined) throw new Error('the static embedder ships with the program')
  const idle = [
    removalJob({ scope, vault, forget: () => undefined }),
    purgeJob({ scope, metrics, everySeconds: 1, workers: 1 }),
    embedPendingJob({ scope, namespaces, embedder, metrics, log }),
    housekeepingJob({
      scope,
      namespaces,
      metrics,
      log,
      touched: new Set(),
      limits: partitionLimits,
    }),
  ]
  for (const job of idle) await job.run(signal)
  await everyJob()
  done = []
  for (const job of idle) await job.run(signal)
  await everyJob()
  expect(done).toEqual([])
})

test('a first run does what an earlier process left', async () => {
  for (const job of maintenanceJobs(recording(memory.test.database), () => 0)) await job.run(signal)
  expect(done).toEqual(both)
})

test.each<[string, () => Promise<unknown>]>([
  ['a store', () => store({ content: 'The ladder is in the shed.' })],
  [
    'the audit row of a recall',
    () => memory.execute(memory.operations.recall, principal, { query: 'ladder' }),
  ],
  ['the audit row of an export', () => memory.execute(memory.operations.export, principal, {})],
  [
    'the audit row of a refusal',
    () =>
      memory
        .execute(memory.operations.store, { ...principal, scopes: new Set() }, { content: 'No.' })
        .catch(() => undefined),
  ],
  [
    'a purge',
    async () => {
      const { namespace } = principal
      await memory.test.owner.ownerTransaction(
        (sql) => sql`update mindglue.memories set expires_at = now() - interval '1 hour'
          where namespace = ${namespace}`,
      )
      await everyJob()
      done = []
      const { scope } = memory.test
      const purged = await purgeNamespaces(
        { scope, metrics: memory.metrics, workers: 1 },
        [namespace],
        signal,
      )
      expect(purged).toBeGreaterThan(0)
    },
  ],
])('%s is followed by a checkpoint and a vacuum, and soon by nothing', async (_, change) => {
  await change()
  await everyJob()
  expect(done).toEqual(both)
  await everyJob() // a vacuum that gave pages back is a change as well
  done = []
  await everyJob()
  expect(done).toEqual([])
})

test('what is written while a task runs is followed by another', async () => {
  const { database } = memory.test
  const writing: Database = {
    ...recording(database),
    maintain: async (task) => {
      done.push(task)
      if (done.length <= 2) await store({ content: `Written during task ${done.length}.` })
    },
  }
  const [, checkpoint] = maintenanceJobs(writing, () => 0)
  for (let run = 0; run < 5; run += 1) await checkpoint?.run(signal)
  expect(done).toEqual(['checkpoint', 'checkpoint', 'checkpoint'])
})

test('tables are analyzed each time the memories of this process doubled', async () => {
  for (memoriesWritten of [99, 100, 150, 199, 200, 399, 400]) await everyJob()
  expect(done.filter((task) => task === 'analyze')).toHaveLength(3)
})
