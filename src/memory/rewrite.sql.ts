/** Versions that are written anew in their place, with other words: locked, and updated. */
import { fragment, joinFragments, SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { fieldColumns, type FieldColumn, type FieldPlace } from './fields.ts'
import { columns, type MemoryRow } from './memories.sql.ts'

export interface RewritableRow extends MemoryRow {
  readonly is_current: boolean
  readonly dedupe_key: Buffer
  /** What it is found by, packed (packed.ts). */
  readonly terms: Buffer
  readonly tag_terms: Buffer
  readonly entities: Buffer
  /** Where the row lies (ctid): it does not move while it is locked. */
  readonly place: string
}

/**
 * How many of the next `rows` versions hold `bytes` of text at most, one at least while there are any: a batch is
 * worked out while its rows are locked, and the others of this process wait. Primary key.
 */
export async function versionsWithin(
  tx: NamespaceTransaction,
  after: FieldPlace,
  { rows, bytes }: { readonly rows: number; readonly bytes: number },
): Promise<number> {
  const [row] = await tx<{ count: number }>`
    select count(*)::int as count from (
      select row_number() over sizes as place, sum(n.bytes) over sizes as total from (
        select m.id, m.version, octet_length(m.content) + coalesce(octet_length(m.raw_content), 0) as bytes
        from memories m
        where m.namespace = ${tx.namespace}
          and (m.id, m.version) > (${after.id}::uuid, ${after.version}::int)
        order by m.id, m.version limit ${rows}
      ) n window sizes as (order by n.id, n.version)
    ) s where s.place = 1 or s.total <= ${bytes}::int`
  return row?.count ?? 0
}

/** Versions in key order after a place, locked; expired and quarantined ones as well. Primary key. */
export function lockVersionsAfter(
  tx: NamespaceTransaction,
  after: FieldPlace,
  limit: number,
): Promise<RewritableRow[]> {
  return tx`
    select ${columns}, m.is_current, m.dedupe_key, m.terms, m.tag_terms, m.entities,
      m.ctid::text as place
    from memories m
    where m.namespace = ${tx.namespace}
      and (m.id, m.version) > (${after.id}::uuid, ${after.version}::int)
    order by m.id, m.version limit ${limit} for update of m`
}

export interface RewrittenVersion extends FieldPlace {
  readonly document: number
  readonly encode: (column: FieldColumn) => Buffer | null
  readonly sessionKey: Buffer | null
  readonly speakerKey: Buffer | null
  readonly length: number
  readonly dedupeKey: Buffer
  readonly terms: Buffer
  readonly tagTerms: Buffer
  readonly entities: Buffer
  readonly needsEmbedding: boolean
}

/** Names of our own columns, never input. */
const names = fieldColumns.map((column) => new SqlFragment([column], []))

/** Writes the texts and what the row itself keeps of them. Primary key. */
export async function rewriteVersions(
  tx: NamespaceTransaction,
  rows: readonly RewrittenVersion[],
): Promise<void> {
  const changes = names.map((name) => fragment`${name} = r.${name}`)
  const values = fieldColumns.map(
    (column) => fragment`${rows.map((row) => row.encode(column))}::bytea[]`,
  )
  await tx`
    update memories m set ${joinFragments(changes, ', ')}, document = r.document, session_key = r.session_key,
      speaker_key = r.speaker_key, length = r.length, dedupe_key = r.dedupe_key, terms = r.terms,
      tag_terms = r.tag_terms, entities = r.entities, needs_embedding = r.needs_embedding
    from unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.version)}::int[],
      ${rows.map((row) => row.document)}::int[],
      ${rows.map((row) => row.sessionKey)}::bytea[], ${rows.map((row) => row.speakerKey)}::bytea[],
      ${rows.map((row) => row.length)}::int[], ${rows.map((row) => row.dedupeKey)}::bytea[],
      ${rows.map((row) => row.terms)}::bytea[], ${rows.map((row) => row.tagTerms)}::bytea[],
      ${rows.map((row) => row.entities)}::bytea[],
      ${rows.map((row) => row.needsEmbedding)}::boolean[], ${joinFragments(values, ', ')})
      as r (id, version, document, session_key, speaker_key, length, dedupe_key, terms, tag_terms, entities,
        needs_embedding, ${joinFragments(names, ', ')})
    where m.namespace = ${tx.namespace} and m.id = r.id and m.version = r.version`
}

export type IndexedVersion = Pick<
  RewrittenVersion,
  'id' | 'version' | 'sessionKey' | 'speakerKey' | 'length' | 'terms' | 'tagTerms' | 'entities'
>

/** Writes what the row itself keeps of its index, and no text. Primary key. */
export async function reindexVersions(
  tx: NamespaceTransaction,
  rows: readonly IndexedVersion[],
): Promise<void> {
  await tx`
    update memories m set session_key = r.session_key, speaker_key = r.speaker_key, length = r.length,
      terms = r.terms, tag_terms = r.tag_terms, entities = r.entities
    from unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.version)}::int[],
      ${rows.map((row) => row.sessionKey)}::bytea[], ${rows.map((row) => row.speakerKey)}::bytea[],
      ${rows.map((row) => row.length)}::int[], ${rows.map((row) => row.terms)}::bytea[],
      ${rows.map((row) => row.tagTerms)}::bytea[], ${rows.map((row) => row.entities)}::bytea[])
      as r (id, version, session_key, speaker_key, length, terms, tag_terms, entities)
    where m.namespace = ${tx.namespace} and m.id = r.id and m.version = r.version`
}
