/**
 * Works out anew what stored versions are found by: words, tags, names, sessions and speakers, for when the
 * analysis of texts has changed. Texts, keys and vectors stay as they are.
 */
import { deleteIndexedOf } from './remove.sql.ts'
import { indexOf, insertIndex, preparedAnew, type RewriteContext } from './rewrite.ts'
import type { Unreadable } from './unreadable.ts'
import { reindexVersions, type IndexedVersion, type RewritableRow } from './rewrite.sql.ts'

/**
 * The rows are locked. Returns how many of them were found by something else before. What does not decrypt is noted
 * and stays as it is.
 */
export async function reindex(
  context: RewriteContext,
  rows: readonly RewritableRow[],
  unreadable: Unreadable,
): Promise<number> {
  const { tx, settings, now } = context
  const changed = rows
    .flatMap((row) => {
      const item = unreadable.skip(row.id, () => preparedAnew(settings, row, now))
      if (item === undefined) return []
      const index: IndexedVersion = { id: row.id, version: row.version, ...indexOf(item) }
      return [{ row, item, index }]
    })
    .filter(({ row, index }) => !isSame(row, index))
  if (changed.length === 0) return 0
  const mentioned = await deleteIndexedOf(
    tx,
    changed.map(({ row }) => row),
  )
  await reindexVersions(
    tx,
    changed.map(({ index }) => index),
  )
  await insertIndex(
    context,
    changed.map(({ item }) => item),
    mentioned,
  )
  return changed.length
}

/** How often a word stands in a text shows in the length. */
function isSame(row: RewritableRow, index: IndexedVersion): boolean {
  const pairs: readonly (readonly [Buffer | null, Buffer | null])[] = [
    [row.session_key, index.sessionKey],
    [row.speaker_key, index.speakerKey],
    [row.terms, index.terms],
    [row.tag_terms, index.tagTerms],
    [row.entities, index.entities],
  ]
  return (
    row.length === index.length &&
    pairs.every(([before, after]) => (before ?? nobody).equals(after ?? nobody))
  )
}

const nobody = Buffer.alloc(0)
