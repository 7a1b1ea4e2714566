/** Reads for ranking: candidate rows with their neighbours in the session, and the size of the corpus. */
import { fragment, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { columns, filterSql, live, type MemoryFilter, type MemoryRow } from './memories.sql.ts'

export interface CandidateRow extends MemoryRow {
  readonly previous: number | null
  readonly next: number | null
  /** True when the memory passes the question's filter; a neighbour may not. */
  readonly rankable: boolean
}

/** The visible memory before or after `m` in its session; index memories_session. */
function neighbour(direction: 'before' | 'after'): SqlFragment {
  const after = direction === 'after'
  const comparison = after ? fragment`>` : fragment`<`
  const order = after
    ? fragment`order by n.occurred_at, n.document`
    : fragment`order by n.occurred_at desc, n.document desc`
  return fragment`(
    select n.document from memories n
    where n.namespace = m.namespace and n.session_key = m.session_key
      and (n.occurred_at, n.document) ${comparison} (m.occurred_at, m.document)
      and n.is_current and n.valid_to is null
      and (n.expires_at is null or n.expires_at > statement_timestamp())
    ${order} limit 1)`
}

/** Live memories among `documents`, in no order. Index memories_document. */
export function readCandidates(
  tx: NamespaceTransaction,
  documents: readonly number[],
  filter: MemoryFilter,
): Promise<CandidateRow[]> {
  return tx`
    select ${columns}, (${filterSql(filter)}) as rankable,
      case when m.session_key is not null then ${neighbour('before')} end as previous,
      case when m.session_key is not null then ${neighbour('after')} end as next
    from memories m
    where m.namespace = ${tx.namespace} and m.document = any(${documents}::int[]) and ${live}`
}

/** Which of `documents` are live and pass the filter. */
export async function allowedDocuments(
  tx: NamespaceTransaction,
  documents: readonly number[],
  filter: MemoryFilter,
): Promise<ReadonlySet<number>> {
  const rows = await tx<{ document: number }>`
    select m.document from memories m
    where m.namespace = ${tx.namespace} and m.document = any(${documents}::int[])
      and ${live} and ${filterSql(filter)}`
  return new Set(rows.map((row) => row.document))
}

/** Memories and their mean length, counted exactly up to `most`: small namespaces change fast. */
export async function corpusSample(
  tx: NamespaceTransaction,
  most: number,
): Promise<{ size: number; meanLength: number }> {
  const [row] = await tx<{ size: number; mean_length: number }>`
    select count(*)::int as size, coalesce(avg(s.length), 12)::float8 as mean_length
    from (select m.length from memories m
      where m.namespace = ${tx.namespace} and m.is_current limit ${most}) s`
  return { size: row?.size ?? 0, meanLength: row?.mean_length ?? 12 }
}

/** Live memories around each of `documents` in its session: `reach` before and as many after. */
export function readNeighbours(
  tx: NamespaceTransaction,
  documents: readonly number[],
  reach: number,
): Promise<(MemoryRow & { hit: number; place: number })[]> {
  const side = (comparison: SqlFragment, order: SqlFragment, sign: SqlFragment) => fragment`
    select h.document as hit, (${sign} * s.place)::int as place, ${columns}
    from memories h cross join lateral (
      select n.document, row_number() over (${order}) as place from memories n
      where n.namespace = h.namespace and n.session_key = h.session_key
        and (n.occurred_at, n.document) ${comparison} (h.occurred_at, h.document)
        and n.is_current and n.valid_to is null
        and (n.expires_at is null or n.expires_at > statement_timestamp())
      ${order} limit ${reach}) s
    join memories m on m.namespace = h.namespace and m.document = s.document
    where h.namespace = ${tx.namespace} and h.document = any(${documents}::int[])
      and h.session_key is not null`
  return tx`
    ${side(fragment`<`, fragment`order by n.occurred_at desc, n.document desc`, fragment`-1`)}
    union all
    ${side(fragment`>`, fragment`order by n.occurred_at, n.document`, fragment`1`)}
    order by hit, place`
}
