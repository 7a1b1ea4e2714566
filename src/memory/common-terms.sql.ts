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

/** From the new revision on every process leaves these terms out. The caller holds the namespace's lock. */
export async function addCommonTerms(
  tx: NamespaceTransaction,
  terms: readonly bigint[],
): Promise<void> {
  await tx`
    update namespaces n set common_terms = n.common_terms || ${terms}::bigint[],
      revision = n.revision + 1
    where n.namespace = ${tx.namespace}`
}

/** Documents that still hold one of `terms`, at most `limit` of each. Primary key of postings. */
export async function documentsHolding(
  tx: NamespaceTransaction,
  terms: readonly bigint[],
  limit: number,
): Promise<number[]> {
  const rows = await tx<{ document: number }>`
    select distinct p.document from unnest(${terms}::bigint[]) as t (term)
    cross join lateral (
      select p.document from postings p
      where p.namespace = ${tx.namespace} and p.term = t.term limit ${limit}) p`
  return rows.map((row) => row.document)
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

/** Writes the lists without `terms` and deletes their postings, which belong together. */
export async function eraseTerms(
  tx: NamespaceTransaction,
  lists: readonly TermList[],
  terms: readonly bigint[],
): Promise<void> {
  const documents = lists.map((list) => list.document)
  await tx`
    update memories m set terms = r.terms
    from unnest(${documents}::int[], ${lists.map((list) => list.terms)}::bytea[]) as r (document, terms)
    where m.namespace = ${tx.namespace} and m.document = r.document`
  // Found by the primary key inside a fence, deleted by place: see deletePostings.
  await tx`
    delete from postings p where p.namespace = ${tx.namespace} and p.ctid = any(array(
      select q.place from unnest(${terms}::bigint[]) as t (term)
      cross join unnest(${documents}::int[]) as d (document)
      cross join lateral (
        select q.ctid as place from postings q
        where q.namespace = ${tx.namespace} and q.term = t.term and q.document = d.document
        offset 0) q))`
}
