/** The secret of this installation: given by configuration, or made once in a file of its own. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { deriveKey, keyInfo, type InstallationPurpose } from './derive.ts'
import { hasErrorCode, writeFileDurably } from './durable-file.ts'
import { readPrivateFile } from './private-file.ts'

const secretBytes = 32
const secretFile = {
  what: 'installation secret',
  bytesMax: 4096,
  code: 'misconfigured',
} as const

/** Keys for one purpose each, 32 bytes, the same in every process with the same secret. */
export type InstallationKeys = (purpose: InstallationPurpose) => Buffer

/** Where the secret lies that a local installation makes by itself. */
export function installationSecretFile(keyDirectory: string): string {
  return join(keyDirectory, 'installation-secret')
}

/**
 * @param given base64 or hex of at least 32 bytes; when undefined the file is read, or made (0600, durable)
 *   by whichever process comes first. Throws `misconfigured` when neither gives 32 bytes, and for a file that
 *   other users can read: whoever has the secret signs contexts.
 */
export async function openInstallationSecret(
  given: string | undefined,
  file: string,
): Promise<InstallationKeys> {
  const secret = given === undefined ? await readOrCreate(file) : decode(given, 'MINDGLUE_SECRET')
  return (purpose) => deriveKey(secret, keyInfo.installation(purpose), secretBytes)
}

async function readOrCreate(file: string): Promise<Buffer> {
  try {
    return await read(file)
  } catch (error) {
    const isAbsent = error instanceof AppError && hasErrorCode(error.cause, 'ENOENT')
    if (!isAbsent) throw error
  }
  try {
    await writeFileDurably(file, Buffer.from(`${randomBytes(secretBytes).toString('base64')}\n`))
  } catch (error) {
    // Of two processes that start at once, one secret wins for both.
    if (!(error instanceof AppError && error.code === 'conflict')) throw error
  }
  return await read(file)
}

async function read(file: string): Promise<Buffer> {
  return decode(await readPrivateFile(file, secretFile), 'The secret file')
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
