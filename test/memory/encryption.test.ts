/** Encrypted namespaces: what the database holds, what is refused, and that finding is as good as in plain ones. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { SqlFragment } from '../../src/database/database.ts'
import { createScope } from '../../src/database/scope.ts'
import { createExecute } from '../../src/execute.ts'
import { createNamespaces } from '../../src/namespaces/namespaces.ts'
import { openEncryption } from '../../src/namespaces/root-keys.ts'
import { createEmbedder } from '../../src/pipeline/embed.ts'
import { analyzerVersion } from '../../src/pipeline/terms.ts'
import type { Principal } from '../../src/principal.ts'
import { interceptDatabase } from '../support/intercept.ts'
import { noteRootKey, openProcess, openTestMemory, type TestMemory } from '../support/memory.ts'
import { openTestVault, type TestVault } from '../support/vault.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const rich = {
  content: 'Ada Lovelace hides the quartz key under the walnut bench in Lisbon.',
  raw_content: 'well, Ada hides the quartz key, you know, under the walnut bench',
  tags: ['heirloom'],
  metadata: { shelf: 'marmalade' },
  session: 'kitchen-council',
  speaker: 'Grace Hopper',
  source_url: 'https://example.org/quartz',
}
const words =
  /quartz|walnut|lisbon|lovelace|heirloom|marmalade|kitchen-council|hopper|example\.org/iu

async function store(principal: Principal, input: object): Promise<string> {
  const { results } = await memory.execute(memory.operations.store, principal, input)
  return results[0]?.id ?? ''
}

const read = (principal: Principal, id: string) =>
  memory.execute(memory.operations.recall, principal, { ids: [id] })

function change(statement: string): Promise<unknown> {
  return memory.test.owner.ownerTransaction(async (_, script) => {
    await script(`set local search_path = mindglue, public; ${statement}`)
  })
}

/** Every value of every table of the schema as text. */
async function everything(): Promise<string> {
  return await memory.test.owner.ownerTransaction(async (sql) => {
    const tables = await sql<{ name: string }>`
      select c.relname as name from pg_class c
      where c.relnamespace = 'mindglue'::regnamespace and c.relkind = 'r'`
    const texts: string[] = []
    for (const { name } of tables) {
      const rows = await sql<object>`select * from ${new SqlFragment([`mindglue.${name}`], [])}`
      for (const row of rows) {
        for (const value of Object.values(row) as unknown[]) {
          texts.push(Buffer.isBuffer(value) ? value.toString('latin1') : String(value))
        }
      }
    }
    return texts.join('\n')
  })
}

describe('the database', () => {
  test('holds no word of a memory in any table, and the caller reads all of them', async () => {
    const principal = await memory.principal({ namespaceName: 'rich' })
    const id = await store(principal, { ...rich, idempotency_key: 'walnut' })
    expect(await everything()).not.toMatch(words)
    const { results } = await read(principal, id)
    expect(results[0]).toMatchObject({ content: rich.content, metadata: rich.metadata })
  })

  test('holds no name of an entity, and holds each under one key', async () => {
    const principal = await memory.principal({ namespaceName: 'names' })
    await store(principal, { content: 'Margaret Hamilton met Katherine Johnson in Houston.' })
    await store(principal, { content: 'Margaret Hamilton wrote to Houston again.' })
    expect(await everything()).not.toMatch(/hamilton|katherine|houston/iu)
    const [row] = await memory.test.owner.ownerTransaction(
      (sql) => sql<{ entities: number; keys: number }>`
        select count(*)::int as entities, count(distinct key_token)::int as keys
        from mindglue.entities where namespace = ${principal.namespace}`,
    )
    expect(row?.entities).toBeGreaterThanOrEqual(3)
    expect(row?.keys).toBe(row?.entities)
  })

  test('keeps one key a version, which goes with the memory', async () => {
    const principal = await memory.principal({ namespaceName: 'one-key' })
    const id = await store(principal, { content: 'The violet folder is in the attic.' })
    const keys = () =>
      memory.test.owner.ownerTransaction(
        (sql) => sql`select from mindglue.memory_keys where namespace = ${principal.namespace}`,
      )
    expect(await keys()).toHaveLength(1)
    await memory.execute(memory.operations.forget, principal, { ids: [id] })
    expect(await keys()).toHaveLength(0)
  })
})

