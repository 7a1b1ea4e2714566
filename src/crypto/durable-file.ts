/** Creates a secret file at once, whole and for good: never a partial file, never over another one. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, mkdir, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../errors.ts'

/** True for an error of the file system with this code, such as `ENOENT`. */
export function hasErrorCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Makes names that were added or removed in a directory survive a power loss. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a directory; NTFS journals its names by itself.
  if (process.platform === 'win32') return
  const directory = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Prefix of files that a killed writer may leave behind; whoever owns the directory removes old ones. */
export const temporaryPrefix = '.new-'

/**
 * Writes a temporary file (0600), fsyncs it, gives it its name with link(2), fsyncs the directory.
 * link, unlike rename, fails when the name exists: the first of several writers wins, on every
 * machine that shares the directory. Throws AppError `conflict` then.
 */
export async function writeFileDurably(path: string, bytes: Uint8Array): Promise<void> {
  const directory = dirname(path)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const temporary = `${directory}/${temporaryPrefix}${randomUUID()}`
  const file = await open(temporary, 'wx', 0o600)
  try {
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(temporary, path)
  } catch (cause) {
    if (!hasErrorCode(cause, 'EEXIST')) throw cause
    throw new AppError('conflict', 'The file exists already and was left as it is.', { cause })
  } finally {
    await unlink(temporary)
  }
  await syncDirectory(directory)
}
