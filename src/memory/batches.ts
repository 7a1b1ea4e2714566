/** Reads that are bounded in bytes: rows come a few at a time, and an answer holds so much and no more. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import type { MemoryRow, Moment } from './memories.sql.ts'
import { storedBytes } from './size.sql.ts'

/** Rows read at once at first and at most; a row has up to 340 KiB, so at most 21 MiB. */
export const batchRows = { first: 16, most: 64 } as const
/** A page ends early here, so that one answer never grows beyond what clients take. */
export const pageBytesMax = 1024 * 1024
/** Above the ten whole memories of the largest size that a recall gives by itself (3.3 MiB). */
export const answerBytesMax = 8 * 1024 * 1024
/** So many ids, whatever they hold, stay below. */
const idsUncounted = 20

/** At most `most` rows, read as they are asked for. `read`: rows after the last one given, in order. */
export async function* inBatches<Row>(
  most: number,
  read: (after: Row | undefined, rows: number) => Promise<readonly Row[]>,
): AsyncGenerator<Row> {
  let after: Row | undefined
  let left = most
  for (let size: number = batchRows.first; left > 0; size = Math.min(2 * size, batchRows.most)) {
    const wanted = Math.min(size, left)
    const rows = await read(after, wanted)
    yield* rows
    if (rows.length < wanted) return
    after = rows.at(-1)
    left -= wanted
  }
}

/** A page of at most `limit` rows, of one at least; `isLast` is false when others follow. */
export async function readPage<Row extends MemoryRow>(
  limit: number,
  read: (after: Row | undefined, rows: number) => Promise<readonly Row[]>,
): Promise<{ readonly rows: Row[]; readonly isLast: boolean }> {
  const rows: Row[] = []
  let bytes = 0
  for await (const row of inBatches(limit + 1, read)) {
    if (rows.length === limit || bytes > pageBytesMax) return { rows, isLast: false }
    rows.push(row)
    bytes += bytesOf(row)
  }
  return { rows, isLast: true }
}

/** What is left of an answer that has no next page. */
export class AnswerRoom {
  #left = answerBytesMax

  /** Throws AppError `payload_too_large` when the answer has no room for the row. */
  take(row: MemoryRow): void {
    this.#left -= bytesOf(row)
    if (this.#left < 0) throw tooLarge()
  }
}

/** Throws AppError `payload_too_large` for memories of which no answer has room for one version each. */
export async function requireRoom(
  tx: NamespaceTransaction,
  ids: readonly string[],
  moment: Moment | undefined,
): Promise<void> {
  if (ids.length <= idsUncounted) return
  if ((await storedBytes(tx, ids, moment)) > answerBytesMax) throw tooLarge()
}

/** Content, and what may be as long. */
function bytesOf({ content, raw_content: raw, metadata }: MemoryRow): number {
  return content.length + (raw?.length ?? 0) + (metadata?.length ?? 0)
}

function tooLarge(): AppError {
  return new AppError(
    'payload_too_large',
    `These memories hold more than the ${answerBytesMax} bytes of one answer. Lower limit or neighbours, or read fewer ids at a time.`,
  )
}
