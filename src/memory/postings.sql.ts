/** Postings: which documents hold a term, how often, and how long they are (BM25). */
import { fragment, type SqlFragment } from '../database/database.ts'
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

/** An arbitrary constant: it only has to be the same for good. */
const quarantineShift = 0x5157_5241_4e54_4e45n

/**
 * The posting key of a word in a quarantined memory: its own list, so that what is quarantined neither
 * counts among the documents of a word nor takes the place of a candidate. Its own inverse.
 */
export function quarantinedTerm(term: bigint): bigint {
  return term ^ quarantineShift
}

/** An arbitrary constant, as above. */
const historyShift = 0x4849_5354_4f52_5953n

/**
 * The posting key of a word in a version that is superseded or retired: history lies apart for the same
 * reasons, and is read by questions about the past. Its own inverse.
 */
export function historyTerm(term: bigint): bigint {
  return term ^ historyShift
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

/** A document and its words. */
export interface DocumentTerms {
  readonly document: number
  readonly terms: readonly bigint[]
}

/** Moves the words of quarantined documents to where those of others lie. */
export function releasePostings(
  tx: NamespaceTransaction,
  held: readonly DocumentTerms[],
): Promise<void> {
  return shiftPostings(tx, held, quarantineShift)
}

/** Moves words of documents between what every question reads and history, either way. */
export function turnPostings(
  tx: NamespaceTransaction,
  turned: readonly DocumentTerms[],
): Promise<void> {
  return shiftPostings(tx, turned, historyShift)
}

/** By pair of the primary key. */
async function shiftPostings(
  tx: NamespaceTransaction,
  held: readonly DocumentTerms[],
  shift: bigint,
): Promise<void> {
  if (held.every((entry) => entry.terms.length === 0)) return
  await tx`
    update postings p set term = p.term # ${shift}::bigint
    where p.namespace = ${tx.namespace} and p.ctid = any(array(${byPair(tx, held)}))`
}

/** Gives the words of a document its new number. By pair of the primary key. */
export async function renumberPostings(
  tx: NamespaceTransaction,
  { document, terms }: DocumentTerms,
  to: number,
): Promise<void> {
  await tx`
    update postings p set document = ${to}
    where p.namespace = ${tx.namespace} and p.ctid = any(array(${byPair(tx, [{ document, terms }])}))`
}

function byPair(tx: NamespaceTransaction, removed: readonly DocumentTerms[]): SqlFragment {
  const pairs = removed.flatMap(({ document, terms }) => terms.map((term) => ({ term, document })))
  return fragment`
    select q.place from unnest(${pairs.map((pair) => pair.term)}::bigint[],
      ${pairs.map((pair) => pair.document)}::int[]) as r (term, document) cross join lateral (
      select q.ctid as place from postings q
      where q.namespace = ${tx.namespace} and q.term = r.term and q.document = r.document
      offset 0) q`
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
