/** POSIX ustar archives (IEEE Std 1003.1, pax) of small trees: what a template of a data directory is. */

export interface TarEntry {
  /** Relative, with `/`, at most 100 bytes. */
  readonly name: string
  /** Undefined for a directory. */
  readonly contents: Buffer | undefined
}

const blockBytes = 512
const nameBytesMax = 100
/** Where a header's checksum lies; it counts as spaces while it is computed. */
const checksumField = { start: 148, length: 8 } as const

/** Entries in their order, directories before what they hold. Throws TypeError for a name that does not fit. */
export function writeTar(entries: Iterable<TarEntry>): Buffer {
  const blocks: Buffer[] = []
  for (const { name, contents } of entries) {
    blocks.push(header(name, contents))
    if (contents === undefined) continue
    blocks.push(contents, Buffer.alloc(-contents.length & (blockBytes - 1)))
  }
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)])
}

function header(name: string, contents: Buffer | undefined): Buffer {
  if (Buffer.byteLength(name) > nameBytesMax) throw new TypeError(`${name} is too long for ustar`)
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, start: number, length: number): void =>
    void block.write(value.toString(8).padStart(length - 1, '0'), start, 'latin1')
  block.write(name, 0)
  octal(contents === undefined ? 0o700 : 0o600, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(contents?.length ?? 0, 124, 12)
  octal(0, 136, 12)
  block.fill(' ', checksumField.start, checksumField.start + checksumField.length)
  block.write(contents === undefined ? '5' : '0', 156)
  block.write('ustar\x0000', 257, 'latin1')
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    checksumField.start,
    checksumField.length - 1,
  )
  return block
}

/** Files and directories of an archive; contents are views of it. */
export function* readTar(archive: Buffer): Generator<TarEntry> {
  let position = 0
  while (position + blockBytes <= archive.length && archive[position] !== 0) {
    const block = archive.subarray(position, position + blockBytes)
    const field = (start: number, length: number): string =>
      block.toString('latin1', start, start + length).replace(/[\0 ].*$/s, '')
    const sizeBytes = Number.parseInt(field(124, 12) || '0', 8)
    const start = position + blockBytes
    const isDirectory = field(156, 1) === '5'
    yield {
      name: field(0, nameBytesMax),
      contents: isDirectory ? undefined : archive.subarray(start, start + sizeBytes),
    }
    position = start + Math.ceil(sizeBytes / blockBytes) * blockBytes
  }
}
