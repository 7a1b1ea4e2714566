/** The secret that signs contexts and cursors: made once, for its owner alone, and taken from nobody else's file. */
import { chmodSync, mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import {
  installationSecretFile,
  openInstallationSecret,
} from '../../src/crypto/installation-secret.ts'

const hasModes = process.platform !== 'win32'
let folder: string
let file: string

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'mindglue-secret-')), 'keys')
  file = installationSecretFile(folder)
})

const cursorKey = async () =>
  (await openInstallationSecret(undefined, file))('cursor').toString('hex')

test('of many processes that start at once all have the one secret that is in the file', async () => {
  const keys = await Promise.all(Array.from({ length: 20 }, () => cursorKey()))
  expect(new Set([...keys, await cursorKey()]).size).toBe(1)
  expect(readdirSync(folder)).toEqual(['installation-secret'])
})

test.skipIf(!hasModes)(
  'is made for its owner alone, and one that others can read is refused',
  async () => {
    await cursorKey()
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    for (const mode of [0o640, 0o604, 0o620, 0o644]) {
      chmodSync(file, mode)
      await expect(cursorKey()).rejects.toMatchObject({
        code: 'misconfigured',
        publicMessage: `Other users can read the installation secret ${file}. Run: chmod 600 ${file}`,
      })
    }
  },
)

test('one that is too short, in the file or given, is refused', async () => {
  await cursorKey()
  writeFileSync(file, 'c2hvcnQ=\n')
  await expect(cursorKey()).rejects.toMatchObject({ code: 'misconfigured' })
  await expect(openInstallationSecret('c2hvcnQ=', file)).rejects.toThrow(
    'MINDGLUE_SECRET holds fewer',
  )
})
