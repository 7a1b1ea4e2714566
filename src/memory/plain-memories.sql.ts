/** Memory versions from before their namespace was encrypted: found, and written again as ciphertext. */
import { fragment, joinFragments, SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { fieldColumns, type FieldColumn } from './fields.ts'

/** One such version with its encoded columns, in plain text. */
export type PlainMemory = {
  readonly id: string
  readonly version: number
  readonly document: number
} & Readonly<Record<FieldColumn, Buffer | null>>

/** Names of our own columns, never input. */
const names = fieldColumns.map((column) => new SqlFragment([column], []))
const isPlain = fragment`not exists (select from memory_keys k
  where k.namespace = m.namespace and k.id = m.id and k.version = m.version)`

export async function countPlainMemories(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ versions: number }>`
    select count(*)::int as versions from memories m
    where m.namespace = ${tx.namespace} and ${isPlain}`
  return row?.versions ?? 0
}

/** The next ones by document; holds their row locks. Index memories_document. */
export function plainMemories(
  tx: NamespaceTransaction,
  afterDocument: number,
  limit: number,
): Promise<PlainMemory[]> {
  const columns = names.map((name) => fragment`m.${name}`)
  return tx`
    select m.id, m.version, m.document, ${joinFragments(columns, ', ')} from memories m
    where m.namespace = ${tx.namespace} and m.document > ${afterDocument} and ${isPlain}
    order by m.document limit ${limit} for no key update`
}

/** Writes every encoded column as `encode` gives it. */
export async function updateFields(
  tx: NamespaceTransaction,
  rows: readonly (PlainMemory & {
    readonly encode: (column: FieldColumn, bytes: Buffer | null) => Buffer | null
  })[],
): Promise<void> {
  const changes = names.map((name) => fragment`${name} = r.${name}`)
  const values = fieldColumns.map(
    (column) => fragment`${rows.map((row) => row.encode(column, row[column]))}::bytea[]`,
  )
  await tx`
    update memories m set ${joinFragments(changes, ', ')}
    from unnest(${rows.map((row) => row.document)}::int[], ${joinFragments(values, ', ')})
      as r (document, ${joinFragments(names, ', ')})
    where m.namespace = ${tx.namespace} and m.document = r.document`
}
