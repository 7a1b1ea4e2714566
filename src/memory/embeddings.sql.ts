/** Vectors of memories: exact search within one namespace; no index ever spans namespaces. */
import { fragment, nothing } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { filterSql, live, type MemoryFilter } from './memories.sql.ts'

export interface NewEmbedding {
  readonly document: number
  readonly embedding: Float32Array
}

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
export function nearestDocuments(
  tx: NamespaceTransaction,
  question: Float32Array,
  filter: MemoryFilter | undefined,
  limit: number,
): Promise<{ document: number; cosine: number }[]> {
  const vector = fragment`${vectorText(question)}::${tx.dialect.vectorType}`
  const passing = filter
    ? fragment`join memories m on m.namespace = e.namespace and m.document = e.document
        and ${live} and ${filterSql(filter)}`
    : nothing
  // Vectors are of unit length: the inner product (`<#>` is its negative) is the cosine, at a third of
  // the work. One expression for output and order, or it is computed twice a row.
  return tx`
    select n.document, -n.distance as cosine from (
      select e.document, (e.embedding <#> ${vector}) + 0 as distance
      from embeddings e ${passing}
      where e.namespace = ${tx.namespace}
      order by distance limit ${limit}
    ) n`
}

/** Cosines of given documents, for candidates that words alone found. Primary key. */
export function cosinesOf(
  tx: NamespaceTransaction,
  question: Float32Array,
  documents: readonly number[],
): Promise<{ document: number; cosine: number }[]> {
  const vector = fragment`${vectorText(question)}::${tx.dialect.vectorType}`
  return tx`
    select e.document, -(e.embedding <#> ${vector}) as cosine from embeddings e
    where e.namespace = ${tx.namespace} and e.document = any(${documents}::int[])`
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
