/** Vectors of memories: exact search within one namespace; no index ever spans namespaces. */
import { fragment, nothing } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { filterSql, live, type MemoryFilter } from './memories.sql.ts'
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
    insert into embeddings (namespace, document, embedding)
    select ${tx.namespace}::bigint, e.document, e.embedding::${tx.dialect.vectorType}
    from unnest(${rows.map((row) => row.document)}::int[],
      ${rows.map((row) => vectorText(row.embedding))}::text[]) as e (document, embedding)
    on conflict (namespace, document) do update set embedding = excluded.embedding`
}

/**
 * The nearest documents by cosine, best first: exact, by a scan of the namespace (`+ 0` keeps the
 * planner from an approximate index, storage lab D). Without a filter no memory is looked at, so
 * hidden and expired ones may be among them; reading the candidates drops those.
 */
export async function nearestDocuments(
  tx: NamespaceTransaction,
  question: Float32Array,
  filter: MemoryFilter | undefined,
  limit: number,
): Promise<Cosine[]> {
  const vector = fragment`${vectorText(question)}::${tx.dialect.vectorType}`
  const passing = filter
    ? fragment`join memories m on m.namespace = e.namespace and m.document = e.document
        and ${live(tx)} and ${filterSql(filter)}`
    : nothing
  // Vectors are of unit length: the inner product (`<#>` is its negative) is the cosine, at a third of
  // the work. One expression for output and order, or it is computed twice a row.
  const [row] = await tx<{ packed: Buffer | null }>`
    select string_agg(int4send(n.document) || float4send(-n.distance::real), ''::bytea
      order by n.distance) as packed
    from (
      select e.document, (e.embedding <#> ${vector}) + 0 as distance
      from embeddings e ${passing}
      where e.namespace = ${tx.namespace}
      order by distance limit ${limit}
    ) n`
  return unpackCosines(row?.packed)
}

/** Cosines of given documents, for candidates that words alone found. Primary key. */
export async function cosinesOf(
  tx: NamespaceTransaction,
  question: Float32Array,
  documents: readonly number[],
): Promise<Cosine[]> {
  const vector = fragment`${vectorText(question)}::${tx.dialect.vectorType}`
  const [row] = await tx<{ packed: Buffer | null }>`
    select string_agg(int4send(e.document) || float4send(-(e.embedding <#> ${vector})::real), ''::bytea)
      as packed
    from embeddings e
    where e.namespace = ${tx.namespace} and e.document = any(${documents}::int[])`
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

export async function deleteEmbeddings(
  tx: NamespaceTransaction,
  documents: readonly number[],
): Promise<void> {
  await tx`
    delete from embeddings e
    where e.namespace = ${tx.namespace} and e.document = any(${documents}::int[])`
}

function vectorText(vector: Float32Array): string {
  return `[${Array.from(vector, (value) => Math.fround(value).toPrecision(5)).join(',')}]`
}
