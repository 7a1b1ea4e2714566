/** `mindglue export`: every memory of the namespace to a file or to stdout, of any size. */
import { once } from 'node:events'
import { AppError } from '../errors.ts'
import { createWholeFile } from './file-lines.ts'
import { withOperator, type Operator, type OperatorOptions } from './operator.ts'
import { isWatched, startProgress } from './progress.ts'

export interface ExportOptions extends OperatorOptions {
  /** `-` is stdout. */
  readonly file: string
  readonly format: 'jsonl' | 'markdown'
}

/** Memories a page; a page of memories at their limits is asked for again in smaller ones. */
const pageMax = 500
/** As shells have it: 128 and the number of SIGINT. */
const interrupted = 130

/** Exit code 0, or 130 when it was interrupted: the file is then as it was before. */
export async function runExport(options: ExportOptions): Promise<number> {
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    const target = options.file === '-' ? toStdout(stop) : await toFile(options.file)
    const counted = await withOperator(options, async (operator) => {
      try {
        const done = await copy(operator, options.format, target, stop.signal)
        if (!stop.signal.aborted) await target.commit()
        return done
      } finally {
        await target.discard()
      }
    })
    if (stop.signal.aborted) return interrupted
    const { memories, bytes } = counted
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
  target: Target,
  signal: AbortSignal,
): Promise<{ memories: number; bytes: number }> {
  const progress = startProgress('Exporting', 'memories')
  const counted = { memories: 0, bytes: 0 }
  try {
    const total = isWatched() ? (await operator.run('size', {})).versions : 0
    for await (const page of pages(operator, format)) {
      if (signal.aborted) break
      await target.write(page.content)
      counted.memories += page.count
      counted.bytes += Buffer.byteLength(page.content)
      progress.update(counted.memories, total)
    }
  } finally {
    progress.stop()
  }
  return counted
}

async function* pages(operator: Operator, format: ExportOptions['format']) {
  let cursor: string | undefined
  let limit = pageMax
  for (;;) {
    try {
      const page = await operator.run('export', {
        format,
        limit,
        // Everything is somebody's; what is quarantined says so and stays so when it is imported.
        include_quarantined: true,
        ...(cursor !== undefined && { cursor }),
      })
      cursor = page.next_cursor
      yield page
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
  write(text: string): Promise<void>
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
    write: async (text) => {
      if (process.stdout.write(text)) return
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
