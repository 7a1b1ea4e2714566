/** `mindglue export`: every memory of the namespace to a file or to stdout, of any size. */
import { once } from 'node:events'
import { parseFernetKey, sealFernet } from '../crypto/fernet.ts'
import { parsePublicKey, sealTo } from '../crypto/sealed-box.ts'
import { AppError } from '../errors.ts'
import { createWholeFile } from './file-lines.ts'
import { withOperator, type Operator, type OperatorOptions } from './operator.ts'
import { isWatched, startProgress } from './progress.ts'
import { readSecretText } from './secret-file.ts'

export interface ExportOptions extends OperatorOptions {
  /** `-` is stdout. */
  readonly file: string
  readonly format: 'jsonl' | 'markdown'
  /** Public key that the file is sealed to, in its text form. */
  readonly to?: string | undefined
  /** File of a Fernet key; every line becomes a token of Fernet's specification. */
  readonly fernetKeyFile?: string | undefined
}

/** Memories a page; a page of memories at their limits is asked for again in smaller ones. */
const pageMax = 500
/** As shells have it: 128 and the number of SIGINT. */
const interrupted = 130

/** Exit code 0, or 130 when it was interrupted: the file is then as it was before. */
export async function runExport(options: ExportOptions): Promise<number> {
  // Keys first: a wrong one is told before anything is written.
  const encode = await encoderOf(options)
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    const target = options.file === '-' ? toStdout(stop) : await toFile(options.file)
    const { memories, bytes } = await withOperator(options, async (operator) => {
      try {
        const counted = await copy(operator, options.format, { encode, target }, stop.signal)
        if (!stop.signal.aborted) await target.commit()
        return counted
      } finally {
        await target.discard()
      }
    })
    if (stop.signal.aborted) return interrupted
    const noun = memories === 1 ? 'memory' : 'memories'
    const where = options.file === '-' ? '' : ` to ${options.file}`
    tell(`Exported ${memories.toLocaleString('en')} ${noun} (${megabytes(bytes)})${where}.`)
    return 0
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

async function copy(
  operator: Operator,
  format: ExportOptions['format'],
  { encode, target }: { readonly encode: Encoder; readonly target: Target },
  signal: AbortSignal,
): Promise<Counted> {
  const progress = startProgress('Exporting', 'memories')
  const counted: Counted = { memories: 0, bytes: 0 }
  try {
    const total = isWatched() ? (await operator.run('size', {})).versions : 0
    const texts = pages(operator, format, signal, (page) => {
      counted.memories += page.count
      counted.bytes += Buffer.byteLength(page.content)
      progress.update(counted.memories, total)
    })
    for await (const part of encode(texts)) {
      // The end of a sealed file says that it is whole: after an interruption it is not written.
      if (signal.aborted) break
      await target.write(part)
    }
  } finally {
    progress.stop()
  }
  return counted
}

interface Counted {
  memories: number
  bytes: number
}

/** Turns the text of an export, page by page, into what is written. */
type Encoder = (texts: AsyncIterable<string>) => AsyncIterable<string | Uint8Array>

async function encoderOf({ to, fernetKeyFile, format, file }: ExportOptions): Promise<Encoder> {
  if (to !== undefined && fernetKeyFile !== undefined) {
    throw new AppError('invalid_input', 'Give --to or --fernet-key-file, not both.')
  }
  if (to !== undefined) {
    const publicKey = parsePublicKey(to)
    if (file === '-' && process.stdout.isTTY) {
      throw new AppError('invalid_input', 'A sealed file is no text; name a file to write it to.')
    }
    return (texts) => sealTo(publicKey, bytesOf(texts))
  }
  if (fernetKeyFile === undefined) return (texts) => texts
  if (format !== 'jsonl') {
    throw new AppError('invalid_input', 'Fernet tokens are made of lines: leave --format out.')
  }
  const key = parseFernetKey(await readSecretText(fernetKeyFile))
  return async function* (texts) {
    for await (const text of texts) {
      const lines = text.split('\n').filter((line) => line !== '')
      yield lines.map((line) => `${sealFernet(key, Buffer.from(line))}\n`).join('')
    }
  }
}

async function* bytesOf(texts: AsyncIterable<string>): AsyncGenerator<Buffer> {
  for await (const text of texts) yield Buffer.from(text)
}

async function* pages(
  operator: Operator,
  format: ExportOptions['format'],
  signal: AbortSignal,
  onPage: (page: { readonly content: string; readonly count: number }) => void,
): AsyncGenerator<string> {
  let cursor: string | undefined
  let limit = pageMax
  while (!signal.aborted) {
    try {
      const page = await operator.run('export', {
        format,
        limit,
        // Everything is somebody's; what is quarantined says so and stays so when it is imported.
        include_quarantined: true,
        ...(cursor !== undefined && { cursor }),
      })
      cursor = page.next_cursor
      onPage(page)
      yield page.content
      if (cursor === undefined) return
    } catch (error) {
      // Memories that come with long originals; a page of one always fits.
      if (!(error instanceof AppError) || error.code !== 'payload_too_large' || limit === 1)
        throw error
      limit = Math.ceil(limit / 4)
    }
  }
}

interface Target {
  write(part: string | Uint8Array): Promise<void>
  commit(): Promise<void>
  discard(): Promise<void>
}

async function toFile(path: string): Promise<Target> {
  return await createWholeFile(path)
}

/** A reader that has seen enough, such as `head`, ends the export without a complaint. */
function toStdout(stop: AbortController): Target {
  const { signal } = stop
  process.stdout.on('error', () => stop.abort())
  return {
    write: async (part) => {
      if (process.stdout.write(part)) return
      await once(process.stdout, 'drain', { signal }).catch(() => undefined)
    },
    commit: () => Promise.resolve(),
    discard: () => Promise.resolve(),
  }
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

function megabytes(bytes: number): string {
  return bytes < 100_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}
