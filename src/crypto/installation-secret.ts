/** The secret of this installation: given by configuration, or made once in a file of its own. */
import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AppError } from '../errors.ts'
import { deriveKey, keyInfo, type InstallationPurpose } from './derive.ts'
import { hasErrorCode } from './durable-file.ts'

const secretBytes = 32

/** Keys for one purpose each, 32 bytes, the same in every process with the same secret. */
export type InstallationKeys = (purpose: InstallationPurpose) => Buffer

/** Where the secret lies that a local installation makes by itself. */
export function installationSecretFile(keyDirectory: string): string {
  return join(keyDirectory, 'installation-secret')
}

/**
 * @param given base64 or hex of at least 32 bytes; when undefined the file is read, or made (0600) by
 *   whichever process comes first. Throws `misconfigured` when neither gives 32 bytes.
 */
export function openInstallationSecret(given: string | undefined, file: string): InstallationKeys {
  const secret = given === undefined ? readOrCreate(file) : decode(given, 'MINDGLUE_SECRET')
  return (purpose) => deriveKey(secret, keyInfo.installation(purpose), secretBytes)
}

function readOrCreate(file: string): Buffer {
  const existing = read(file)
  if (existing) return existing
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  writeFileSync(temporary, `${randomBytes(secretBytes).toString('base64')}\n`, { mode: 0o600 })
  chmodSync(temporary, 0o600)
  try {
    // A link never replaces: of two processes that start at once, one secret wins for both.
    linkSync(temporary, file)
  } catch (error) {
    if (!hasErrorCode(error, 'EEXIST')) throw error
  } finally {
    rmSync(temporary, { force: true })
  }
  const made = read(file)
  if (!made) throw new AppError('misconfigured', 'The secret file could not be read back.')
  return made
}

function read(file: string): Buffer | undefined {
  try {
    return decode(readFileSync(file, 'utf8'), 'The secret file')
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function decode(text: string, what: string): Buffer {
  const trimmed = text.trim()
  const bytes = Buffer.from(trimmed, /^[0-9a-f]{64,}$/iu.test(trimmed) ? 'hex' : 'base64')
  if (bytes.length < secretBytes) {
    throw new AppError(
      'misconfigured',
      `${what} holds fewer than 32 bytes. Make one with: openssl rand -base64 32`,
    )
  }
  return bytes
}
