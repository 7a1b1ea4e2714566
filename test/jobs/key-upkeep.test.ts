/** Keys wrapped anew, let go and destroyed, and encryption turned on, while the namespace serves. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Keyring } from '../../src/crypto/keyring.ts'
import { contentKeySlot } from '../../src/crypto/namespace-keys.ts'
import { parseRootKeys } from '../../src/crypto/root-ring.ts'
import type { Vault } from '../../src/crypto/vault.ts'
import { createKeyUpkeep, type KeyUpkeep } from '../../src/jobs/key-upkeep.ts'
import type { UpkeepOptions } from '../../src/jobs/rewrap.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
import { noteRootKey, openProcess, openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const quiet = (): UpkeepOptions => ({
  signal: new AbortController().signal,
  onProgress: () => undefined,
})

/** The upkeep of a process whose ring is `rootKeys`, on the installation's keystore. */
function processWith(rootKeys = memory.vault.rootKeys): ReturnType<typeof openProcess> & {
  readonly upkeep: KeyUpkeep
  readonly vault: Vault
} {
  const vault = {
    keyring: new Keyring(parseRootKeys(rootKeys)),
    keystore: memory.vault.keystore,
  }
  const opened = openProcess(memory, { vault })
  const rewriteTables = async (): Promise<boolean> => {
    if (memory.test.engine === 'postgres') return false
    await memory.test.database.maintain('rewrite', 'mindglue.memories')
    return true
  }
  const { scope } = memory.test
  const { namespaces } = opened
  const upkeep = createKeyUpkeep({ scope, namespaces, vault, rewriteTables })
  return { ...opened, upkeep, vault }
}

async function storeMany(principal: Principal, count: number, word: string): Promise<string[]> {
  const { results } = await memory.execute(memory.operations.store, principal, {
    memories: Array.from({ length: count }, (_, index) => ({
      content: `Ada Lovelace keeps the ${word} number ${index} in Lisbon.`,
      speaker: 'Grace Hopper',
    })),
  })
  return results.map(({ id }) => id)
}

async function contentsOf(
  process: Pick<ReturnType<typeof openProcess>, 'execute'>,
  principal: Principal,
  ids: readonly string[],
): Promise<string[]> {
  const { recall } = memory.operations
  const { results } = await process.execute(recall, principal, { ids: [...ids].slice(0, 100) })
  return results.map(({ content }) => content)
}

function keyRows(principal: Principal) {
  return memory.test.owner.ownerTransaction(
    (sql) => sql<{ id: string; version: number; key_id: number; epoch: number; token: Buffer }>`
      select id, version, key_id, epoch, token from mindglue.memory_keys
      where namespace = ${principal.namespace} order by id`,
  )
}

describe('rotation', () => {
  // What is tested below writes with it again.
  afterAll(() => noteRootKey(memory.test.scope, memory.vault))
  let principal: Principal
  let ids: string[]
  const newKey = randomBytes(32).toString('base64')
  beforeAll(async () => {
    principal = await memory.principal({ namespaceName: 'rotated' })
    ids = await storeMany(principal, 500, 'lantern')
    ids.push(...(await storeMany(principal, 400, 'lantern and candle')))
  })

  test('stops where it is told to, and the next run wraps the rest', async () => {
    const { upkeep } = processWith(`${newKey} ${memory.vault.rootKeys}`)
    const stop = new AbortController()
    const halfway = upkeep.rewrap({ signal: stop.signal, onProgress: () => stop.abort() })
    await expect(halfway).rejects.toThrow()
    const isOld = ({ key_id: id }: { key_id: number }) => memory.vault.keyring.keyIds.includes(id)
    const between = await keyRows(principal)
    expect(between.filter(isOld).length).toBeGreaterThan(0)
    const { keys } = await upkeep.rewrap(quiet())
    expect(keys).toBeGreaterThan(0)
    expect((await keyRows(principal)).filter(isOld)).toEqual([])
    expect(await upkeep.rewrap(quiet())).toEqual({ keys: 0 })
  })

  test('leaves content and index as they were, readable with the new key alone', async () => {
    const process = processWith(newKey)
    expect(await contentsOf(process, principal, ids)).toHaveLength(100)
    const { results } = await process.execute(memory.operations.recall, principal, {
      query: 'Who keeps lantern number 77?',
    })
    expect(results[0]?.content).toContain('number 77 ')
  })

  test('lets the old key go only when nothing is wrapped with it', async () => {
    const { upkeep, execute } = processWith(`${newKey} ${memory.vault.rootKeys}`)
    const [old = 0] = memory.vault.keyring.keyIds
    const other = await memory.principal({ namespaceName: 'still-old' })
    await storeMany(other, 1, 'candle')
    const stale = processWith()
    await stale.execute(memory.operations.store, other, { content: 'Settings are known now.' })
    await expect(upkeep.retire(old)).rejects.toMatchObject({ code: 'conflict' })
    const plain = await memory.principal({ namespaceName: 'never-encrypted', profile: 'off' })
    const retired = async (who: Principal) => {
      const reader = { ...who, scopes: new Set(allScopes) }
      const asked = { action: 'keys.retire' }
      return (await execute(memory.operations.auditQuery, reader, asked)).events
    }
    expect(await retired(other)).toEqual([])
    const { writing } = await upkeep.status()
    await expect(upkeep.retire(writing)).rejects.toMatchObject({ code: 'conflict' })
    await upkeep.rewrap(quiet())
    await upkeep.retire(old)
    expect((await upkeep.status()).in_use).not.toContain(old)
    for (const concerned of [principal, other]) {
      expect(await retired(concerned)).toMatchObject([
        { outcome: 'ok', channel: 'job', counts: { root_key: old } },
      ])
    }
    expect(await retired(plain)).toEqual([])
    // A process that was not restarted with the new key writes nothing that nobody could read.
    const late = stale.execute(memory.operations.store, other, { content: 'Too late.' })
    await expect(late).rejects.toMatchObject({ code: 'internal' })
    expect((await keyRows(other)).filter(({ key_id: id }) => id === old)).toEqual([])
    const made = stale.namespaces.create('made too late')
    await expect(made).rejects.toMatchObject({ code: 'misconfigured' })
  })
})

