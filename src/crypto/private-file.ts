/** Reads a secret from a file that its owner alone may read. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { AppError } from '../errors.ts'

export interface PrivateFile {
  /** What the file is, for whoever has to mend it: `root key file`. */
  readonly what: string
  /** A wrong path does not fill memory. */
  readonly bytesMax: number
  /** Of every refusal. */
  readonly code: 'misconfigured' | 'invalid_input'
}

/**
 * The text of an ordinary file. Throws AppError `code`: for one that is not there or cannot be read (with
 * the cause), that is too long, or that other users can read or write.
 */
export async function readPrivateFile(
  path: string,
  { what, bytesMax, code }: PrivateFile,
): Promise<string> {
  // O_NONBLOCK: a named pipe without a writer must not hold anybody up.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (cause: unknown) => {
      throw new AppError(code, `The ${what} ${path} cannot be read.`, { cause })
    },
  )
  try {
    // Asked of the open file, not of the path: what is checked is what is read.
    const status = await file.stat()
    if (!status.isFile()) throw new AppError(code, `The ${what} ${path} is not a file.`)
    if (process.platform !== 'win32' && (status.mode & 0o077) !== 0) {
      const message = `Other users can read the ${what} ${path}. Run: chmod 600 ${path}`
      throw new AppError(code, message)
    }
    if (status.size > bytesMax) throw new AppError(code, `${path} is too long for a ${what}.`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
