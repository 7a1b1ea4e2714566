/** Terms that many memories of a namespace share: counted, put on its list, and taken out of its index. */
import type { NamespaceTransaction } from '../database/scope.ts'

/**
 * The packed term lists of the newest memories that every agent sees, at most `limit`: the list is
 * everybody's. Index memories_recent.
 */
export async function newestTerms(tx: NamespaceTransaction, limit: number): Promise<Buffer[]> {
  const rows = await tx<{ terms: Buffer }>`
    select m.terms from memories m
    where m.namespace = ${tx.namespace} and m.is_current and m.quarantine = 0
      and m.access <> 'private'
    order by m.recorded_at desc, m.id desc limit ${limit}`
  return rows.map((row) => row.terms)
}

/** Those of `terms` that at least `least` documents hold, private ones not counted. Primary key of postings. */
export async function termsOfMany(
  tx: NamespaceTransaction,
  terms: readonly bigint[],
  least: number,
): Promise<bigint[]> {
  const rows = await tx<{ term: bigint }>`
    select t.term from unnest(${terms}::bigint[]) as t (term)
    where exists (
      select from (
        select from postings p
        where p.namespace = ${tx.namespace} and p.term = t.term and p.document >= 0
        offset ${least - 1} limit 1) one)`
  return rows.map((row) => row.term)
}

/**
 * Adds the first of `terms` that are not on the list yet, so that it holds at most `most`; returns the list.
 * From the new revision on every process leaves them out. The caller holds the namespace's lock.
 */
export async function addCommonTerms(
  tx: NamespaceTransaction,
  terms: readonly bigint[],
  most: number,
): Promise<readonly bigint[]> {
  const [row] = await tx<{ common_terms: readonly bigint[] }>`
    update namespaces n set revision = n.revision + 1,
      common_terms = n.common_terms || array(
        select t.term from unnest(${terms}::bigint[]) with ordinality as t (term, place)
        where t.term <> all (n.common_terms)
        order by t.place limit greatest(0, ${most} - cardinality(n.common_terms)))
    where n.namespace = ${tx.namespace}
    returning n.common_terms`
  return row?.common_terms ?? []
}

/** A document that holds a term. */
export interface TermPlace {
  readonly term: bigint
  readonly document: number
}

/** Postings of `terms` that are still there, at most `limit` in all. Primary key of postings. */
export function placesOf(
  tx: NamespaceTransaction,
  terms: readonly bigint[],
  limit: number,
): Promise<TermPlace[]> {
  return tx`
    select p.term, p.document from unnest(${terms}::bigint[]) as t (term)
    cross join lateral (
      select q.term, q.document from postings q
      where q.namespace = ${tx.namespace} and q.term = t.term limit ${limit}) p
    limit ${limit}`
}

export interface TermList {
  readonly document: number
  /** Packed. */
  readonly terms: Buffer
}

/** Term lists of documents, locked; those that another transaction holds are left out. Index memories_document. */
export function lockTermLists(
  tx: NamespaceTransaction,
  documents: readonly number[],
): Promise<TermList[]> {
  return tx`
    select m.document, m.terms from memories m
    where m.namespace = ${tx.namespace} and m.document = any(${documents}::int[])
    for no key update skip locked`
}

/** Writes lists without some terms and deletes the postings of these, which belong together. */
export async function eraseTerms(
  tx: NamespaceTransaction,
  lists: readonly TermList[],
  places: readonly TermPlace[],
): Promise<void> {
  const documents = lists.map((list) => list.document)
  await tx`
    update memories m set terms = r.terms
    from unnest(${documents}::int[], ${lists.map((list) => list.terms)}::bytea[]) as r (document, terms)
    where m.namespace = ${tx.namespace} and m.document = r.document`
  // Found by the primary key inside a fence, deleted by place: see deletePostings.
  await tx`
    delete from postings p where p.namespace = ${tx.namespace} and p.ctid = any(array(
      select q.place from unnest(${places.map(({ term }) => term)}::bigint[],
        ${places.map(({ document }) => document)}::int[]) as t (term, document)
      cross join lateral (
        select q.ctid as place from postings q
        where q.namespace = ${tx.namespace} and q.term = t.term and q.document = t.document
        offset 0) q))`
}
