/** Creates a secret file at once, whole and for good: never a partial file, never over another one. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
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

/** Makes a directory of mode 0700 with its parents; their names are durable when it resolves. */
export async function makeDirectoryDurably(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: 0o700 })
  if (firstMade === undefined) return
  const top = dirname(resolve(firstMade))
  for (let each = dirname(resolve(path)); each.length >= top.length; each = dirname(each)) {
    await syncDirectory(each)
    if (each === top) return
  }
}

/** A temporary file (0600) that can get a name once. */
export interface Draft {
  /**
   * Writes and fsyncs the bytes, names the file with link(2), fsyncs the directory. link, unlike rename,
   * fails when the name exists: the first of several writers wins, on every machine that shares the
   * directory. False when another one won, or removed this draft.
   */
  publish(path: string, bytes: Uint8Array): Promise<boolean>
  /** Removes the temporary name; to be called in any case. */
  discard(): Promise<void>
}

/** Starts a draft in a directory, which is made if need be. */
export async function beginDraft(directory: string): Promise<Draft> {
  await makeDirectoryDurably(directory)
  const temporary = join(directory, temporaryPrefix + randomUUID())
  const file = await open(temporary, 'wx', 0o600)
  return {
    async publish(path, bytes) {
      await file.writeFile(bytes)
      await file.sync()
      try {
        await link(temporary, path)
      } catch (error) {
        if (hasErrorCode(error, 'EEXIST') || hasErrorCode(error, 'ENOENT')) return false
        throw error
      }
      await syncDirectory(directory)
      return true
    },
    async discard() {
      await file.close()
      await removeFile(temporary)
    },
  }
}

/** Creates a file whole and durable. Throws AppError `conflict` when it exists. */
export async function writeFileDurably(path: string, bytes: Uint8Array): Promise<void> {
  const draft = await beginDraft(dirname(path))
  try {
    if (await draft.publish(path, bytes)) return
    throw new AppError('conflict', 'The file exists already and was left as it is.')
  } finally {
    await draft.discard()
  }
}

/** Replaces a file whole and durable: readers see the old bytes or the new ones. Mode 0600. */
export async function replaceFileDurably(path: string, bytes: Uint8Array): Promise<void> {
  const directory = dirname(path)
  const temporary = join(directory, temporaryPrefix + randomUUID())
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncDirectory(directory)
}

/** Removes a file that may be gone already. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!hasErrorCode(error, 'ENOENT')) throw error
  })
}
