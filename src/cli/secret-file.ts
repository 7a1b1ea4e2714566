/** A secret as a person hands it to a command: in a file of theirs alone or on stdin, never as an argument. */
import { readPrivateFile } from '../crypto/private-file.ts'
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
    if (bytes > secretBytesMax) {
      throw new AppError('invalid_input', 'What comes on stdin is too long for a key.')
    }
  }
  return Buffer.concat(parts).toString('utf8')
}

/** What stands in a key file or a passphrase file, as it is. Throws as `readSecretText` does. */
export function readSecretFile(path: string, what = 'key file'): Promise<string> {
  return readPrivateFile(path, { what, bytesMax: secretBytesMax, code: 'invalid_input' })
}