describe('shredding', () => {
  test('makes what was forgotten unreadable even with every key of today', async () => {
    const principal = await memory.principal({ namespaceName: 'shredded' })
    const [kept = '', gone = ''] = await storeMany(principal, 2, 'secret')
    const before = await keyRows(principal)
    await memory.execute(memory.operations.forget, principal, { ids: [gone] })
    const { upkeep, namespaces, vault } = processWith()
    const opens = async (id: string): Promise<boolean> => {
      const row = before.find((each) => each.id === id)
      const { keys } = await namespaces.settings(principal, Number.MAX_SAFE_INTEGER)
      if (row === undefined || keys === undefined) throw new Error('nothing to open')
      try {
        keys.openContentKey(contentKeySlot(id, row.version), row.token)
        return true
      } catch {
        return false
      }
    }
    expect(await opens(gone)).toBe(true)
    expect(await upkeep.shred(principal, quiet())).toEqual({ keys: 4 })
    expect(await opens(gone)).toBe(false)
    expect(await vault.keystore.get(principal.namespace)).toHaveLength(1)
    expect(await contentsOf(memory, principal, [kept])).toHaveLength(1)
  })

  test('goes on while other processes read and write with the settings of before', async () => {
    const principal = await memory.principal({ namespaceName: 'busy' })
    const ids = await storeMany(principal, 120, 'kettle')
    const stale = [processWith(), processWith()]
    for (const each of stale) await contentsOf(each, principal, ids)
    const { upkeep } = processWith()
    const over = new AbortController()
    const working = stale.map(async (each, worker) => {
      for (let round = 0; !over.signal.aborted; round += 1) {
        const { store } = memory.operations
        const content = `Worker ${worker} wrote note ${round} meanwhile.`
        const stored = await each.execute(store, principal, { content })
        ids.push(stored.results[0]?.id ?? '')
        const sample = ids.slice(-20)
        expect(await contentsOf(each, principal, sample)).toHaveLength(sample.length)
      }
    })
    try {
      for (let epoch = 0; epoch < 2; epoch += 1) await upkeep.shred(principal, quiet())
    } finally {
      over.abort()
    }
    await Promise.all(working)
    for (let start = 0; start < ids.length; start += 100) {
      const page = ids.slice(start, start + 100)
      expect(await contentsOf(memory, principal, page)).toHaveLength(page.length)
    }
  })

  test('that was killed half way is finished by the next run, which ends the epoch it began too', async () => {
    const principal = await memory.principal({ namespaceName: 'half-shredded' })
    const ids = await storeMany(principal, 3, 'ribbon')
    await memory.vault.keystore.rotate(principal.namespace)
    const { upkeep, namespaces, vault, execute } = processWith()
    await namespaces.settings(principal, Number.MAX_SAFE_INTEGER)
    const { store, forget } = memory.operations
    const late = await execute(store, principal, { content: 'Written after the kill.' })
    const [gone] = late.results.map(({ id }) => id)
    const secret = (await keyRows(principal)).find(({ id }) => id === gone)
    expect(secret?.epoch).toBe(2)
    await execute(forget, principal, { ids: [gone] })
    expect(await upkeep.shred(principal, quiet())).toEqual({ keys: 6 })
    const epochs = await vault.keystore.get(principal.namespace)
    expect(epochs?.map(({ epoch }) => epoch)).toEqual([3])
    const { keys } = await namespaces.settings(principal, Number.MAX_SAFE_INTEGER)
    const slot = contentKeySlot(secret?.id ?? '', secret?.version ?? 0)
    expect(() => keys?.openContentKey(slot, secret?.token ?? Buffer.of())).toThrow()
    expect(await contentsOf(memory, principal, ids)).toHaveLength(3)
  })
})

