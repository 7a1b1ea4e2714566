/** Deletes versions and everything derived from them: one statement, so that a batch costs no more trips. */
import { fragment, nothing, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { ClaimedVersion } from './claims.sql.ts'
import { deleteEmbeddings } from './embeddings.sql.ts'
import { deleteMemoryKeys } from './memory-keys.sql.ts'
import { deleteVoices } from './feedback.sql.ts'
import { denseRuns, type DocumentRun } from './runs.ts'
import { deleteSealedEmbeddings } from './sealed-embeddings.sql.ts'

/**
 * The versions must be locked by an earlier statement of the transaction (`claim…`): this one's snapshot
 * then shows every derived row that a writer under the same lock has left. Returns the entities they
 * mentioned. What is derived from a private memory is visible beside it, and this statement still sees it.
 * Every derived table stands here once, and reads what it needs from `gone`; lists packed in
 * memories are unpacked by the database, since a bigint each in this process took longer than the deletion.
 */
export async function deleteClaimed(
  tx: NamespaceTransaction,
  claimed: readonly ClaimedVersion[],
): Promise<readonly bigint[]> {
  const gone = fragment`
    delete from memories m
    where m.namespace = ${tx.namespace} and m.ctid = any(${claimed.map(({ place }) => place)}::tid[])
    returning m.id, m.version, m.document, m.terms || m.tag_terms as terms, m.entities`
  const more = fragment`${vectorsGone(tx)}, keys_gone as (${deleteMemoryKeys(tx)}),
    voices_gone as (${deleteVoices(tx)})`
  return deleteDerived(tx, gone, more, claimed)
}

/** The same of what is derived alone: the versions and their keys stay, to be written anew by the caller. */
export async function deleteDerivedOf(
  tx: NamespaceTransaction,
  claimed: readonly PlacedDocument[],
): Promise<readonly bigint[]> {
  return deleteDerived(tx, staying(tx, claimed), vectorsGone(tx), claimed)
}

/** The same of what their words, tags and names are found by: vectors stay as well. */
export async function deleteIndexedOf(
  tx: NamespaceTransaction,
  claimed: readonly PlacedDocument[],
): Promise<readonly bigint[]> {
  return deleteDerived(tx, staying(tx, claimed), nothing, claimed)
}

type PlacedDocument = Pick<ClaimedVersion, 'document' | 'place'>

function staying(tx: NamespaceTransaction, claimed: readonly PlacedDocument[]): SqlFragment {
  return fragment`
    select m.id, m.version, m.document, m.terms || m.tag_terms as terms, m.entities from memories m
    where m.namespace = ${tx.namespace} and m.ctid = any(${claimed.map(({ place }) => place)}::tid[])`
}

function vectorsGone(tx: NamespaceTransaction): SqlFragment {
  return fragment`, embeddings_gone as (${deleteEmbeddings(tx)}),
    sealed_gone as (${deleteSealedEmbeddings(tx)})`
}

async function deleteDerived(
  tx: NamespaceTransaction,
  gone: SqlFragment,
  more: SqlFragment,
  claimed: readonly { readonly document: number }[],
): Promise<readonly bigint[]> {
  const runs = denseRuns(claimed.map((row) => row.document))
  const postings = { table: fragment`postings`, key: fragment`term`, list: fragment`g.terms` }
  const mentions = { table: fragment`mentions`, key: fragment`entity`, list: fragment`g.entities` }
  const [row] = await tx<{ entities: bigint[] | null }>`
    with gone as materialized (${gone}),
      postings_gone as (${deleteListed(tx, postings, runs)}),
      mentions_gone as (${deleteListed(tx, mentions, runs)})
      ${more}
    select array_agg(distinct ${int8(fragment`l.item`)}) as entities
    from (${distinctItems(mentions.list)}) l`
  return row?.entities ?? []
}

/** A table with one row an item of a list that the memory keeps, keyed (namespace, item, document). */
interface ListedTable {
  readonly table: SqlFragment
  readonly key: SqlFragment
  readonly list: SqlFragment
}

/**
 * Rows are found by the primary key inside a fence (`offset 0`) and deleted by their place: left to itself
 * the planner reads and hashes the whole namespace. Documents that lie close together (an expiry, a batch)
 * go with one range of the key an item; scattered ones with a search a row.
 */
function deleteListed(
  tx: NamespaceTransaction,
  { table, key, list }: ListedTable,
  runs: readonly DocumentRun[] | undefined,
): SqlFragment {
  const found =
    runs === undefined
      ? fragment`
          select q.place from gone g cross join ${items(list)}
          cross join lateral (
            select t.ctid as place from ${table} t
            where t.namespace = ${tx.namespace} and t.document = g.document
              and t.${key} = ${int8(fragment`substr(${list}, i.item * 8 + 1, 8)`)} offset 0) q`
      : // `is true` keeps the test a hashed lookup: as a join, a generic plan compares all with all.
        fragment`
          select q.place from (${distinctItems(list)}) l
          cross join unnest(${runs.map((run) => run.low)}::int[], ${runs.map((run) => run.high)}::int[])
            as r (low, high)
          cross join lateral (
            select t.ctid as place, t.document from ${table} t
            where t.namespace = ${tx.namespace} and t.${key} = ${int8(fragment`l.item`)}
              and t.document between r.low and r.high offset 0) q
          where (q.document in (select g.document from gone g)) is true`
  return fragment`
    delete from ${table} t where t.namespace = ${tx.namespace} and t.ctid = any(array(${found}))`
}

/** Positions in a packed list of `gone g`, as `i.item`. */
function items(list: SqlFragment): SqlFragment {
  return fragment`generate_series(0, length(${list}) / 8 - 1) as i (item)`
}

/** Each packed item once, as bytes: a tenth of them are left to convert. */
function distinctItems(list: SqlFragment): SqlFragment {
  return fragment`select distinct substr(${list}, i.item * 8 + 1, 8) as item
    from gone g cross join ${items(list)}`
}

/** Eight bytes, big endian, as int8: the cast from bytea is new in PostgreSQL 18. */
function int8(bytes: SqlFragment): SqlFragment {
  return fragment`('x' || encode(${bytes}, 'hex'))::bit(64)::bigint`
}
