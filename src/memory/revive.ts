/** What a removal of versions leaves: the newest that is left takes the place of those that went. */
import type { NamespaceTransaction } from '../database/scope.ts'
import { countVoices } from './feedback.sql.ts'
import { packTerms, unpackTerms } from './packed.ts'
import { historyTerm, turnPostings } from './postings.sql.ts'
import { markVectors } from './vectors.ts'
import { restoreNewest, writeTerms } from './versions.sql.ts'

/** Of memories that lost versions, and every voice with them: the newest that is left is current, and found by its words again. */
export async function reviveNewest(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<void> {
  const rows = await restoreNewest(tx, ids)
  await countVoices(tx, ids)
  if (rows.length === 0) return
  const turned = rows.map((row) => ({ ...row, terms: unpackTerms(row.terms) }))
  await turnPostings(tx, turned)
  await writeTerms(
    tx,
    turned.map((row) => ({ ...row, terms: packTerms(row.terms.map(historyTerm)) })),
  )
  await markVectors(
    tx,
    rows.map((row) => row.document),
  )
}
