/** How names are written, as the caller may know it: read from memories that it sees, and from no others. */
import type { ReadContext } from '../operation.ts'
import { readDocuments } from './candidates.sql.ts'
import { entitiesIn } from './derive.ts'
import { readFields } from './fields.ts'
import { visibleMentions } from './mentions.sql.ts'
import type { Unreadable } from './unreadable.ts'

const batchRows = 16
/** Stored bytes of texts that are searched for spellings, one batch more at most. */
const textBytesMax = 256 * 1024

/**
 * Names of entities as a visible live memory has them, the newest that mentions each. Without those that
 * were not found: what mentions them does not decrypt, is too long, or was stored by other rules.
 */
export async function spellingsOf(
  { tx, settings }: Pick<ReadContext, 'tx' | 'settings'>,
  entities: readonly bigint[],
  unreadable: Unreadable,
): Promise<ReadonlyMap<bigint, string>> {
  const mentions = await visibleMentions(tx, entities)
  const documents = [...new Set(mentions.map(({ document }) => document))]
  const spellings = new Map<bigint, string>()
  let bytes = 0
  for (let start = 0; start < documents.length && bytes < textBytesMax; start += batchRows) {
    for (const row of await readDocuments(tx, documents.slice(start, start + batchRows))) {
      const read = () => readFields(settings, row).decode('content', row.content)
      bytes += row.content.length
      for (const { key, name } of entitiesIn(settings, unreadable.skip(row.id, read) ?? '')) {
        if (!spellings.has(key)) spellings.set(key, name)
      }
    }
  }
  return spellings
}
