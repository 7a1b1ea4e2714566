/** A namespace as those see it who may enter: what it is to everybody, what it holds and how it changes to administrators. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { harbour, grantCalls } from '../support/grants.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const { run, agent, admin, pair, grant } = grantCalls(() => memory)

describe('the list of namespaces', () => {
  test('names the one that the credential opens, as whom, and what may be done there', async () => {
    const who = { ...(await agent('listed')), scopes: new Set(['memory:read'] as const) }
    expect((await run(memory.operations.namespaceList, who, {})).namespaces).toEqual([
      { name: 'listed', access: 'own', agent: 'ada', scopes: ['memory:read'] },
    ])
  })

  test('names who granted it something, once each, and only while that lasts', async () => {
    const { giver, holder, reader } = await pair('listing', harbour)
    const given = await grant(giver, holder)
    const second = await grant(giver, holder, { types: ['fact'] })
    const names = async () =>
      (await run(memory.operations.namespaceList, reader, {})).namespaces.map(
        ({ name, access, scopes }) => [name, access, scopes.length],
      )
    const own = ['listing-reader', 'own', 5]
    expect(await names()).toEqual([own, ['listing-home', 'granted', 1]])
    for (const { id } of [given, second]) await run(memory.operations.grantRevoke, giver, { id })
    expect(await names()).toEqual([own])
  })
})

describe('a namespace', () => {
  test('tells every reader how it keeps memories, and administrators alone what it holds', async () => {
    const read = async (who: Awaited<ReturnType<typeof agent>>) =>
      await run(memory.operations.namespaceRead, who, { name: 'told' })
    const known = {
      name: 'told',
      encryption: 'field',
      plan: 'free',
      policy: { credentials: 'redact', personal: 'flag' },
    }
    const seen = await read(await agent('told'))
    expect(seen).toMatchObject(known)
    expect(seen.usage).toBeUndefined()
    expect(await read(await admin('told'))).toMatchObject({
      ...known,
      usage: { memories: { held: 0 }, bytes: { held: 0 }, is_enforced: false },
    })
  })

  test('of others does not exist, even for an administrator with a name that is right', async () => {
    await agent('hidden')
    const { namespaceRead, namespaceSet } = memory.operations
    const policy = { credentials: 'allow' }
    const intruder = await admin('elsewhere')
    for (const name of ['hidden', 'nothing of the kind']) {
      const refused = { code: 'not_found', publicMessage: 'There is no such namespace for you.' }
      await expect(run(namespaceRead, intruder, { name })).rejects.toMatchObject(refused)
      await expect(run(namespaceSet, intruder, { name, policy })).rejects.toMatchObject(refused)
    }
  })

  test('is changed by its administrators: what is stored next follows, and the log says what it was', async () => {
    const { namespaceSet, namespaceRead, store, auditQuery } = memory.operations
    const [writer, owner] = [await agent('changed'), await admin('changed')]
    const change = { name: 'changed', policy: { personal: 'redact' } }
    await expect(run(namespaceSet, writer, change)).rejects.toMatchObject({
      code: 'insufficient_scope',
    })
    const policy = { credentials: 'redact', personal: 'redact' }
    expect(await run(namespaceSet, owner, change)).toEqual({ name: 'changed', policy })
    expect(await run(namespaceRead, writer, { name: 'changed' })).toMatchObject({ policy })
    const { results } = await run(store, writer, { content: 'Write to ada@example.org.' })
    expect(results[0]).toMatchObject({ found: [{ kind: 'email', action: 'redacted' }] })
    const { events } = await run(auditQuery, owner, { action: 'namespace.set' })
    expect(events.map(({ outcome, counts }) => ({ outcome, counts }))).toEqual([
      { outcome: 'ok', counts: { 'personal.redact': 1 } },
      { outcome: 'insufficient_scope', counts: {} },
    ])
  })

  test('is not changed by a request that says nothing, or a word that is no action', async () => {
    const owner = await admin('unchanged')
    for (const policy of [{}, { personal: 'delete' }]) {
      const set = run(memory.operations.namespaceSet, owner, { name: 'unchanged', policy })
      await expect(set).rejects.toMatchObject({ code: 'invalid_input' })
    }
  })

  test('that two administrators change at once has both changes', async () => {
    const owner = await admin('both')
    const set = (policy: object) =>
      run(memory.operations.namespaceSet, owner, { name: 'both', policy })
    await Promise.all([set({ credentials: 'refuse' }), set({ personal: 'allow' })])
    const read = await run(memory.operations.namespaceRead, owner, { name: 'both' })
    expect(read.policy).toEqual({ credentials: 'refuse', personal: 'allow' })
  })
})
