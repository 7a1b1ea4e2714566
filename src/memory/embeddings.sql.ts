/** Vectors of memories: search within one namespace, exact or by its own index; no index spans namespaces. */
import { fragment, nothing, SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { filterSql, live, seen, type MemoryFilter } from './memories.sql.ts'
import { PackedReader } from './packed.ts'

export interface NewEmbedding {
  readonly document: number
  readonly embedding: Float32Array
}

/** The table, for a query that asks which documents have a vector. */
export const plainTable = fragment`embeddings`

export async function insertEmbeddings(
  tx: NamespaceTransaction,
  rows: readonly NewEmbedding[],
): Promise<void> {
  if (rows.length === 0) return
  await tx`
    insert into embeddings (namespace, document, embedding, is_current)
    select ${tx.namespace}::bigint, e.document, e.embedding::${tx.dialect.vectorType},
      ${holdsNow(tx)}
    from unnest(${rows.map((row) => row.document)}::int[],
      ${rows.map((row) => vectorText(row.embedding))}::text[]) as e (document, embedding)
    on conflict (namespace, document) do update set embedding = excluded.embedding`
}

/** Whether the version of document `e.document` is searched by every question. Index memories_document. */
export function holdsNow(tx: NamespaceTransaction): SqlFragment {
  return fragment`coalesce((select m.is_current and m.valid_to is null from memories m
    where m.namespace = ${tx.namespace} and m.document = e.document), true)`
}

/** Takes vectors out of what every question searches, or puts them back. Primary key. */
export async function markEmbeddings(
  tx: NamespaceTransaction,
  table: SqlFragment,
  documents: readonly number[],
): Promise<void> {
  await tx`
    update ${table} e set is_current = ${holdsNow(tx)}
    where e.namespace = ${tx.namespace} and e.document = any(${documents}::int[])`
}

/** Gives a vector another document number; deleted and inserted, since a partition's copy follows by document. */
export async function renumberEmbedding(
  tx: NamespaceTransaction,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  await tx`
    with moved as (
      delete from embeddings e where e.namespace = ${tx.namespace} and e.document = ${from}
      returning e.embedding, e.is_current)
    insert into embeddings (namespace, document, embedding, is_current)
    select ${tx.namespace}::bigint, ${to}::int, m.embedding, m.is_current from moved m`
}

/** Rows a filter may keep and still be compared one by one: 2,000 take a few milliseconds. */
const fewMax = 2_000
/** Candidates the graph keeps in view; more find more and take longer (docs/decisions/0030-vector-partitions.md). */
const searchWidth = 400
/** One of so many vectors is looked at, as the same number finds less in a larger graph. */
const lookedShare = 500
/** Vectors a filtered search of the graph may look at before the exact scan is the better way. */
const scannedMax = 40_000

/**
 * The nearest documents by cosine, best first. Exact, unless the namespace has a partition with an
 * approximate index that is ready; then a filter that keeps few memories is still exact, and so is what
 * the index cannot fill. Other moments are exact: history is in no index. Without a filter no memory is looked at, so hidden and expired ones may be
 * among them; reading the candidates drops those.
 */
export async function nearestDocuments(
  tx: NamespaceTransaction,
  question: Float32Array,
  filter: MemoryFilter | undefined,
  limit: number,
): Promise<Cosine[]> {
  if (filter?.moment !== undefined) return nearestExact(tx, question, filter, limit)
  const indexed = await indexedVectors(tx)
  if (indexed?.dimension === question.length) {
    const few = filter && (await nearestOfFew(tx, question, filter, limit))
    if (few !== undefined) return few
    const looked = Math.max(searchWidth, limit, Math.ceil(indexed.count / lookedShare))
    let found = await nearestByIndex(tx, question, { filter, limit, looked })
    // Where fewer pass, walking on until enough do takes longer than the exact scan.
    if (found.length < limit && found.length > limit / 3)
      found = await nearestByIndex(tx, question, { filter, limit, looked: undefined })
    if (found.length >= limit) {
      // Private memories are in no index: those that the caller may see are compared one by one.
      const own = await nearestExact(tx, question, filter, limit, isPrivate)
      return [...found, ...own].toSorted((a, b) => b.cosine - a.cosine).slice(0, limit)
    }
  }
  return nearestExact(tx, question, filter, limit)
}

/** What the ready partition's index is of, and about how many; undefined without one. Primary keys. */
async function indexedVectors(
  tx: NamespaceTransaction,
): Promise<{ readonly dimension: number; readonly count: number } | undefined> {
  if (tx.dialect.engine === 'embedded') return undefined
  const [row] = await tx<{ dimension: number; count: number }>`
    select v.dimension, coalesce((select c.reltuples from pg_class c
      where c.oid = to_regclass('mindglue.partitioned_embeddings_' || ${tx.namespace}::bigint)), 0) as count
    from vector_partitions v
    where v.namespace = ${tx.namespace} and v.state = 'ready'`
  return row
}

/** By a scan of the namespace (`+ 0` keeps the planner from an approximate index, storage lab D). */
async function nearestExact(
  tx: NamespaceTransaction,
  question: Float32Array,
  filter: MemoryFilter | undefined,
  limit: number,
  part: SqlFragment = fragment`true`,
): Promise<Cosine[]> {
  // A hash of the memories that pass, looked up once a vector (`is true` keeps it from becoming a join): where
  // statistics are old the planner takes both sides for nearly empty and compares each with each.
  const passing = filter
    ? fragment`(e.document in (select m.document from memories m
        where m.namespace = ${tx.namespace} and ${seen(tx, filter.moment)} and ${filterSql(filter)})) is true`
    : fragment`true`
  const held = filter?.moment === undefined ? fragment`e.is_current` : fragment`true`
  // One expression for output and order, or it is computed twice a row.
  const [row] = await tx<{ packed: Buffer | null }>`
    select ${packedCosines} as packed
    from (
      select e.document, ${distanceTo(tx, question)} + 0 as distance
      from embeddings e
      where e.namespace = ${tx.namespace} and ${held} and ${part} and ${passing}
      order by distance limit ${limit}
    ) n`
  return unpackCosines(row?.packed)
}

/** The number space of private memories (namespaces/documents.ts). */
const isPrivate = fragment`e.document < 0`

/**
 * Exact among what the filter keeps, or undefined when that is more than `fewMax`: an index that is
 * filtered afterwards finds too little of a small part. Reads at most fewMax + 1 memories that pass.
 */
async function nearestOfFew(
  tx: NamespaceTransaction,
  question: Float32Array,
  filter: MemoryFilter,
  limit: number,
): Promise<Cosine[] | undefined> {
  const [row] = await tx<{ few: boolean; packed: Buffer | null }>`
    with passing as materialized (
      select m.document from memories m
      where m.namespace = ${tx.namespace} and ${live(tx)} and ${filterSql(filter)}
      limit ${fewMax + 1}
    ), size as materialized (select count(*) <= ${fewMax} as few from passing)
    select s.few, case when s.few then (
      select ${packedCosines} from (
        select v.document, v.distance from passing p cross join lateral (
          select e.document, ${distanceTo(tx, question)} + 0 as distance from embeddings e
          where e.namespace = ${tx.namespace} and e.document = p.document offset 0) v
        order by v.distance limit ${limit}
      ) n) end as packed
    from size s`
  return row?.few === true ? unpackCosines(row.packed) : undefined
}

/**
 * Approximate, from the namespace's own partition: the best of the nearest `looked`, or without that number of as
 * many as pass the filter. It may be short of `limit`, when the filter keeps little of what is near or the
 * partition was given up since. Index: hnsw of the partition, then memories_document. The plan is made for this
 * namespace: one for any would lock every partition. Without `enable_sort` the planner sorts a million rows for a
 * filter.
 */
async function nearestByIndex(
  tx: NamespaceTransaction,
  question: Float32Array,
  { filter, limit, looked }: IndexSearch,
): Promise<Cosine[]> {
  // Liveness as a value and no condition, as in candidates.sql.ts: else any partial index might be taken.
  const passing = filter
    ? fragment`cross join lateral (
        select (${live(tx)} and ${filterSql(filter)}) as is_wanted from memories m
        where m.namespace = ${tx.namespace} and m.document = g.document offset 0
      ) found where found.is_wanted`
    : nothing
  const typed = new SqlFragment([`halfvec(${question.length})`], [])
  // Sent together; the settings hold for this transaction. Relaxed: the graph is walked on from where it came to,
  // and what it gives late may be nearer than what it gave before.
  const [, [row]] = await Promise.all([
    tx`select set_config('plan_cache_mode', 'force_custom_plan', true),
      set_config('enable_sort', 'off', true),
      set_config('hnsw.ef_search', ${searchWidth}::int::text, true),
      set_config('hnsw.iterative_scan', 'relaxed_order', true),
      set_config('hnsw.max_scan_tuples', ${scannedMax}::int::text, true),
      set_config('hnsw.scan_mem_multiplier', '8', true)`,
    tx<{ packed: Buffer | null }>`
      with near as materialized (
        select g.document, g.distance from (
          select p.document, p.embedding::${typed} <#> ${vectorText(question)}::${typed} as distance
          from partitioned_embeddings p
          where p.namespace = ${tx.namespace} and exists (
            select from vector_partitions v
            where v.namespace = ${tx.namespace} and v.state = 'ready')
          order by distance ${looked === undefined ? nothing : fragment`limit ${looked}`}
        ) g ${passing} ${looked === undefined ? fragment`limit ${limit}` : nothing})
      select ${packedCosines} as packed
      from (select c.document, c.distance from near c order by c.distance limit ${limit}) n`,
    tx`select set_config('plan_cache_mode', 'auto', true), set_config('enable_sort', 'on', true)`,
  ])
  return unpackCosines(row?.packed)
}

interface IndexSearch {
  readonly filter: MemoryFilter | undefined
  readonly limit: number
  readonly looked: number | undefined
}

/** Vectors are of unit length: the inner product (`<#>` is its negative) is the cosine, at a third of the work. */
function distanceTo(tx: NamespaceTransaction, question: Float32Array): SqlFragment {
  return fragment`(e.embedding <#> ${vectorText(question)}::${tx.dialect.vectorType})`
}

const packedCosines = fragment`string_agg(int4send(n.document) || float4send(-n.distance::real),
  ''::bytea order by n.distance)`

/** Cosines of given documents, for candidates that words alone found. Primary key. */
export async function cosinesOf(
  tx: NamespaceTransaction,
  question: Float32Array,
  documents: readonly number[],
): Promise<Cosine[]> {
  const [row] = await tx<{ packed: Buffer | null }>`
    select ${packedCosines} as packed from (
      select e.document, ${distanceTo(tx, question)} as distance from embeddings e
      where e.namespace = ${tx.namespace} and e.document = any(${documents}::int[])) n`
  return unpackCosines(row?.packed)
}

export interface Cosine {
  readonly document: number
  readonly cosine: number
}

function unpackCosines(packed: Buffer | null | undefined): Cosine[] {
  const cosines: Cosine[] = []
  if (!packed) return cosines
  const reader = new PackedReader(packed)
  while (reader.hasMore) cosines.push({ document: reader.int(), cosine: reader.float() })
  return cosines
}

/** Part of a removal: for the CTE `gone` of remove.sql.ts. */
export function deleteEmbeddings(tx: NamespaceTransaction): SqlFragment {
  return fragment`
    delete from embeddings e
    where e.namespace = ${tx.namespace} and e.document = any(array(select g.document from gone g))`
}

function vectorText(vector: Float32Array): string {
  return `[${Array.from(vector, (value) => Math.fround(value).toPrecision(5)).join(',')}]`
}
