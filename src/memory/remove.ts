/** The only way a memory leaves: the row, its versions and everything derived from it, in one transaction. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { countUnmentioned, deleteMentions } from '../graph/graph.sql.ts'
import { touchedBy, type Seen } from './audience.ts'
import type { FieldPlace } from './fields.ts'
import { deleteMemoryKeys } from './memory-keys.sql.ts'
import { deleteExpired, deleteMemories, lockMemories, type RemovedRow } from './removal.sql.ts'
import type { Touched } from '../operation.ts'
import { unpackTerms } from './packed.ts'
import { deletePostings } from './postings.sql.ts'
import { deleteVersions, restoreNewest } from './quarantine.sql.ts'
import { deleteVectors } from './vectors.ts'

/** Rows a statement handles at once: bounds the memory of the process and of the engine. */
const chunkRows = 5_000

export interface Removed {
  readonly memories: number
  readonly versions: number
  readonly ids: readonly string[]
}

export interface Forgotten extends Removed {
  /** Names that no memory mentions any more that the caller may see. */
  readonly entities: number
  /** Who may be told that they are gone. */
  readonly touched: readonly Touched[]
}

/** Removes what the caller may see of `ids`; what it may not see counts as absent. */
export async function removeMemories(
  tx: NamespaceTransaction,
  ids: readonly string[],
  onProgress: (done: number) => void = () => undefined,
): Promise<Forgotten> {
  const sorted = [...new Set(ids)].toSorted()
  const gone = new Map<string, Seen>()
  const entities = new Set<bigint>()
  let versions = 0
  for (let start = 0; start < sorted.length; start += chunkRows) {
    const rows = await lockMemories(tx, sorted.slice(start, start + chunkRows))
    if (rows.length === 0) continue
    // Derived rows first: those of a private memory are visible beside the memory alone.
    for (const entity of await removeDerived(tx, rows)) entities.add(entity)
    await deleteMemories(tx, rows)
    versions += rows.length
    for (const row of rows) gone.set(row.id, row)
    onProgress(Math.min(start + chunkRows, sorted.length))
  }
  return {
    memories: gone.size,
    versions,
    entities: await countUnmentioned(tx, [...entities]),
    ids: [...gone.keys()],
    touched: touchedBy([...gone.values()]),
  }
}

/**
 * Removes at most `limit` expired memories with all their versions; `oldestExpiry` of those, if any. For a
 * job, which sees everything: what is derived from a private memory can still be found after it.
 */
export async function removeExpired(
  tx: NamespaceTransaction,
  limit: number,
): Promise<Removed & { readonly oldestExpiry: Date | undefined }> {
  const rows = await deleteExpired(tx, limit)
  const ids = rows.map((row) => row.id)
  const edited = rows.filter((row) => row.version > 1).map((row) => row.id)
  const older = edited.length === 0 ? [] : await lockMemories(tx, edited)
  const all = [...rows, ...older]
  if (all.length > 0) await removeDerived(tx, all)
  if (older.length > 0) await deleteMemories(tx, older)
  const oldestExpiry = rows
    .map((row) => row.expires_at)
    .reduce<Date | undefined>((least, at) => (least && least < at ? least : at), undefined)
  return { memories: ids.length, versions: all.length, ids, oldestExpiry }
}

/** Removes exactly these versions; of a memory that keeps others the newest becomes current. For an administrator. */
export async function removeVersions(
  tx: NamespaceTransaction,
  places: readonly FieldPlace[],
  onProgress: (done: number) => void = () => undefined,
): Promise<Forgotten> {
  const gone = new Map<string, Seen>()
  const entities = new Set<bigint>()
  let versions = 0
  for (let start = 0; start < places.length; start += chunkRows) {
    const rows = await deleteVersions(tx, places.slice(start, start + chunkRows))
    if (rows.length === 0) continue
    for (const row of rows) gone.set(row.id, row)
    await restoreNewest(tx, [...new Set(rows.map((row) => row.id))])
    for (const entity of await removeDerived(tx, rows)) entities.add(entity)
    versions += rows.length
    onProgress(Math.min(start + chunkRows, places.length))
  }
  return {
    memories: gone.size,
    versions,
    entities: await countUnmentioned(tx, [...entities]),
    ids: [...gone.keys()],
    touched: touchedBy([...gone.values()]),
  }
}

/** Returns the entities that the rows mentioned. */
async function removeDerived(
  tx: NamespaceTransaction,
  rows: readonly RemovedRow[],
): Promise<readonly bigint[]> {
  await deletePostings(
    tx,
    rows.map(({ document, terms, tag_terms: tags }) => ({
      document,
      terms: [...unpackTerms(terms), ...unpackTerms(tags)],
    })),
  )
  await deleteVectors(
    tx,
    rows.map((row) => row.document),
  )
  await deleteMemoryKeys(tx, rows)
  const mentions = rows.flatMap(({ document, entities }) =>
    unpackTerms(entities).map((entity) => ({ entity, document })),
  )
  await deleteMentions(tx, mentions)
  return mentions.map(({ entity }) => entity)
}