describe('a value that is not its own', () => {
  let principal: Principal
  let first: string
  let second: string
  beforeAll(async () => {
    principal = await memory.principal({ namespaceName: 'swapped' })
    first = await store(principal, { content: 'The red door is locked.', speaker: 'Ada' })
    second = await store(principal, { content: 'The blue door is open.', speaker: 'Ada' })
  })

  const refused = (id: string) =>
    expect(read(principal, id)).rejects.toThrow('A stored value could not be decrypted.')

  test.each([
    [
      'from another memory',
      (a: string, b: string) =>
        `content = (select content from memories where id = '${b}') where id = '${a}'`,
    ],
    ['from another column', (a: string) => `content = speaker where id = '${a}'`],
    ['in plain text', (a: string) => `content = 'a plain row' where id = '${a}'`],
    [
      'cut short',
      (a: string) => `content = substr(content, 1, length(content) - 1) where id = '${a}'`,
    ],
  ])('%s is refused, and its neighbour is read', async (_what, statement) => {
    await change(`create table backup as select * from memories where id = '${first}'`)
    await change(`update memories set ${statement(first, second)}`)
    await refused(first)
    expect((await read(principal, second)).results).toHaveLength(1)
    await change(`update memories m set content = b.content from backup b where m.id = b.id`)
    await change('drop table backup')
    expect((await read(principal, first)).results).toHaveLength(1)
  })

  test('a memory without its key is refused, not read as plain text', async () => {
    await change(`update memories set content = 'plain', speaker = null where id = '${first}';
      delete from memory_keys where id = '${first}'`)
    await refused(first)
    await change(`delete from memories where id = '${first}'`)
  })

  test('a memory under the key of another is refused', async () => {
    const third = await store(principal, { content: 'The green door is painted.' })
    await change(`update memory_keys set token = (select token from memory_keys where id = '${second}')
      where id = '${third}'`)
    await refused(third)
  })
})

describe('finding', () => {
  const notes = z
    .object({ notes: z.array(z.object({ content: z.string() })) })
    .parse(
      JSON.parse(readFileSync(new URL('../../assets/demo/notes.json', import.meta.url), 'utf8')),
    ).notes

  const embedder = createEmbedder({ embedder: 'static' })

  test('ranks an encrypted namespace as it ranks a plain one', async () => {
    const plain = createNamespaces(
      memory.test.scope,
      {
        profile: 'off',
        embedderModel: embedder?.model ?? 'none',
        embedderDimension: embedder?.dimension ?? 0,
        analyzerVersion,
      },
      memory.vault,
    )
    const namespaceName = 'plain-twin'
    await plain.resolve(namespaceName, { create: true })
    const off = await memory.principal({ namespaceName })
    const field = await memory.principal({ namespaceName: 'field-twin' })
    const contents = notes.map(({ content }) => ({ content }))
    for (const principal of [off, field]) {
      await memory.execute(memory.operations.store, principal, { memories: contents })
    }
    for (const query of ['When is the launch?', 'Who likes tea?', 'Wi-Fi code', 'the garden']) {
      const answers = []
      for (const principal of [off, field, field]) {
        const { results } = await memory.execute(memory.operations.recall, principal, { query })
        answers.push(results.map(({ content, score }) => [content, score]))
      }
      expect(answers[1]).toEqual(answers[0])
      expect(answers[2]).toEqual(answers[0])
    }
  })

  test('does not believe a text it decrypted before when its bytes were moved to another memory', async () => {
    const principal = await memory.principal({ namespaceName: 'moved' })
    const one = await store(principal, { content: 'The copper kettle whistles.' })
    const two = await store(principal, { content: 'The copper kettle is silent.' })
    const query = { query: 'copper kettle' }
    await memory.execute(memory.operations.recall, principal, query)
    await change(`update memories set content = (select content from memories where id = '${one}')
      where id = '${two}'`)
    expect(await memory.execute(memory.operations.recall, principal, query)).toMatchObject({
      results: [{ id: one, content: 'The copper kettle whistles.' }],
      unreadable: [two],
    })
  })
})

