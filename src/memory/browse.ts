/** Reading without a question: given memories in their order, or all of them newest first, page by page. */
import type { CommitContext } from '../operation.ts'
import { answerBytesMax, readPage, requireRoom } from './batches.ts'
import type { BudgetHit } from './budget.ts'
import { openCursor, sealCursor } from './cursor.ts'
import type { Show, ShownMemory } from './hits.ts'
import {
  browseMemories,
  countMemories,
  readHistories,
  readMemories,
  type BrowsePlace,
} from './listing.sql.ts'
import type { MemoryFilter, MemoryRow } from './memories.sql.ts'
import { defaultResults, type RecallInput } from './recall-input.ts'

/** Up to so many memories are counted: some milliseconds of an index. */
const totalMax = 1_000

type BrowseContext = CommitContext & { readonly show: Show }

/**
 * The memories in the order asked, each with its versions newest first; those that are not there named. What one
 * answer has no room for of their history is counted. Throws `payload_too_large` for too many memories.
 */
export async function readByIds(
  { tx, show }: BrowseContext,
  ids: readonly string[],
  moment: MemoryFilter['moment'],
) {
  const wanted = [...new Set(ids.map((id) => id.toLowerCase()))]
  await requireRoom(tx, wanted, moment)
  const histories = moment === 'ever' ? await readHistories(tx, wanted, answerBytesMax) : []
  const rows = moment === 'ever' ? histories : await readMemories(tx, wanted, moment)
  const leftOut = (histories[0]?.total ?? 0) - histories.length
  const found = new Map<string, ShownMemory[]>()
  for (const row of rows) {
    found.set(row.id, [...(found.get(row.id) ?? []), ...listed(show(row))])
  }
  const absent = wanted.filter((id) => !found.has(id))
  return {
    results: wanted.flatMap((id) => found.get(id) ?? []),
    ...(absent.length > 0 && { missing: absent }),
    ...(leftOut > 0 && { versions_left_out: leftOut }),
  }
}

function listed<T>(item: T | undefined): T[] {
  return item === undefined ? [] : [item]
}

/** One page, newest first. A cursor holds for the same arguments of the same agent. */
export async function browse(
  { tx, show, principal }: BrowseContext,
  filter: MemoryFilter,
  input: RecallInput,
  cursorKey: Uint8Array,
) {
  const limit = input.limit ?? defaultResults
  const { cursor, limit: _limit, neighbours: _neighbours, explain: _explain, ...asked } = input
  const { max_tokens: _tokens, detail: _detail, ...listing } = asked
  const binding = { principal, operation: 'recall', filter: JSON.stringify(listing) }
  const after =
    cursor === undefined ? undefined : toPosition(openCursor(cursorKey, binding, cursor))
  const { rows, isLast } = await readPage<MemoryRow>(limit, (row, count) => {
    const start = row && { recordedAt: row.recorded_at, id: row.id, version: row.version }
    return browseMemories(tx, filter, start ?? after, count)
  })
  const last = rows.at(-1)
  const more = !isLast && last !== undefined
  // The first page alone counts; one that holds all of it has counted.
  const counted = after ? undefined : more ? await countMemories(tx, filter, totalMax) : rows.length
  const cursorAfter = ({ recorded_at: recordedAt, id, version }: BudgetHit) =>
    sealCursor(cursorKey, binding, [recordedAt, id, `${version}`])
  return {
    output: {
      results: rows.flatMap((row) => listed(show(row))),
      ...(counted !== undefined && counted <= totalMax && { total: counted }),
      ...(more && {
        next_cursor: sealCursor(cursorKey, binding, [
          last.recorded_at.toISOString(),
          last.id,
          `${last.version}`,
        ]),
      }),
    },
    cursorAfter,
  }
}

/** A cursor is our own: it holds what it was sealed with. */
function toPosition([recordedAt = '', id = '', version = '']: readonly string[]): BrowsePlace {
  return { recordedAt: new Date(recordedAt), id, version: Number(version) }
}
