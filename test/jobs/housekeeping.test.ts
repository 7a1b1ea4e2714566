/** What upkeep promises: every namespace has its turn, and nothing that is spent stays. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { putArtifact, putClient } from '../../src/accounts/clients.sql.ts'
import { housekeepingJob } from '../../src/jobs/housekeeping.ts'
import { purgeJob } from '../../src/jobs/purge.ts'
import { readUsage } from '../../src/namespaces/namespaces.sql.ts'
import { partitionLimits } from '../../src/memory/vector-partitions.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { countRows } from '../support/rows.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const { signal } = new AbortController()

test('a namespace whose upkeep fails has another turn and keeps no other from its own', async () => {
  const principal = await memory.principal({ namespaceName: 'kept' })
  await memory.execute(memory.operations.store, principal, { content: 'Pears are on the shelf.' })
  const nowhere = 4_711n
  const touched = new Set([nowhere, principal.namespace])
  const { namespaces, metrics, log, test: database } = memory
  const { scope } = database
  await housekeepingJob({
    scope,
    namespaces,
    metrics,
    log,
    touched,
    limits: partitionLimits,
  }).run(signal)
  expect([...touched]).toEqual([nowhere])
  const usage = await scope.withNamespace(principal, { readOnly: true }, readUsage)
  expect(usage.memories).toBe(1)
})

test('clients, codes and tokens that have expired go, and none that is in force', async () => {
  const { namespaces, metrics, log, test: database } = memory
  const { scope, owner } = database
  const put = async (client: string, seconds: number) => {
    await scope.withDirectory((sql) => putClient(sql, client, '{}', seconds, 100))
    const artifact = { idHash: randomBytes(32), payload: randomBytes(80), grant: undefined }
    const lives = { lifeSeconds: seconds, clientSeconds: seconds }
    await scope.withDirectory((sql) => putArtifact(sql, { ...artifact, ...lives }))
  }
  await put('gone', -1)
  await put('here', 60)
  const dependencies = { scope, namespaces, metrics, log, limits: partitionLimits }
  await housekeepingJob({ ...dependencies, touched: new Set() }).run(signal)
  const left = await owner.ownerTransaction(
    (sql) => sql<{ id: string; artifacts: number }>`
      select c.id, (select count(*)::int from mindglue.oauth_artifacts) as artifacts
      from mindglue.oauth_clients c`,
  )
  expect(left).toEqual([{ id: 'here', artifacts: 1 }])
})

test('of clients that nobody let in the oldest make room, and none that somebody did', async () => {
  const { scope, owner } = memory.test
  for (const client of ['first', 'second', 'third']) {
    await scope.withDirectory((sql) => putClient(sql, client, '{}', 60, 2))
    await owner.ownerTransaction((_sql, script) =>
      script(`update mindglue.oauth_clients set used_at = now() where id = 'first';
        update mindglue.oauth_clients set read_at = read_at - interval '1 second'`),
    )
  }
  await scope.withDirectory((sql) => putClient(sql, 'fourth', '{}', 60, 2))
  const left = await owner.ownerTransaction(
    (sql) => sql<{ id: string }>`
      select c.id from mindglue.oauth_clients c where c.id <> 'here' order by c.id`,
  )
  expect(left.map(({ id }) => id)).toEqual(['first', 'fourth', 'third'])
})

test('spent idempotency keys and confirmations go, although nothing is written and no process remembers', async () => {
  const principal = await memory.principal({ namespaceName: 'idle' })
  await memory.execute(memory.operations.store, principal, {
    memories: [{ content: 'Pears are on the shelf.' }, { content: 'Apples are in the cellar.' }],
    idempotency_key: 'fruit',
  })
  await memory.execute(memory.operations.forget, principal, { everything: true })
  const left = async () => [
    await countRows(memory, principal, 'idempotency_keys'),
    await countRows(memory, principal, 'confirmations'),
  ]
  const purge = () => {
    const { metrics, test: database } = memory
    return purgeJob({ scope: database.scope, metrics, workers: 1, everySeconds: 1 }).run(signal)
  }
  await purge()
  expect(await left()).toEqual([1, 1])
  await memory.test.owner.ownerTransaction((_sql, script) =>
    script(`
      update mindglue.idempotency_keys set created_at = created_at - interval '49 hours';
      update mindglue.confirmations set expires_at = expires_at - interval '49 hours';
      update mindglue.due set bucket = bucket - interval '49 hours' where kind = 'expiry'`),
  )
  await purge()
  expect(await left()).toEqual([0, 0])
  expect(await countRows(memory, principal, 'memories')).toBe(2)
})