describe('a process', () => {
  let vault: TestVault
  beforeAll(async () => {
    vault = await openTestVault()
    await memory.test.owner.ownerTransaction((sql) => sql`delete from mindglue.root_keys`)
  })
  afterAll(async () => {
    await noteRootKey(memory.test.scope, memory.vault)
    vault.remove()
  })

  const configOf = (environment: Record<string, string>) =>
    loadConfig({
      DATABASE_URL: 'postgres://mindglue_app@127.0.0.1/unused',
      MINDGLUE_KEYSTORE_DIR: vault.keystoreDirectory,
      ...environment,
    })

  test('notes its root key at its first start and starts with it again', async () => {
    const config = configOf({ MINDGLUE_ROOT_KEY: vault.rootKeys })
    for (let start = 0; start < 2; start += 1) {
      const encryption = await openEncryption(config, memory.test.scope)
      expect(encryption).toMatchObject({ profile: 'field', isNew: false })
    }
  })

  test('refuses to start with another root key, and with none', async () => {
    const other = await openTestVault()
    for (const environment of [{ MINDGLUE_ROOT_KEY: other.rootKeys }, {}]) {
      await expect(openEncryption(configOf(environment), memory.test.scope)).rejects.toMatchObject({
        code: 'misconfigured',
      })
    }
    other.remove()
  })

  test('refuses a profile that needs a root key without one', () =>
    expect(
      openEncryption(configOf({ MINDGLUE_PROFILE: 'field' }), memory.test.scope),
    ).rejects.toMatchObject({
      code: 'misconfigured',
    }))

  test('makes no new root key where something was encrypted with another one', async () => {
    const keyDirectory = join(vault.keystoreDirectory, '..', 'empty')
    const config = loadConfig({ MINDGLUE_KEY_DIR: keyDirectory })
    await expect(openEncryption(config, memory.test.scope)).rejects.toMatchObject({
      code: 'misconfigured',
    })
    expect(() => readFileSync(join(keyDirectory, 'root-key'))).toThrow('ENOENT')
  })

  test('refuses a namespace whose keystore is gone, and one that was changed to plain', async () => {
    await noteRootKey(memory.test.scope, memory.vault)
    const principal = await memory.principal({ namespaceName: 'lost' })
    const id = await store(principal, { content: 'A note that stays readable.' })
    const ask = () =>
      openProcess(memory).execute(memory.operations.recall, principal, { ids: [id] })
    expect((await ask()).results).toHaveLength(1)
    await change(`update namespaces set profile = 'off' where namespace = ${principal.namespace}`)
    await expect(ask()).rejects.toMatchObject({ code: 'misconfigured' })
    await change(`update namespaces set profile = 'field' where namespace = ${principal.namespace}`)
    rmSync(join(memory.vault.keystoreDirectory, `${principal.namespace}`), { recursive: true })
    await expect(ask()).rejects.toMatchObject({ code: 'misconfigured' })
  })
})

test('what this process has just stored is ranked without being opened again', async () => {
  const sent: string[] = []
  const database = interceptDatabase(memory.test.database, () => (statement) => {
    sent.push(statement.text)
    return statement
  })
  const { log, metrics, namespaces, operations, rankingTexts } = memory
  const scope = createScope(database, memory.test.contextKey)
  const execute = createExecute({ scope, namespaces, log, metrics, onChange: () => undefined })
  const principal = await memory.principal({ namespaceName: 'fresh', profile: 'field' })
  await execute(operations.store, principal, { content: 'The ferry leaves at nine.' })
  const opened = async (): Promise<number> => {
    sent.length = 0
    const { results } = await execute(operations.recall, principal, { query: 'When is the ferry?' })
    expect(results).toHaveLength(1)
    return sent.filter((text) => text.includes('string_agg(coalesce(int4send(length(k.token)'))
      .length
  }
  expect(await opened()).toBe(0)
  rankingTexts.forget(principal.namespace)
  expect(await opened()).toBe(1)
})
