/** The only way a memory leaves: the row, its versions and everything derived from it, in one transaction. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { deleteMentions } from '../graph/graph.sql.ts'
import { deleteReaders } from './agents.sql.ts'
import type { FieldPlace } from './fields.ts'
import { deleteMemoryKeys } from './memory-keys.sql.ts'
import { deleteExpired, deleteMemories, type RemovedRow } from './memories.sql.ts'
import { unpackTerms } from './packed.ts'
import { deletePostings } from './postings.sql.ts'
import { deleteVersions, restoreNewest } from './quarantine.sql.ts'
import { deleteVectors } from './vectors.ts'

/** Rows a statement handles at once: bounds the memory of the process and of the engine. */
const chunkRows = 5_000

export interface Removed {
  readonly memories: number
  readonly versions: number
  readonly entities: number
  readonly ids: readonly string[]
}

/** Removes what the caller may see of `ids`; what it may not see counts as absent. */
export async function removeMemories(
  tx: NamespaceTransaction,
  ids: readonly string[],
  onProgress: (done: number) => void = () => undefined,
): Promise<Removed> {
  const sorted = [...new Set(ids)].toSorted()
  const gone = new Set<string>()
  let versions = 0
  let entities = 0
  for (let start = 0; start < sorted.length; start += chunkRows) {
    const rows = await deleteMemories(tx, sorted.slice(start, start + chunkRows))
    if (rows.length === 0) continue
    entities += await removeDerived(tx, rows)
    versions += rows.length
    for (const row of rows) gone.add(row.id)
    onProgress(Math.min(start + chunkRows, sorted.length))
  }
  return { memories: gone.size, versions, entities, ids: [...gone] }
}

/** Removes at most `limit` expired memories with all their versions; `oldestExpiry` of those, if any. */
export async function removeExpired(
  tx: NamespaceTransaction,
  limit: number,
): Promise<Removed & { readonly oldestExpiry: Date | undefined }> {
  const rows = await deleteExpired(tx, limit)
  const ids = rows.map((row) => row.id)
  const edited = rows.filter((row) => row.version > 1).map((row) => row.id)
  const older = edited.length === 0 ? [] : await deleteMemories(tx, edited)
  const all = [...rows, ...older]
  const entities = all.length === 0 ? 0 : await removeDerived(tx, all)
  const oldestExpiry = rows
    .map((row) => row.expires_at)
    .reduce<Date | undefined>((least, at) => (least && least < at ? least : at), undefined)
  return { memories: ids.length, versions: all.length, entities, ids, oldestExpiry }
}

/** Removes exactly these versions; of a memory that keeps others the newest becomes current. */
export async function removeVersions(
  tx: NamespaceTransaction,
  places: readonly FieldPlace[],
  onProgress: (done: number) => void = () => undefined,
): Promise<Removed> {
  const touched = new Set<string>()
  let versions = 0
  let entities = 0
  for (let start = 0; start < places.length; start += chunkRows) {
    const rows = await deleteVersions(tx, places.slice(start, start + chunkRows))
    if (rows.length === 0) continue
    const ids = [...new Set(rows.map((row) => row.id))]
    const left = await restoreNewest(tx, ids)
    entities += await removeDerived(tx, rows, left)
    versions += rows.length
    for (const id of ids) touched.add(id)
    onProgress(Math.min(start + chunkRows, places.length))
  }
  return { memories: touched.size, versions, entities, ids: [...touched] }
}

/** `left`: memories that keep other versions, and with them their readers. */
async function removeDerived(
  tx: NamespaceTransaction,
  rows: readonly RemovedRow[],
  left: ReadonlySet<string> = new Set(),
): Promise<number> {
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
  const ids = [...new Set(rows.map((row) => row.id))].filter((id) => !left.has(id))
  await deleteMemoryKeys(tx, rows)
  await deleteReaders(tx, ids)
  return deleteMentions(
    tx,
    rows.flatMap(({ document, entities }) =>
      unpackTerms(entities).map((entity) => ({ entity, document })),
    ),
  )
}
