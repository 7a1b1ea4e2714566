/**
 * Backup of the keystore, sealed to a passphrase (scrypt, NaCl secretbox) or to a public key
 * (sealed-box.ts), and its restore. Holds epoch secrets only: the root key is backed up by itself.
 */
import { randomBytes, scrypt } from 'node:crypto'
import nacl from 'tweetnacl'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Keystore } from './keystore.ts'
import { recordFromJson, recordSchema, recordToJson } from './keystore-record.ts'
import { openSealed, sealTo, type ByteSource } from './sealed-box.ts'

export type BackupLock = { readonly passphrase: string } | { readonly publicKey: Uint8Array }
export type BackupKey = { readonly passphrase: string } | { readonly secretKey: Uint8Array }

export interface RestoreResult {
  readonly createdAt: Date
  /** After this the backup should no longer exist: it keeps erased memories readable. */
  readonly expiresAt: Date
  /** Namespaces that the keystore did not know. */
  readonly restored: number
  /** Namespaces left as they were, since the keystore had a state of its own, possibly a newer one. */
  readonly kept: number
}

const backupSchema = z.strictObject({
  format: z.literal('mindglue-keystore-backup-1'),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  records: z.array(recordSchema),
})

const magic = Buffer.from('mindglue\xb2', 'latin1')
const saltBytes = 16
const scryptOffset = magic.length + 1
const headerBytes = scryptOffset + 3 + saltBytes + nacl.secretbox.nonceLength
const passphraseCharactersMin = 12
const backupBytesMax = 256 * 1024 * 1024
/** OWASP password storage, 2025: N = 2^17, r = 8, p = 1; 128 MiB and a fraction of a second. */
const scryptCost = { logN: 17, r: 8, p: 1 }
/** A header that asks for more than 1 GiB is refused before it is believed. */
const scryptLogNMax = 20

/**
 * One sealed file with the epoch secrets of every namespace. `lifetimeDays` is written into it: while a
 * backup exists, memories erased since can be read with it, so the promise of erasure is no shorter.
 */
export async function backupKeystore(
  keystore: Keystore,
  lock: BackupLock,
  lifetimeDays: number,
): Promise<Buffer> {
  const records = []
  for (const namespace of await keystore.list()) {
    const record = await keystore.read(namespace)
    if (record !== undefined) records.push(recordToJson(record))
  }
  const now = Date.now()
  const backup: z.infer<typeof backupSchema> = {
    format: 'mindglue-keystore-backup-1',
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(now + lifetimeDays * 86_400_000).toISOString(),
    records,
  }
  const plain = Buffer.from(JSON.stringify(backup))
  try {
    if ('publicKey' in lock) return await collect(sealTo(lock.publicKey, [plain]))
    return await sealToPassphrase(lock.passphrase, plain)
  } finally {
    plain.fill(0)
  }
}

/**
 * Puts back the namespaces that the keystore does not know; never overwrites one that it does, so an old
 * backup cannot undo a shredding. Throws AppError `invalid_input` for a wrong key or a damaged file.
 */
export async function restoreKeystore(
  keystore: Keystore,
  sealed: Uint8Array,
  key: BackupKey,
): Promise<RestoreResult> {
  if (sealed.length > backupBytesMax) throw unreadable()
  const plain =
    'secretKey' in key
      ? await collect(openSealed(key.secretKey, [sealed]))
      : await openWithPassphrase(key.passphrase, Buffer.from(sealed))
  const backup = parseBackup(plain)
  plain.fill(0)
  let restored = 0
  for (const json of backup.records) {
    if (await keystore.restoreRecord(recordFromJson(json))) restored += 1
  }
  return {
    createdAt: new Date(backup.createdAt),
    expiresAt: new Date(backup.expiresAt),
    restored,
    kept: backup.records.length - restored,
  }
}

function unreadable(): AppError {
  return new AppError(
    'invalid_input',
    'The keystore backup is damaged, or the passphrase or key is not the right one.',
  )
}

function parseBackup(plain: Buffer): z.infer<typeof backupSchema> {
  try {
    return backupSchema.parse(JSON.parse(plain.toString('utf8')))
  } catch {
    // No cause: what zod and JSON.parse say may quote the secrets.
    throw unreadable()
  }
}

async function collect(source: ByteSource): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

interface ScryptCost {
  readonly logN: number
  readonly r: number
  readonly p: number
}

function deriveFromPassphrase(passphrase: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
  const options = { N: 2 ** cost.logN, r: cost.r, p: cost.p, maxmem: 2 ** cost.logN * cost.r * 256 }
  return new Promise((resolve, reject) => {
    // NFC: the same passphrase typed on another keyboard or system is the same bytes.
    scrypt(passphrase.normalize('NFC'), salt, nacl.secretbox.keyLength, options, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

async function sealToPassphrase(passphrase: string, plain: Buffer): Promise<Buffer> {
  if (passphrase.length < passphraseCharactersMin) {
    throw new AppError(
      'invalid_input',
      `Choose a passphrase of at least ${passphraseCharactersMin} characters.`,
    )
  }
  const salt = randomBytes(saltBytes)
  const nonce = randomBytes(nacl.secretbox.nonceLength)
  const key = await deriveFromPassphrase(passphrase, salt, scryptCost)
  const { logN, r, p } = scryptCost
  const box = nacl.secretbox(plain, nonce, key)
  key.fill(0)
  return Buffer.concat([magic, Uint8Array.of(1, logN, r, p), salt, nonce, box])
}

async function openWithPassphrase(passphrase: string, sealed: Buffer): Promise<Buffer> {
  if (sealed.length < headerBytes || !sealed.subarray(0, magic.length).equals(magic)) {
    throw unreadable()
  }
  if (sealed[magic.length] !== 1) {
    throw new AppError(
      'unsupported',
      'A newer MindGlue made this backup. Restore it with that one.',
    )
  }
  const [logN = 0, r = 0, p = 0] = sealed.subarray(scryptOffset, scryptOffset + 3)
  const isBounded = logN >= 10 && logN <= scryptLogNMax && r === 8 && p >= 1 && p <= 4
  if (!isBounded) throw unreadable()
  const salt = sealed.subarray(scryptOffset + 3, scryptOffset + 3 + saltBytes)
  const nonce = sealed.subarray(scryptOffset + 3 + saltBytes, headerBytes)
  const key = await deriveFromPassphrase(passphrase, salt, { logN, r, p })
  const plain = nacl.secretbox.open(sealed.subarray(headerBytes), nonce, key)
  key.fill(0)
  if (plain === null) throw unreadable()
  return Buffer.from(plain)
}
