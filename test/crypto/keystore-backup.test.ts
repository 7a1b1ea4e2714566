/** Keystore backup: restore with passphrase or key, refusals, and that an old backup undoes no shredding. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Keystore } from '../../src/crypto/keystore.ts'
import { backupKeystore, restoreKeystore } from '../../src/crypto/keystore-backup.ts'
import { generateKeyPair } from '../../src/crypto/sealed-box.ts'

const passphrase = 'correct horse battery staple'
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keystore-backup-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

const openStore = (name: string): Promise<Keystore> => Keystore.open(join(folder, name))

async function filledStore(): Promise<Keystore> {
  const keystore = await openStore('first')
  await keystore.create(1n)
  await keystore.create(2n)
  await keystore.rotate(2n)
  await keystore.create(3n)
  await keystore.destroy(3n)
  return keystore
}

test('a backup under a passphrase restores every secret on a new machine', async () => {
  const keystore = await filledStore()
  const sealed = await backupKeystore(keystore, { passphrase }, 30)
  const fresh = await openStore('second')
  const result = await restoreKeystore(fresh, sealed, { passphrase })
  expect(result).toMatchObject({ restored: 3, kept: 0 })
  expect(result.expiresAt.getTime() - result.createdAt.getTime()).toBe(30 * 86_400_000)
  for (const namespace of [1n, 2n, 3n]) {
    expect(await fresh.get(namespace)).toEqual(await keystore.get(namespace))
  }
})

test('a backup to a public key opens with the secret key only', async () => {
  const keystore = await filledStore()
  const pair = generateKeyPair()
  const sealed = await backupKeystore(keystore, { publicKey: pair.publicKey }, 30)
  const fresh = await openStore('second')
  await expect(
    restoreKeystore(fresh, sealed, { secretKey: generateKeyPair().secretKey }),
  ).rejects.toMatchObject({ code: 'invalid_input' })
  await expect(restoreKeystore(fresh, sealed, { passphrase })).rejects.toMatchObject({
    code: 'invalid_input',
  })
  const result = await restoreKeystore(fresh, sealed, { secretKey: pair.secretKey })
  expect(result.restored).toBe(3)
})

test('the backup holds no secret in the clear', async () => {
  const keystore = await filledStore()
  const sealed = await backupKeystore(keystore, { passphrase }, 30)
  for (const namespace of [1n, 2n]) {
    for (const { secret } of (await keystore.get(namespace)) ?? []) {
      expect(sealed.includes(Buffer.from(secret))).toBe(false)
      expect(sealed.includes(Buffer.from(secret).toString('base64'))).toBe(false)
    }
  }
})

test('restoring an old backup does not bring back what was destroyed since', async () => {
  const keystore = await filledStore()
  const sealed = await backupKeystore(keystore, { passphrase }, 30)
  await keystore.destroy(1n)
  const shredded = await keystore.destroyOld(2n)
  const result = await restoreKeystore(keystore, sealed, { passphrase })
  expect(result).toMatchObject({ restored: 0, kept: 3 })
  expect(await keystore.get(1n)).toBeUndefined()
  expect(await keystore.get(2n)).toEqual(shredded)
})

test('a namespace that was destroyed before the backup stays destroyed after a restore', async () => {
  const sealed = await backupKeystore(await filledStore(), { passphrase }, 30)
  const fresh = await openStore('second')
  await restoreKeystore(fresh, sealed, { passphrase })
  await expect(fresh.create(3n)).rejects.toMatchObject({ code: 'conflict' })
})

test('a wrong passphrase, a changed byte and a hostile scrypt cost are refused', async () => {
  const sealed = await backupKeystore(await filledStore(), { passphrase }, 30)
  const fresh = await openStore('second')
  const refused = (bytes: Buffer, words = passphrase) =>
    expect(restoreKeystore(fresh, bytes, { passphrase: words })).rejects.toMatchObject({
      code: 'invalid_input',
    })
  await refused(sealed, `${passphrase}r`)
  for (const at of [0, 8, 14, 40, sealed.length - 1]) {
    const changed = Buffer.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    await refused(changed)
  }
  const greedy = Buffer.from(sealed)
  greedy[10] = 40
  await refused(greedy)
  await refused(sealed.subarray(0, 50))
  expect(await fresh.list()).toEqual([])
})

test('a short passphrase is refused when the backup is made', async () => {
  await expect(
    backupKeystore(await filledStore(), { passphrase: 'short' }, 30),
  ).rejects.toMatchObject({ code: 'invalid_input' })
})
