/** A partition of one namespace against the others: no way in, nothing told, nothing made by the application. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sqlStateOf } from '../../src/database/faults.ts'
import { SqlFragment, type Sql } from '../../src/database/database.ts'
import { inspectDatabase } from '../../src/database/doctor.sql.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import { nearestDocuments } from '../../src/memory/embeddings.sql.ts'
import { embedStatic } from '../../src/pipeline/static-embedder.ts'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { behind, maintain, storeSentences } from '../support/partitions.ts'

const insufficientPrivilege = '42501'

let memory: TestMemory
let large: Principal
let small: Principal
let partition: string
beforeAll(async () => {
  memory = await openTestMemory({ profile: 'off' })
  large = await memory.principal({ namespaceName: 'large' })
  small = await memory.principal({ namespaceName: 'small' })
  await storeSentences(memory, large, 300)
  await storeSentences(memory, small, 30, 5)
  await maintain(memory, large)
  partition = `partitioned_embeddings_${large.namespace}`
})
afterAll(() => memory.close())

const statement = (text: string) => (sql: Sql) =>
  sql<{ rows: number }>`${new SqlFragment([text.replaceAll('PARTITION', partition)], [])}`

/** SQLSTATE of a statement in the namespace that has the partition; `done` when it is not refused. */
async function refusal(text: string, isJob: boolean): Promise<string | undefined> {
  const { withJob, withNamespace } = memory.test.scope
  const running = isJob
    ? withJob(jobPrincipal(large.namespace), {}, statement(text))
    : withNamespace(large, {}, statement(text))
  return running.then(
    () => 'done',
    (error: unknown) => sqlStateOf(error),
  )
}

describe.each([
  ['the application', false],
  ['a job', true],
])('%s', (_role, isJob) => {
  test.each([
    ['select * from PARTITION'],
    ['select count(*) from PARTITION'],
    [`insert into PARTITION select * from partitioned_embeddings`],
    ['update PARTITION set document = document + 1'],
    ['delete from PARTITION'],
    ['truncate PARTITION'],
    ['truncate partitioned_embeddings'],
    ['drop table PARTITION'],
    ['alter table PARTITION disable row level security'],
    ['alter table partitioned_embeddings detach partition PARTITION'],
    ['create index on PARTITION (document)'],
    ['create table mindglue.own partition of partitioned_embeddings for values in (7)'],
    ['alter table embeddings disable trigger mirror_delete'],
    [`insert into vector_partitions values (7, 100, 'ready')`],
    ['update vector_partitions set dimension = 5'],
  ])('is refused %s', async (text) => {
    expect(await refusal(text, isJob)).toBe(insufficientPrivilege)
  })
})

test.each([
  ['select vector_partition_build()'],
  ['select vector_partition_drop()'],
  [`select set_config('role', 'mindglue_owner', true)`],
  [`update vector_partitions set state = 'filling'`],
])('the application is refused %s', async (text) => {
  expect(await refusal(text, false)).toBe(insufficientPrivilege)
})

test('the role of the jobs without their signed mark makes and drops nothing', async () => {
  const made = await memory.test.scope.withNamespace(small, {}, async (tx) => {
    await tx`set local role mindglue_job`
    return tx<{ built: number | null; dropped: boolean }>`
      select vector_partition_build() as built, vector_partition_drop() as dropped`
  })
  expect(made).toEqual([{ built: null, dropped: false }])
  expect(await behind(memory, small)).toMatchObject({ isThere: false })
  expect(await behind(memory, large)).toMatchObject({ state: 'ready', different: 0 })
})

test('another namespace sees no row of it and no state, with and without a where', async () => {
  const counted = (principal: Principal, text: string) =>
    memory.test.scope.withNamespace(principal, {}, statement(text))
  for (const [text, own] of [
    ['select count(*)::int as rows from partitioned_embeddings', 300],
    [
      `select count(*)::int as rows from partitioned_embeddings where namespace = ${large.namespace}`,
      300,
    ],
    ['select count(*)::int as rows from vector_partitions', 1],
  ] as const) {
    expect(await counted(large, text)).toEqual([{ rows: own }])
    expect(await counted(small, text)).toEqual([{ rows: 0 }])
    expect(await memory.test.scope.withDirectory(statement(text))).toEqual([{ rows: 0 }])
  }
})

test('another namespace writes and deletes nothing in it', async () => {
  const { scope } = memory.test
  const intrusion = scope.withNamespace(
    small,
    {},
    (tx) => tx`
      insert into partitioned_embeddings
      select ${large.namespace}::bigint, 77, e.embedding from embeddings e limit 1`,
  )
  await expect(intrusion).rejects.toSatisfy((error) => sqlStateOf(error) === insufficientPrivilege)
  await scope.withNamespace(small, {}, (tx) => tx`delete from partitioned_embeddings`)
  await scope.withNamespace(small, {}, (tx) => tx`delete from embeddings where namespace = 0`)
  expect(await behind(memory, large)).toMatchObject({ copied: 300, different: 0 })
})

test('a small namespace gets the same plan and answer whatever its neighbours have', async () => {
  const vector = embedStatic('The garden gate is painted green.')
  if (vector === null) throw new Error('no known word')
  const ask = () =>
    memory.test.scope.withNamespace(small, {}, async (tx) => {
      const near = await nearestDocuments(tx, vector, undefined, 10)
      const plan = await tx<{ 'QUERY PLAN': string }>`
        explain (costs off) select document from partitioned_embeddings p
        where p.namespace = ${tx.namespace} limit 10`
      return { near, plan: plan.map((row) => row['QUERY PLAN']) }
    })
  const beside = await ask()
  await maintain(memory, large, undefined, { promoteAbove: 1e6, demoteBelow: 1e6 })
  const alone = await ask()
  await maintain(memory, large)
  expect(alone).toEqual(beside)
  expect(alone.plan.join('\n')).not.toContain(partition)
})

describe('the doctor finds', () => {
  test.each([
    [
      'a partition without forced policies',
      'alter table mindglue.PARTITION no force row level security',
      'alter table mindglue.PARTITION force row level security',
      'alter table mindglue.PARTITION enable row level security, force',
    ],
    [
      'a partition that the application may read',
      'grant select on mindglue.PARTITION to mindglue_app',
      'revoke select on mindglue.PARTITION from mindglue_app',
      'revoke all on mindglue.PARTITION from public, mindglue_app',
    ],
    [
      'an index that spans namespaces',
      `create index everyone on mindglue.embeddings
         using hnsw ((embedding::public.halfvec(100)) public.halfvec_ip_ops)`,
      'drop index mindglue.everyone',
      'drop index mindglue.everyone;',
    ],
  ])('%s', async (_name, weaken, mend, remedy) => {
    const script = (text: string) =>
      memory.test.owner.ownerTransaction((_sql, run) =>
        run(text.replaceAll('PARTITION', partition)),
      )
    expect(await inspectDatabase(memory.test.database)).toEqual([])
    await script(weaken)
    const found = await inspectDatabase(memory.test.database)
    await script(mend)
    expect(found.map((finding) => finding.remedy)).toEqual([
      expect.stringContaining(remedy.replaceAll('PARTITION', partition)),
    ])
    expect(found[0]?.severity).toBe('problem')
  })
})
