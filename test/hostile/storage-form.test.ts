/** The rows that say how a namespace is stored, changed in the database alone: nothing plain is written or believed. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { encryptNamespace } from '../../src/jobs/encrypt.ts'
import { rewrapNamespace } from '../../src/jobs/rewrap.ts'
import { openProcess, openTestMemory, type TestMemory } from '../support/memory.ts'
import { countRows } from '../support/rows.ts'
import { keyringOf } from '../support/vault.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

test.each([
  ['sealed', 'plain vectors', `update namespaces set profile = 'field'`],
  ['field', 'sealed vectors', `update namespaces set profile = 'sealed'`],
  ['field', 'rows that may be plain', `update namespace_keys set plain_below = 2000000000`],
  ['field', 'plain texts', `update namespaces set profile = 'off'`],
  ['sealed', 'no keys', `update namespaces set profile = 'off'; delete from namespace_keys`],
] as const)(
  'a %s namespace that is passed off as one of %s is refused',
  async (profile, of, change) => {
    const principal = await memory.principal({ namespaceName: `${profile}, ${of}`, profile })
    const { recall, store } = memory.operations
    const { results } = await memory.execute(store, principal, {
      memories: [{ content: 'Written by the owner.' }, { content: 'To be replaced.' }],
    })
    const planted = results.at(-1)?.id ?? ''
    const where = `where namespace = ${principal.namespace}`
    await memory.test.owner.ownerTransaction((_, script) =>
      script(`set local search_path = mindglue, public;
      ${change.replace(';', ` ${where};`)} ${where};
      update memories set content = 'Planted.' ${where} and id = '${planted}';
      delete from memory_keys ${where} and id = '${planted}'`),
    )
    const fresh = openProcess(memory, {
      vault: { keystore: memory.vault.keystore, keyring: keyringOf(memory.vault) },
    })
    for (const ask of [
      () => fresh.execute(recall, principal, { query: 'Planted' }),
      () => fresh.execute(recall, principal, { ids: [planted] }),
      () => fresh.execute(store, principal, { content: 'Must not be written in plain.' }),
    ]) {
      await expect(ask()).rejects.toMatchObject({
        code: expect.stringMatching(/^(?:internal|misconfigured)$/u) as unknown,
      })
    }
    expect(await countRows(memory, principal, 'memories')).toBe(results.length)
    // Nor does upkeep take it for an interrupted run and make its own of what was planted.
    const { scope } = memory.test
    const dependencies = { scope, namespaces: fresh.namespaces, vault: memory.vault }
    const quiet = { signal: new AbortController().signal, onProgress: () => undefined }
    await expect(encryptNamespace(dependencies, principal, quiet)).rejects.toBeInstanceOf(AppError)
    await expect(rewrapNamespace(dependencies, principal, quiet)).rejects.toBeInstanceOf(AppError)
  },
)
