/** The only way a memory leaves: the row, its versions and everything derived from it, in one transaction. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { countUnmentioned, deleteUnmentioned } from '../graph/graph.sql.ts'
import type { Touched } from '../operation.ts'
import { touchedBy, type Seen } from './audience.ts'
import { claimExpired, claimMemories, claimVersions, type ClaimedVersion } from './claims.sql.ts'
import type { FieldPlace } from './fields.ts'
import { deleteClaimed } from './remove.sql.ts'
import { reviveNewest } from './revive.ts'

/** Versions a statement handles at once: bounds the memory of the process and of the engine. */
const chunkRows = 5_000
/**
 * Postings a statement deletes at once, where memories are long: one may have ten thousand, and a
 * statement has seconds (about 0.3 s on Postgres, measured).
 */
const chunkPostings = 100_000

export interface Forgotten {
  readonly memories: number
  readonly versions: number
  readonly ids: readonly string[]
  /** Names that no memory mentions any more that the caller may see. */
  readonly entities: number
  /** Who may be told that they are gone. */
  readonly touched: readonly Touched[]
}

/** Removes what the caller may see of `ids`; what it may not see counts as absent. */
export function removeMemories(
  tx: NamespaceTransaction,
  ids: readonly string[],
  onProgress: (done: number) => void = () => undefined,
): Promise<Forgotten> {
  const sorted = [...new Set(ids)].toSorted()
  return removeInChunks(tx, sorted, (chunk) => claimMemories(tx, chunk), onProgress)
}

/**
 * Removes those of the memories that are as they were marked; returns too how many the caller sees that are
 * not. `marks`: of all versions together, as selectIds gives them.
 */
export async function removeUnchanged(
  tx: NamespaceTransaction,
  marks: ReadonlyMap<string, bigint>,
  onProgress: (done: number) => void,
): Promise<Forgotten & { readonly changed: number }> {
  let changed = 0
  const removed = await removeInChunks(
    tx,
    [...marks.keys()].toSorted(),
    async (chunk) => {
      const found = new Map<string, bigint>()
      const claimed = await claimMemories(tx, chunk)
      for (const { id, mark } of claimed) found.set(id, (found.get(id) ?? 0n) ^ mark)
      const isUnchanged = (id: string): boolean => found.get(id) === marks.get(id)
      changed += [...found.keys()].filter((id) => !isUnchanged(id)).length
      return claimed.filter(({ id }) => isUnchanged(id))
    },
    onProgress,
  )
  return { ...removed, changed }
}

/** Removes exactly these versions; of a memory that keeps others the newest becomes current. For an administrator. */
export async function removeVersions(
  tx: NamespaceTransaction,
  places: readonly FieldPlace[],
  onProgress: (done: number) => void = () => undefined,
): Promise<Forgotten> {
  const forgotten = await removeInChunks(
    tx,
    places,
    (chunk) => claimVersions(tx, chunk),
    onProgress,
  )
  await reviveNewest(tx, forgotten.ids)
  return forgotten
}

async function removeInChunks<Item>(
  tx: NamespaceTransaction,
  items: readonly Item[],
  claim: (chunk: readonly Item[]) => Promise<readonly ClaimedVersion[]>,
  onProgress: (done: number) => void,
): Promise<Forgotten> {
  const gone = new Map<string, Seen>()
  const mentioned = new Set<bigint>()
  let versions = 0
  for (let start = 0; start < items.length; start += chunkRows) {
    const claimed = await claim(items.slice(start, start + chunkRows))
    for (const entity of await deleteAll(tx, claimed)) mentioned.add(entity)
    versions += claimed.length
    for (const row of claimed) gone.set(row.id, row)
    onProgress(Math.min(start + chunkRows, items.length))
  }
  // Once, in order: two removals that lock the same entities then cannot wait for each other.
  await deleteUnmentioned(tx, [...mentioned])
  return {
    memories: gone.size,
    versions,
    entities: await countUnmentioned(tx, [...mentioned]),
    ids: [...gone.keys()],
    touched: touchedBy([...gone.values()]),
  }
}

export interface RemovedExpired {
  readonly memories: readonly { readonly id: string; readonly versions: number }[]
  /** When the first and the last of them had expired; undefined when there were none. */
  readonly expired: { readonly first: Date; readonly last: Date } | undefined
  /** True when the batch was full: more may be left. */
  readonly isFull: boolean
}

/**
 * Removes at most `limit` memories that expired at `from` or later, with all their versions; fewer when
 * they are long, but at least one. Leaves alone what another transaction has locked.
 */
export async function removeExpired(
  tx: NamespaceTransaction,
  limit: number,
  from?: Date,
): Promise<RemovedExpired> {
  const claimed = await claimExpired(tx, limit, from)
  const rows = firstChunk(claimed)
  const isWhole = (row: ClaimedVersion): boolean => row.version === 1 && row.is_current
  const edited = [...new Set(rows.filter((row) => !isWhole(row)).map((row) => row.id))]
  const lineages = edited.length === 0 ? [] : await claimMemories(tx, edited)
  const versions = [...rows.filter(isWhole), ...lineages]
  await deleteUnmentioned(tx, [...(await deleteAll(tx, versions))])
  const versionsOf = new Map<string, number>()
  for (const { id } of versions) versionsOf.set(id, (versionsOf.get(id) ?? 0) + 1)
  const [first, last] = [rows[0]?.expires_at, rows.at(-1)?.expires_at]
  return {
    memories: [...versionsOf].map(([id, count]) => ({ id, versions: count })),
    expired: first && last ? { first, last } : undefined,
    isFull: claimed.length === limit || rows.length < claimed.length,
  }
}

/** Deletes locked versions in bounded statements; returns the entities that they mentioned. */
async function deleteAll(
  tx: NamespaceTransaction,
  claimed: readonly ClaimedVersion[],
): Promise<ReadonlySet<bigint>> {
  const mentioned = new Set<bigint>()
  for (let rest = claimed; rest.length > 0;) {
    const chunk = firstChunk(rest)
    for (const entity of await deleteClaimed(tx, chunk)) mentioned.add(entity)
    rest = rest.slice(chunk.length)
  }
  return mentioned
}

/** The first versions that one statement may delete; at least one. */
function firstChunk<Row extends ClaimedVersion>(rows: readonly Row[]): readonly Row[] {
  let postings = 0
  const end = rows.findIndex((row, index) => {
    postings += row.postings
    return index === chunkRows || (index > 0 && postings > chunkPostings)
  })
  return end === -1 ? rows : rows.slice(0, end)
}
