/** What deleting a namespace promises: nobody finds it, nothing of it is left, and its keys are destroyed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import { removalJob, removeNamespace } from '../../src/jobs/removal.ts'
import { forsakeNamespace } from '../../src/namespaces/removal.sql.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
import { openProcess, openTestMemory, type TestMemory } from '../support/memory.ts'
import { insufficientPrivilege, raw, statementsOf } from '../support/statements.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const { signal } = new AbortController()
const dependencies = () => ({
  scope: memory.test.scope,
  vault: memory.vault,
  forget: (namespace: bigint) => {
    memory.namespaces.forget(namespace)
    memory.rankingTexts.forget(namespace)
    memory.sealedVectors.forget(namespace)
  },
})

/** A namespace with a row in every table that can have one. */
async function filled(name: string, profile: 'off' | 'field' | 'sealed'): Promise<Principal> {
  const who = await memory.principal({ namespaceName: name, profile })
  const root = { ...who, agent: 'root', scopes: new Set(allScopes) }
  const { operations, execute } = memory
  await execute(operations.store, who, {
    memories: [
      {
        content: 'Ada Lovelace lives in Lisbon.',
        tags: ['home'],
        access: 'public',
        ttl_seconds: 3600,
      },
      { content: 'A private note.', access: 'private', allowed_agents: ['grace'] },
    ],
    idempotency_key: 'first',
  })
  await execute(operations.forget, who, { everything: true })
  await execute(operations.keyIssue, root, { agent: 'bob' })
  const other = await memory.principal({ namespaceName: 'neighbour' })
  const neighbour = { ...other, agent: 'root', scopes: new Set(allScopes) }
  await execute(operations.grantCreate, root, { to: 'neighbour' })
  await execute(operations.grantCreate, neighbour, { to: name })
  return who
}

/** Rows that name the namespace, behind every policy. */
async function rowsLeft(namespace: bigint): Promise<Record<string, number>> {
  const { owner } = memory.test
  const tables = await owner.ownerTransaction(
    (sql) => sql<{ name: string }>`
      select c.relname as name from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'namespace'
      where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p') order by 1`,
  )
  const left: Record<string, number> = {}
  for (const { name } of tables) {
    const [row] = await owner.ownerTransaction(
      (sql) => sql<{ count: number }>`
        select count(*)::int as count from ${raw(`mindglue.${name}`)} t
        where t.namespace = ${namespace}`,
    )
    if (row && row.count > 0) left[name] = row.count
  }
  const [held] = await owner.ownerTransaction(
    (sql) => sql<{ count: number }>`
      select count(*)::int as count from mindglue.grants where grantee = ${namespace}`,
  )
  if (held && held.count > 0) left['grants held'] = held.count
  return left
}

describe.each(['off', 'field', 'sealed'] as const)('%s: a deleted namespace', (profile) => {
  test('leaves no row in any table, and its name is free for another', async () => {
    const who = await filled(`gone-${profile}`, profile)
    const before = await rowsLeft(who.namespace)
    expect(Object.keys(before)).toEqual(
      expect.arrayContaining([
        'api_keys',
        'audit_events',
        'confirmations',
        'due',
        'grants',
        'grants held',
        'idempotency_keys',
        'memories',
        'namespace_names',
        'postings',
        profile === 'sealed' ? 'sealed_embeddings' : 'embeddings',
      ]),
    )
    const rows = await removeNamespace(dependencies(), who.namespace, { signal })
    expect(rows).toBeGreaterThan(10)
    expect(await rowsLeft(who.namespace)).toEqual({})
    const again = await memory.principal({ namespaceName: `gone-${profile}` })
    expect(again.namespace).not.toBe(who.namespace)
    expect((await memory.execute(memory.operations.recall, again, {})).results).toEqual([])
  })

  test('is not found by a process that has its settings and its number', async () => {
    const who = await filled(`cached-${profile}`, profile)
    const other = openProcess(memory)
    await other.execute(other.operations.recall, who, {})
    await removeNamespace(dependencies(), who.namespace, { signal })
    const refused = { code: 'not_found' }
    await expect(other.execute(other.operations.recall, who, {})).rejects.toMatchObject(refused)
    const store = other.execute(other.operations.store, who, { content: 'Never there.' })
    await expect(store).rejects.toMatchObject(refused)
    expect(await rowsLeft(who.namespace)).toEqual({})
  })

  test.runIf(profile !== 'off')('has no epoch secret any more, for good', async () => {
    const who = await filled(`shredded-${profile}`, profile)
    expect(await memory.vault.keystore.get(who.namespace)).toBeDefined()
    await removeNamespace(dependencies(), who.namespace, { signal })
    expect(await memory.vault.keystore.get(who.namespace)).toBeUndefined()
    await expect(memory.vault.keystore.create(who.namespace)).rejects.toMatchObject({
      code: 'conflict',
    })
  })
})

