/** `mindglue open` and `mindglue keys pair`: files that only the holder of a secret key reads. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { writeFileDurably } from '../crypto/durable-file.ts'
import {
  formatPublicKey,
  formatSecretKey,
  generateKeyPair,
  openSealed,
  parseSecretKey,
} from '../crypto/sealed-box.ts'
import { AppError } from '../errors.ts'
import { createWholeFile } from './file-lines.ts'
import { readSecretText } from './secret-file.ts'

/** Writes the secret key to a new file (0600) and prints the public one. Throws AppError `conflict`. */
export async function makeKeyPair(file: string): Promise<void> {
  const { publicKey, secretKey } = generateKeyPair()
  const text = [
    '# MindGlue secret key: whoever has it opens what is exported to',
    `# ${formatPublicKey(publicKey)}`,
    `${formatSecretKey(secretKey)}\n`,
  ].join('\n')
  secretKey.fill(0)
  await writeFileDurably(file, Buffer.from(text))
  process.stdout.write(`${formatPublicKey(publicKey)}\n`)
}

export interface OpenOptions {
  readonly file: string
  /** `-` is stdout. */
  readonly target: string
  /** `-` is stdin. */
  readonly keyFile: string
}

/**
 * Writes the opened file. Nothing of a damaged one appears: a target gets its name at the end, and for
 * stdout the file is read through once before. Throws AppError `invalid_input` or `unsupported`.
 */
export async function runOpen({ file, target, keyFile }: OpenOptions): Promise<void> {
  const secretKey = parseSecretKey(await readSecretText(keyFile))
  await requireFile(file)
  if (target === '-') {
    for await (const part of opened(secretKey, file)) part.fill(0)
    await writeToStdout(opened(secretKey, file))
    return
  }
  const whole = await createWholeFile(target)
  try {
    for await (const part of opened(secretKey, file)) await whole.write(part)
    await whole.commit()
  } finally {
    await whole.discard()
  }
}

async function* opened(secretKey: Uint8Array, file: string): AsyncGenerator<Buffer> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a stream without an encoding yields buffers
  yield* openSealed(secretKey, createReadStream(file) as AsyncIterable<Buffer>)
}

/** Read twice for stdout, so no pipe will do. */
async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new AppError('invalid_input', `${path} cannot be read.`, { cause })
  })
  if (!found.isFile()) throw new AppError('invalid_input', `${path} is no ordinary file.`)
}

/** A reader that has seen enough, such as `head`, ends it without a complaint. */
async function writeToStdout(parts: AsyncIterable<Buffer>): Promise<void> {
  const stop = new AbortController()
  process.stdout.on('error', () => stop.abort())
  for await (const part of parts) {
    if (stop.signal.aborted) return
    if (process.stdout.write(part)) continue
    await once(process.stdout, 'drain', { signal: stop.signal }).catch(() => undefined)
  }
}
