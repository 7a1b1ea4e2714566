/** Reads for ranking: candidate rows with their neighbours in the session, and the size of the corpus. */
import { fragment, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { PackedReader } from './packed.ts'
import {
  columns,
  filterSql,
  seen,
  type MemoryFilter,
  type MemoryRow,
  type Moment,
  type PlacedRow,
} from './memories.sql.ts'

/** What the ranking looks at, no more: a pool has hundreds of rows. */
export type CandidateRow = Pick<
  MemoryRow,
  | 'id'
  | 'version'
  | 'document'
  | 'content'
  | 'session_key'
  | 'speaker'
  | 'speaker_key'
  | 'importance'
  | 'occurred_at'
  | 'event_from'
  | 'event_to'
  | 'event_grain'
  | 'length'
  | 'feedback'
  | 'owner_agent'
  | 'trust'
> & {
  /** True when the memory passes the question's filter; one beside a hit may not. */
  readonly rankable: boolean
}

/**
 * `output` of what a moment shows of some documents, each found by the unique index memories_document.
 * Fenced by `offset 0`, with liveness as a value and no condition: without fresh statistics the planner
 * takes a partial index for nearly empty and reads the whole namespace through it, for every document.
 */
function ofDocuments(
  tx: NamespaceTransaction,
  documents: readonly number[],
  output: SqlFragment,
  condition: SqlFragment,
  moment: Moment | undefined,
): SqlFragment {
  return fragment`
    select found.* from unnest(${documents}::int[]) as wanted (document)
    cross join lateral (
      select ${output}, (${seen(tx, moment)} and ${condition}) as is_wanted from memories m
      where m.namespace = ${tx.namespace} and m.document = wanted.document offset 0
    ) found
    where found.is_wanted`
}

/**
 * What the filter's moment shows of `documents`, in no order. The database packs them into one value: an embedded
 * engine hands out some 100 fields a millisecond, and a pool has thousands (half of a recall's time).
 */
export async function readCandidates(
  tx: NamespaceTransaction,
  documents: readonly number[],
  filter: MemoryFilter,
): Promise<CandidateRow[]> {
  const output = fragment`m.document, m.content, m.session_key, m.speaker, m.speaker_key, m.importance,
    m.occurred_at, m.event_from, m.event_to, m.event_grain, m.length, m.feedback, m.id, m.version,
    m.owner_agent, m.trust,
    (${filterSql(filter)}) as rankable`
  const [row] = await tx<{ packed: Buffer | null }>`
    select string_agg(
      uuid_send(c.id) || int4send(c.version) || int4send(c.document) || int4send(c.length) || float4send(c.importance)
      || float4send(c.feedback) || int4send(c.trust::int)
      || int4send(c.rankable::int) || ${instant(fragment`c.occurred_at`)}
      || ${instant(fragment`c.event_from`)} || ${instant(fragment`c.event_to`)}
      || ${prefixed(fragment`convert_to(c.event_grain, 'UTF8')`)} || ${prefixed(fragment`c.session_key`)}
      || ${prefixed(fragment`convert_to(c.owner_agent, 'UTF8')`)}
      || ${prefixed(fragment`c.speaker`)} || ${prefixed(fragment`c.speaker_key`)} || ${prefixed(fragment`c.content`)}, ''::bytea) as packed
    from (${ofDocuments(tx, documents, output, fragment`true`, filter.moment)}) c`
  return row?.packed ? [...unpackCandidates(row.packed)] : []
}

/** Milliseconds since 1970 as a float8; NaN for null, since `||` with null would drop the row. */
export function instant(column: SqlFragment): SqlFragment {
  return fragment`float8send(coalesce(extract(epoch from ${column}) * 1000, 'NaN')::float8)`
}

/** Length as int4, then the bytes; -1 for null. */
export function prefixed(column: SqlFragment): SqlFragment {
  return fragment`coalesce(int4send(length(${column})) || ${column}, int4send(-1))`
}

function* unpackCandidates(packed: Buffer): Generator<CandidateRow> {
  const reader = new PackedReader(packed)
  while (reader.hasMore) {
    const id = reader.uuid()
    const version = reader.int()
    const document = reader.int()
    const length = reader.int()
    const importance = reader.float()
    const feedback = reader.float()
    const trust = reader.int()
    const rankable = reader.int() === 1
    const occurredAt = reader.instant()
    const eventFrom = reader.instant()
    const eventTo = reader.instant()
    yield {
      id,
      version,
      document,
      length,
      importance,
      feedback,
      trust,
      rankable,
      // The column is not null.
      occurred_at: occurredAt ?? new Date(Number.NaN),
      event_from: eventFrom,
      event_to: eventTo,
      event_grain: reader.bytes()?.toString('utf8') ?? null,
      session_key: reader.bytes(),
      owner_agent: reader.bytes()?.toString('utf8') ?? '',
      speaker: reader.bytes(),
      speaker_key: reader.bytes(),
      content: reader.bytes() ?? Buffer.alloc(0),
    }
  }
}

/** Whole rows by document, in no order. */
export function readDocuments(
  tx: NamespaceTransaction,
  documents: readonly number[],
  moment?: Moment,
): Promise<PlacedRow[]> {
  return tx`${ofDocuments(tx, documents, fragment`${columns}, m.is_current`, fragment`true`, moment)}`
}

/** Which of `documents` pass the filter, its moment included. */
export async function allowedDocuments(
  tx: NamespaceTransaction,
  documents: readonly number[],
  filter: MemoryFilter,
): Promise<ReadonlySet<number>> {
  const rows = await tx<{ document: number }>`
    ${ofDocuments(tx, documents, fragment`m.document`, filterSql(filter), filter.moment)}`
  return new Set(rows.map((row) => row.document))
}

/**
 * Number of memories that the caller sees and their mean length in terms, both of at most `most` of them:
 * no document number and no row estimate, which would count what is out of sight.
 */
export async function corpusSample(
  tx: NamespaceTransaction,
  most: number,
): Promise<{ size: number; meanLength: number }> {
  const [row] = await tx<{ size: number; mean_length: number }>`
    select count(*)::int as size, coalesce(avg(s.length), 12)::float8 as mean_length
    from (select m.length from memories m
      where m.namespace = ${tx.namespace} and m.is_current and m.quarantine = 0 limit ${most}) s`
  return { size: row?.size ?? 0, meanLength: row?.mean_length ?? 12 }
}

/** What a moment shows around each of `documents` in its session: `reach` before and as many after. */
export function readNeighbours(
  tx: NamespaceTransaction,
  documents: readonly number[],
  reach: number,
  moment?: Moment,
): Promise<(MemoryRow & { hit: number; place: number })[]> {
  const side = (comparison: SqlFragment, order: SqlFragment, sign: SqlFragment) => fragment`
    select h.document as hit, (${sign} * s.place)::int as place, ${columns}
    from memories h cross join lateral (
      select m.document, row_number() over (${order}) as place from memories m
      where m.namespace = h.namespace and m.session_key = h.session_key and m.id <> h.id
        and (m.occurred_at, m.document) ${comparison} (h.occurred_at, h.document)
        and ${seen(tx, moment)}
      ${order} limit ${reach}) s
    join memories m on m.namespace = h.namespace and m.document = s.document
    where h.namespace = ${tx.namespace} and h.document = any(${documents}::int[])
      and h.session_key is not null`
  return tx`
    ${side(fragment`<`, fragment`order by m.occurred_at desc, m.document desc`, fragment`-1`)}
    union all
    ${side(fragment`>`, fragment`order by m.occurred_at, m.document`, fragment`1`)}
    order by hit, place`
}