describe('turning encryption on', () => {
  let plain: TestMemory
  let principal: Principal
  let ids: string[]
  beforeAll(async () => {
    plain = await openTestMemory({ profile: 'off' })
    principal = await plain.principal({ namespaceName: 'was-plain' })
    const { results } = await plain.execute(plain.operations.store, principal, {
      memories: Array.from({ length: 250 }, (_, index) => ({
        content: `Katherine Johnson filed marigold report ${index} in Houston.`,
        raw_content: 'um, marigold',
        tags: ['marigold'],
        metadata: { drawer: 'marigold' },
        session: 'marigold-week',
        speaker: 'Dorothy Vaughan',
        // Private memories are numbered apart (namespaces/documents.ts).
        ...(index % 5 === 0 && { access: 'private' }),
      })),
    })
    ids = results.map(({ id }) => id)
  })
  afterAll(() => plain.close())

  const words = async (): Promise<number> => {
    const [row] = await plain.test.owner.ownerTransaction(
      (sql) => sql<{ found: number }>`
        select (select count(*)::int from mindglue.memories where position('marigold'::bytea in content) > 0
            or position('marigold'::bytea in coalesce(raw_content, '')) > 0
            or position('marigold'::bytea in coalesce(tags, '')) > 0
            or position('marigold'::bytea in coalesce(metadata, '')) > 0
            or position('marigold'::bytea in coalesce(session_label, '')) > 0
            or position('Vaughan'::bytea in coalesce(speaker, '')) > 0)
          + (select count(*)::int from mindglue.entities
            where position('johnson'::bytea in name) > 0) as found`,
    )
    return row?.found ?? -1
  }

  function upkeepOf(): KeyUpkeep {
    const { scope } = plain.test
    const { namespaces } = openProcess(plain)
    return createKeyUpkeep({
      scope,
      namespaces,
      vault: plain.vault,
      rewriteTables: () => Promise.resolve(false),
    })
  }

  test('serves both kinds of rows while it runs, also after it was stopped in the middle', async () => {
    const before = await plain.execute(plain.operations.recall, principal, { query: 'report 7' })
    const stop = new AbortController()
    const first = upkeepOf().encrypt(principal, {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    })
    await expect(first).rejects.toThrow()
    expect(await words()).toBeGreaterThan(0)
    const process = openProcess(plain)
    const stored = await process.execute(plain.operations.store, principal, {
      content: 'A marigold note from the middle.',
    })
    expect(stored.stored).toBe(1)
    const between = await process.execute(plain.operations.recall, principal, { query: 'report 7' })
    expect(between.results[0]?.id).toBe(before.results[0]?.id)
    const duplicate = await process.execute(plain.operations.store, principal, {
      content: 'A marigold note from the middle.',
    })
    expect(duplicate.duplicates).toBe(1)
  })

  test('takes nothing for plain beyond what was there when it began', async () => {
    const move = (by: number) =>
      plain.test.owner.ownerTransaction(
        (sql) => sql`update mindglue.namespace_keys set plain_below = plain_below + ${by}::int
          where namespace = ${principal.namespace}`,
      )
    await move(1)
    const { recall } = plain.operations
    const read = () => openProcess(plain).execute(recall, principal, { ids: ids.slice(0, 1) })
    await expect(read()).rejects.toMatchObject({ code: 'internal' })
    await expect(upkeepOf().encrypt(principal, quiet())).rejects.toMatchObject({ code: 'internal' })
    await move(-1)
    expect((await read()).results).toHaveLength(1)
  })

  test('leaves no plain text in any row, and every memory readable', async () => {
    const { versions } = await upkeepOf().encrypt(principal, quiet())
    expect(versions).toBeGreaterThan(0)
    expect(await words()).toBe(0)
    const read = await plain.execute(plain.operations.recall, principal, { ids: ids.slice(0, 100) })
    expect(read.results.map(({ content }) => content)).toEqual(
      ids
        .slice(0, 100)
        .map((_, index) => `Katherine Johnson filed marigold report ${index} in Houston.`),
    )
    expect(read.results[0]).toMatchObject({
      tags: ['marigold'],
      session: 'marigold-week',
      speaker: 'Dorothy Vaughan',
    })
    expect(await upkeepOf().encrypt(principal, quiet())).toMatchObject({ versions: 0 })
  })

  test('makes a plain row an error from then on', async () => {
    await plain.test.owner.ownerTransaction(async (_, script) => {
      await script(`update mindglue.memories set content = 'plain' where id = '${ids[0] ?? ''}';
        delete from mindglue.memory_keys where id = '${ids[0] ?? ''}'`)
    })
    await expect(
      plain.execute(plain.operations.recall, principal, { ids: [ids[0]] }),
    ).rejects.toThrow('could not be decrypted')
  })

  test('is finished by the next run when it was killed between keystore and database', async () => {
    const other = await plain.principal({ namespaceName: 'interrupted' })
    await plain.execute(plain.operations.store, other, { content: 'One plain note.' })
    await plain.vault.keystore.create(other.namespace)
    const process = openProcess(plain)
    const browse = () => process.execute(plain.operations.recall, other, {})
    await expect(browse()).rejects.toMatchObject({ code: 'misconfigured' })
    await upkeepOf().encrypt(other, quiet())
    expect((await browse()).results).toHaveLength(1)
  })
})
