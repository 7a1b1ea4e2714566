/** Splits a byte stream into newline-delimited lines of bounded length. */

const newline = 0x0a

/** Longest line either side accepts, in bytes: far above the largest batch, far below memory. */
export const lineBytesMax = 16 * 1024 * 1024

export interface LineSplitter {
  /**
   * The lines that `chunk` completes, without their newline; empty lines are left out. A line
   * longer than the bound is dropped as it streams and reported once through `onOversized`.
   */
  push(chunk: Buffer): readonly Buffer[]
}

/** One splitter per stream and direction. Holds at most `bytesMax` bytes. */
export function createLineSplitter(
  onOversized: () => void,
  bytesMax: number = lineBytesMax,
): LineSplitter {
  let parts: Buffer[] = []
  let heldBytes = 0
  let isSkipping = false

  const take = (part: Buffer): Buffer | undefined => {
    const line = parts.length === 0 ? part : Buffer.concat([...parts, part])
    const wasSkipping = isSkipping
    parts = []
    heldBytes = 0
    isSkipping = false
    if (wasSkipping) return undefined
    if (line.length > bytesMax) {
      onOversized()
      return undefined
    }
    const end = line.at(-1) === 0x0d ? line.length - 1 : line.length
    return end === 0 ? undefined : line.subarray(0, end)
  }

  const hold = (part: Buffer): void => {
    if (isSkipping || part.length === 0) return
    parts.push(part)
    heldBytes += part.length
    if (heldBytes <= bytesMax) return
    parts = []
    heldBytes = 0
    isSkipping = true
    onOversized()
  }

  return {
    push(chunk) {
      const lines: Buffer[] = []
      let from = 0
      for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
        const line = take(chunk.subarray(from, at))
        if (line !== undefined) lines.push(line)
        from = at + 1
      }
      hold(chunk.subarray(from))
      return lines
    },
  }
}

/** A line and its newline in one buffer, so that one write carries both. */
export function frame(line: Buffer | string): Buffer {
  return Buffer.concat([typeof line === 'string' ? Buffer.from(line) : line, Buffer.from('\n')])
}
