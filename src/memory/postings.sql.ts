/** Postings: which documents hold a term, how often, and how long they are (BM25). */
import type { NamespaceTransaction } from '../database/scope.ts'

export interface NewPosting {
  readonly term: bigint
  readonly document: number
  readonly frequency: number
  readonly length: number
}

/** Postings of one term: documents ascending in no promise; parallel arrays. */
export interface TermPostings {
  readonly term: bigint
  readonly documents: Int32Array
  readonly frequencies: Uint16Array
  readonly lengths: Uint16Array
}

const smallintMax = 32_767
const entryBytes = 8

/** Inserts in (term, document) order, so that neighbouring index pages are touched once. */
export async function insertPostings(
  tx: NamespaceTransaction,
  postings: readonly NewPosting[],
): Promise<void> {
  if (postings.length === 0) return
  const sorted = postings.toSorted((a, b) => compare(a.term, b.term) || a.document - b.document)
  await tx`
    insert into postings (namespace, term, document, frequency, length)
    select ${tx.namespace}::bigint, p.* from unnest(
      ${sorted.map((posting) => posting.term)}::bigint[],
      ${sorted.map((posting) => posting.document)}::int[],
      ${sorted.map((posting) => Math.min(posting.frequency, smallintMax))}::smallint[],
      ${sorted.map((posting) => Math.min(posting.length, smallintMax))}::smallint[]) as p`
}

/**
 * Postings of each term, at most `mostPerTerm`. One row a term, entries packed by the database:
 * a row a posting costs several times more to carry than to read. Primary key.
 */
export async function readPostings(
  tx: NamespaceTransaction,
  terms: readonly bigint[],
  mostPerTerm: number,
): Promise<TermPostings[]> {
  if (terms.length === 0) return []
  const rows = await tx<{ term: bigint; entries: Buffer }>`
    select t.term, p.entries from unnest(${terms}::bigint[]) as t (term)
    cross join lateral (
      select string_agg(int4send(q.document) || int2send(q.frequency) || int2send(q.length), ''::bytea)
        as entries
      from (
        select p.document, p.frequency, p.length from postings p
        where p.namespace = ${tx.namespace} and p.term = t.term limit ${mostPerTerm}
      ) q
    ) p
    where p.entries is not null`
  return rows.map(({ term, entries }) => unpack(term, entries))
}

function unpack(term: bigint, entries: Buffer): TermPostings {
  const count = entries.length / entryBytes
  const documents = new Int32Array(count)
  const frequencies = new Uint16Array(count)
  const lengths = new Uint16Array(count)
  for (let index = 0; index < count; index += 1) {
    const at = index * entryBytes
    documents[index] = entries.readInt32BE(at)
    frequencies[index] = entries.readUInt16BE(at + 4)
    lengths[index] = entries.readUInt16BE(at + 6)
  }
  return { term, documents, frequencies, lengths }
}

/** Deletes the postings of removed documents by primary key, in key order. */
export async function deletePostings(
  tx: NamespaceTransaction,
  removed: readonly { readonly term: bigint; readonly document: number }[],
): Promise<void> {
  if (removed.length === 0) return
  const sorted = removed.toSorted((a, b) => compare(a.term, b.term) || a.document - b.document)
  await tx`
    delete from postings p using unnest(
      ${sorted.map((posting) => posting.term)}::bigint[],
      ${sorted.map((posting) => posting.document)}::int[]) as r (term, document)
    where p.namespace = ${tx.namespace} and p.term = r.term and p.document = r.document`
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