test('what a killed process began the job finishes; nobody finds the namespace meanwhile', async () => {
  const who = await filled('killed', 'field')
  await memory.test.scope.withJob(jobPrincipal(who.namespace), {}, forsakeNamespace)
  expect(await memory.namespaces.find('killed')).toBeUndefined()
  await expect(memory.execute(memory.operations.recall, who, {})).rejects.toMatchObject({
    code: 'not_found',
  })
  expect(Object.keys(await rowsLeft(who.namespace))).toContain('memories')
  await memory.test.owner.ownerTransaction(
    (sql) =>
      sql`update mindglue.due set bucket = bucket - interval '1 hour' where kind = 'removal'`,
  )
  await removalJob(dependencies()).run(signal)
  expect(await rowsLeft(who.namespace)).toEqual({})
  expect(await memory.vault.keystore.get(who.namespace)).toBeUndefined()
})

test('its neighbours keep everything, and lose what it gave them alone', async () => {
  const who = await filled('beside', 'field')
  const neighbour = await memory.principal({ namespaceName: 'neighbour' })
  await memory.execute(memory.operations.store, neighbour, { content: 'Lisbon is ours.' })
  const ask = { query: 'Who is in Lisbon?', include_granted: true }
  const before = await memory.execute(memory.operations.recall, neighbour, ask)
  expect(before.results.map(({ namespace }) => namespace)).toContain('beside')
  await removeNamespace(dependencies(), who.namespace, { signal })
  const after = await memory.execute(memory.operations.recall, neighbour, ask)
  expect(after.results.map(({ namespace }) => namespace)).toEqual(['neighbour'])
  expect(after.unreachable).toBeUndefined()
})

test('no statement of a request deletes a namespace, whatever role it puts on', async () => {
  const who = await filled('kept', 'field')
  const hostile = statementsOf(memory.test)
  const mark = 'update namespaces set deleted_at = now()'
  for (const flags of ['-', 'a', 'aq']) {
    const as = hostile.agent(who.namespace, 'root', flags)
    expect(await hostile.stateOf(as, mark)).toBe(insufficientPrivilege)
    for (const call of [
      'namespace_forsake()',
      'namespace_erase_events(100)',
      'namespace_erase()',
    ]) {
      expect(await hostile.stateOf(as, `select ${call}`)).toBe(insufficientPrivilege)
      const asJob = await hostile.attempt(as, async (sql) => {
        await sql`set local role mindglue_job`
        return await sql<{ done: unknown }>`select ${raw(call)} as done`
      })
      expect([null, false, 0]).toContain(asJob[0]?.done)
    }
  }
  // Not even a job erases what nobody asked to delete.
  const job = hostile.agent(who.namespace, 'mindglue', 'aj')
  const erased = await hostile.attempt(job, async (sql) => {
    await sql`set local role mindglue_job`
    return await sql`select namespace_erase_events(100) as events, namespace_erase() as all`
  })
  expect(erased).toEqual([{ events: 0, all: false }])
})
