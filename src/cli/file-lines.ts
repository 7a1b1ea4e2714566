/** Text files as a command reads and writes them: by lines of bounded length, whole or not at all. */
import { randomBytes } from 'node:crypto'
import { createReadStream, type ReadStream } from 'node:fs'
import { open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError } from '../errors.ts'

const newline = 0x0a
/** A memory at all its limits is 0.4 MB of text; every character escaped makes 2 MB of JSON. */
const lineBytesMax = 4 * 1024 * 1024

export interface FileLine {
  /** Counted from 1, empty lines included. */
  readonly number: number
  readonly text: string
}

/** Told how many bytes of how many have been read. */
export type OnBytes = (read: number, total: number) => void

/**
 * Lines of a file (`-` is standard input), empty ones left out. Not `readline`, which also splits at
 * U+2028 and U+2029; JSON strings may hold them as they are. Throws AppError `invalid_input` for a
 * file that cannot be read and for a line that is no UTF-8 or longer than 4 MiB.
 */
export async function* readLines(path: string, onBytes: OnBytes): AsyncGenerator<FileLine> {
  const total = path === '-' ? 0 : await sizeOf(path)
  const source = path === '-' ? process.stdin : createReadStream(path)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let number = 0
  let read = 0
  let parts: Buffer[] = []
  let heldBytes = 0
  const decode = (part: Buffer): FileLine => {
    const bytes = Buffer.concat([...parts, part])
    parts = []
    heldBytes = 0
    number += 1
    try {
      // The decoder takes a byte order mark off each line it opens; only the first can have one.
      return { number, text: decoder.decode(bytes).trim() }
    } catch {
      throw new AppError('invalid_input', `Line ${number} of the file is not UTF-8 text.`)
    }
  }
  try {
    for await (const chunk of chunksOf(source)) {
      let from = 0
      for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
        const line = decode(chunk.subarray(from, at))
        from = at + 1
        if (line.text !== '') yield line
      }
      parts.push(chunk.subarray(from))
      heldBytes += chunk.length - from
      if (heldBytes > lineBytesMax) {
        throw new AppError('invalid_input', `Line ${number + 1} of the file is longer than 4 MiB.`)
      }
      read += chunk.length
      onBytes(read, total)
    }
  } catch (error) {
    throw error instanceof AppError ? error : unreadable(path, error)
  }
  const last = decode(Buffer.alloc(0))
  if (last.text !== '') yield last
}

async function* chunksOf(source: ReadStream | typeof process.stdin): AsyncGenerator<Buffer> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no encoding is set
  for await (const chunk of source) yield chunk as Buffer
}

async function sizeOf(path: string): Promise<number> {
  try {
    const { size, isDirectory } = await stat(path).then((found) => ({
      size: found.size,
      isDirectory: found.isDirectory(),
    }))
    if (!isDirectory) return size
  } catch (error) {
    throw unreadable(path, error)
  }
  throw new AppError('invalid_input', `${path} is a directory.`)
}

function unreadable(path: string, cause: unknown): AppError {
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return new AppError('invalid_input', `${path} cannot be read${code}.`, { cause })
}

/** A file that appears under its name complete and on disk, or not at all. */
export interface WholeFile {
  write(part: string | Uint8Array): Promise<void>
  /** Durable when it resolves; replaces a file of this name. */
  commit(): Promise<void>
  /** Removes what was written; harmless after `commit`. */
  discard(): Promise<void>
}

/** Opens one for its owner alone (0600). Throws AppError `invalid_input` when the place cannot be written. */
export async function createWholeFile(path: string): Promise<WholeFile> {
  const target = await targetOf(path)
  const unfinished = join(
    dirname(target),
    `.${basename(target)}.${randomBytes(4).toString('hex')}.unfinished`,
  )
  const guard = async <T>(step: Promise<T>): Promise<T> =>
    await step.catch((cause: unknown) => {
      const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
      throw new AppError('invalid_input', `${path} cannot be written${code}.`, { cause })
    })
  const file = await guard(open(unfinished, 'wx', 0o600))
  let isOpen = true
  const close = async (): Promise<void> => {
    if (!isOpen) return
    isOpen = false
    await file.close()
  }
  return {
    write: async (part) => await guard(file.writeFile(part)),
    commit: async () => {
      await guard(file.sync())
      await close()
      await guard(rename(unfinished, target))
      await guard(syncDirectory(dirname(target)))
    },
    discard: async () => {
      await close()
      await unlink(unfinished).catch(() => undefined) // renamed already
    },
  }
}

/** Follows a link, so that the link stays one; refuses what a rename would destroy. */
async function targetOf(path: string): Promise<string> {
  const target = await realpath(path).catch(() => path)
  const found = await stat(target).catch(() => undefined)
  if (found === undefined || found.isFile()) return target
  throw new AppError('invalid_input', `${path} is no ordinary file; write to stdout with -`)
}

/** The new name itself must be on disk; Windows has no such call and needs none. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
