/** A start on the database of an earlier program: who lacks its keys changes nothing of it, not even the schema. */
import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import { prepareServer } from '../../src/cli/migrate.ts'
import { loadConfig } from '../../src/config.ts'
import { openInstallationSecret } from '../../src/crypto/installation-secret.ts'
import type { OwnerDatabase } from '../../src/database/database.ts'
import { embeddedDirectory } from '../../src/database/embedded-template.ts'
import { openEmbedded } from '../../src/database/embedded.ts'
import { readMigrations } from '../../src/database/migrate.ts'
import { createScope, installContextKey } from '../../src/database/scope.ts'
import { requireRootKeys } from '../../src/namespaces/root-keys.ts'
import { openTestDatabase, testEngine, type TestDatabase } from '../support/database.ts'
import { noteRootKey } from '../support/memory.ts'
import { openTestVault, type TestVault } from '../support/vault.ts'

const secretOf = () => randomBytes(32).toString('base64')

/** With policies of the directory and without; a template of the embedded engine takes long to make. */
const earlier =
  testEngine === 'postgres' ? ['_trust_and_statistics', '_directory'] : ['_trust_and_statistics']

describe.each(earlier)('before the migration %s', (name) => {
  const directory = mkdtempSync(join(tmpdir(), 'mindglue-earlier-'))
  const secret = secretOf()
  let old: TestDatabase
  let vault: TestVault
  let count: number
  beforeAll(async () => {
    const migrations = await readMigrations()
    count = migrations.findIndex((migration) => migration.name.endsWith(name))
    old = await openTestDatabase({ migrations: migrations.slice(0, count) })
    vault = await openTestVault()
    const contextKey = (await openInstallationSecret(secret, ''))('context')
    await old.owner.ownerTransaction(async (sql) => {
      await sql`delete from mindglue.context_keys`
      await installContextKey(sql, contextKey)
    })
    await noteRootKey(createScope(old.database, contextKey), vault)
    if (testEngine === 'embedded') {
      const { dataDir } = old
      await old.database.close()
      cpSync(dataDir, embeddedDirectory(directory), { recursive: true })
    }
  })
  afterAll(async () => {
    if (testEngine === 'postgres') await old.close()
    else rmSync(join(old.dataDir, '..'), { recursive: true })
    vault.remove()
    rmSync(directory, { recursive: true })
  })

  const configOf = (environment: Record<string, string>) =>
    loadConfig({
      MINDGLUE_SECRET: secret,
      MINDGLUE_LOG_LEVEL: 'silent',
      MINDGLUE_KEY_DIR: join(directory, 'keys'),
      MINDGLUE_KEYSTORE_DIR: vault.keystoreDirectory,
      ...(testEngine === 'postgres'
        ? { DATABASE_URL: old.url, MIGRATION_DATABASE_URL: old.adminUrl }
        : { MINDGLUE_DATA_DIR: directory }),
      ...environment,
    })

  /** Applied migrations and root keys, as they lie there. */
  async function state(): Promise<unknown> {
    const read = (owner: OwnerDatabase) =>
      owner.ownerTransaction(
        (sql) => sql`select (select count(*)::int from mindglue.migrations) as applied,
          (select array_agg(key_id) from mindglue.root_keys) as keys`,
      )
    if (testEngine === 'postgres') return (await read(old.owner))[0]
    const embedded = await openEmbedded({ dataDir: embeddedDirectory(directory) })
    const [row] = await read(embedded)
    await embedded.close()
    return row
  }

  test('another root key, none, and another secret change nothing', async () => {
    const before = await state()
    expect(before).toEqual({ applied: count, keys: [vault.keyring.writingKeyId] })
    for (const environment of [
      { MINDGLUE_ROOT_KEY: secretOf() },
      {},
      { MINDGLUE_ROOT_KEY: vault.rootKeys, MINDGLUE_SECRET: secretOf() },
    ]) {
      const config = configOf(environment)
      await expect(createApp(config)).rejects.toMatchObject({ code: 'misconfigured' })
      if (testEngine === 'postgres') {
        // What `mindglue serve` does first.
        const prepared = prepareServer(config, (scope) => requireRootKeys(config, scope))
        await expect(prepared).rejects.toMatchObject({ code: 'misconfigured' })
      }
      expect(await state()).toEqual(before)
    }
  })

  test('the right ones bring it up to date', async () => {
    const app = await createApp(configOf({ MINDGLUE_ROOT_KEY: vault.rootKeys }))
    await app.close()
    const { length } = await readMigrations()
    expect(await state()).toEqual({ applied: length, keys: [vault.keyring.writingKeyId] })
  })
})
