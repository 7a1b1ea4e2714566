/** A secret as a person hands it to a command: in a file of theirs alone or on stdin, never as an argument. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { AppError } from '../errors.ts'

/** A key with a comment above it; a wrong path does not fill memory. */
const secretBytesMax = 4096

/**
 * The one line that holds the secret; empty lines and those that begin with `#` are passed over. `-` is
 * stdin. Throws AppError `invalid_input`, also for a file that other users can read.
 */
export async function readSecretText(path: string): Promise<string> {
  const text = path === '-' ? await readStdin() : await readSecretFile(path)
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  const [secret] = lines
  if (secret === undefined || lines.length > 1) {
    const what = path === '-' ? 'stdin' : path
    throw new AppError('invalid_input', `There must be one line with a key in ${what}.`)
  }
  return secret
}

async function readStdin(): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of process.stdin) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no encoding is set
    parts.push(part as Buffer)
    bytes += parts.at(-1)?.length ?? 0
    if (bytes > secretBytesMax) throw tooLong('What comes on stdin')
  }
  return Buffer.concat(parts).toString('utf8')
}

async function readSecretFile(path: string): Promise<string> {
  // O_NONBLOCK: a named pipe without a writer must not hold the command up.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (cause: unknown) => {
      throw new AppError('invalid_input', `The key file ${path} cannot be read.`, { cause })
    },
  )
  try {
    const status = await file.stat()
    if (!status.isFile()) throw new AppError('invalid_input', `${path} is no ordinary file.`)
    if (process.platform !== 'win32' && (status.mode & 0o077) !== 0) {
      throw new AppError(
        'invalid_input',
        `Other users can read the key file ${path}. Run: chmod 600 ${path}`,
      )
    }
    if (status.size > secretBytesMax) throw tooLong(path)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

function tooLong(what: string): AppError {
  return new AppError('invalid_input', `${what} is too long for a key.`)
}
