/** Rows of the memories table. Every statement names the namespace besides the policies. */
import { encodeParameter } from '../database/codec.ts'
import { fragment, joinFragments, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { AccessLevel, MemoryType, SourceKind } from './memory.ts'
import { keyToken } from './memory-keys.sql.ts'
import { historyTerm, quarantinedTerm } from './postings.sql.ts'

/** One version of a memory as stored: encoded columns are Buffers (UTF-8 or envelopes). */
export interface MemoryRow {
  readonly id: string
  readonly version: number
  readonly document: number
  readonly content: Buffer
  readonly raw_content: Buffer | null
  readonly type: MemoryType
  readonly metadata: Buffer | null
  readonly tags: Buffer | null
  readonly session_label: Buffer | null
  readonly session_key: Buffer | null
  readonly speaker: Buffer | null
  readonly speaker_key: Buffer | null
  readonly source_kind: SourceKind
  readonly source_url: Buffer | null
  readonly source_client: Buffer | null
  /** Who stored it here; null for what was stored before this was kept. */
  readonly source_agent: string | null
  readonly trust: number
  /** Reasons as bits (trust.ts); 0 when it is not quarantined. */
  readonly quarantine: number
  readonly owner_agent: string
  readonly access: AccessLevel
  /** Agents that read a private memory besides its owner; null: nobody. */
  readonly readers: readonly string[] | null
  readonly importance: number
  readonly occurred_at: Date
  readonly event_from: Date | null
  readonly event_to: Date | null
  readonly event_grain: string | null
  readonly expires_at: Date | null
  readonly pinned_at: Date | null
  readonly valid_from: Date
  /** Since when it is no longer true: a current version that has it is retired. */
  readonly valid_to: Date | null
  readonly retire_reason: Buffer | null
  readonly recorded_at: Date
  readonly supersedes: string | null
  readonly length: number
  /** What the voices on it come to, -1 to 1 (feedback.sql.ts). */
  readonly feedback: number
  /** Wrapped content key of this version; null where the namespace is not encrypted. */
  readonly key_token: Buffer | null
}

export interface NewMemoryRow extends Omit<MemoryRow, 'key_token' | 'feedback'> {
  readonly is_current: boolean
  readonly source_client_key: Buffer | null
  readonly source_request: string
  readonly dedupe_key: Buffer
  /** Packed int8 big endian lists; see packed.ts. */
  readonly terms: Buffer
  readonly tag_terms: Buffer
  readonly entities: Buffer
  readonly needs_embedding: boolean
}

/** A version that says whether it is its memory's newest. */
export type PlacedRow = MemoryRow & { readonly is_current: boolean }

/**
 * Which versions a reading meets: those that hold now, those that were known at an instant and held then,
 * or every one.
 */
export type Moment = 'now' | 'ever' | Date

/** What a listing is narrowed by; keys are blind indexes, tag terms live among the postings. */
export interface MemoryFilter {
  /** `now` when left out. */
  readonly moment?: Exclude<Moment, 'now'> | undefined
  /** Of the moment's versions only their memories' newest, retired or not. */
  readonly isNewest?: true | undefined
  readonly ids?: readonly string[] | undefined
  readonly types?: readonly string[] | undefined
  readonly tagTerms?: readonly bigint[] | undefined
  readonly entity?: bigint | undefined
  /** Words that all stand in the memory; in place of `entity` where a script has no capitals. */
  readonly nameTerms?: readonly bigint[] | undefined
  readonly agent?: string | undefined
  readonly sessionKey?: Buffer | undefined
  readonly speakerKey?: Buffer | undefined
  readonly after?: Date | undefined
  readonly before?: Date | undefined
}

/** Every column of a MemoryRow, on alias `m`. */
export const columns = fragment`m.id, m.version, m.document, m.content, m.raw_content, m.type, m.metadata,
  m.tags, m.session_label, m.session_key, m.speaker, m.speaker_key, m.source_kind, m.source_url,
  m.source_client, m.source_agent, m.trust, m.quarantine, m.owner_agent, m.access, m.readers,
  m.importance, m.occurred_at, m.event_from, m.event_to, m.event_grain, m.expires_at, m.pinned_at,
  m.valid_from, m.valid_to, m.retire_reason, m.recorded_at, m.supersedes, m.length, m.feedback, ${keyToken}`

/**
 * Current, not retired, not expired (judged by the clock at the statement, not at the transaction's
 * start), and not quarantined unless the transaction reaches what is; on alias `m`.
 */
export function live(tx: Reach): SqlFragment {
  return fragment`m.is_current and m.valid_to is null
    and (m.expires_at is null or m.expires_at > statement_timestamp()) and ${reached(tx)}`
}

/**
 * The versions of a moment, on alias `m`. Expired ones are of no moment: a memory's expiry is that of all its
 * versions. At an instant a memory is its newest version recorded by then, if it held at that instant.
 * Primary key, for the newer ones.
 */
export function seen(tx: Reach, moment: Moment = 'now'): SqlFragment {
  if (moment === 'now') return live(tx)
  const alive = fragment`(m.expires_at is null or m.expires_at > statement_timestamp())
    and ${reached(tx)}`
  if (moment === 'ever') return alive
  return fragment`m.recorded_at <= ${moment}::timestamptz
    and (m.valid_to is null or m.valid_to > ${moment}::timestamptz) and ${alive}
    and not exists (select from memories later where later.namespace = m.namespace and later.id = m.id
      and later.version > m.version and later.recorded_at <= ${moment}::timestamptz)`
}

/** What reads without `live` says this; the policies say it again. On alias `m`. */
export function reached(tx: Reach): SqlFragment {
  return tx.seesQuarantined ? fragment`true` : fragment`m.quarantine = 0`
}

type Reach = Pick<NamespaceTransaction, 'seesQuarantined'>

/** Conditions on alias `m`; an empty filter is `true`. */
export function filterSql(filter: MemoryFilter): SqlFragment {
  const parts: SqlFragment[] = []
  if (filter.isNewest) parts.push(fragment`m.is_current`)
  if (filter.ids) parts.push(fragment`m.id = any(${filter.ids}::uuid[])`)
  if (filter.types) parts.push(fragment`m.type = any(${filter.types}::text[])`)
  if (filter.agent !== undefined) parts.push(fragment`m.owner_agent = ${filter.agent}`)
  if (filter.sessionKey) parts.push(fragment`m.session_key = ${filter.sessionKey}::bytea`)
  if (filter.speakerKey) parts.push(fragment`m.speaker_key = ${filter.speakerKey}::bytea`)
  if (filter.after) parts.push(fragment`m.occurred_at >= ${filter.after}::timestamptz`)
  if (filter.before) parts.push(fragment`m.occurred_at < ${filter.before}::timestamptz`)
  for (const term of filter.tagTerms ?? []) {
    parts.push(fragment`exists (select from postings p where p.namespace = m.namespace
      and p.term = ${term}::bigint and p.document = m.document)`)
  }
  for (const term of filter.nameTerms ?? []) {
    const held = [term, historyTerm(term)].flatMap((key) => [key, quarantinedTerm(key)])
    parts.push(fragment`exists (select from postings p where p.namespace = m.namespace
      and p.term = any(${held}::bigint[]) and p.document = m.document)`)
  }
  if (filter.entity !== undefined) {
    parts.push(fragment`exists (select from mentions e where e.namespace = m.namespace
      and e.entity = ${filter.entity}::bigint and e.document = m.document)`)
  }
  return parts.length === 0 ? fragment`true` : joinFragments(parts, ' and ')
}

const insertedColumns = fragment`id, version, document, is_current, content, raw_content, type, metadata,
  tags, session_label, session_key, speaker, speaker_key, source_kind, source_url, source_client,
  source_client_key, source_agent, source_request, trust, quarantine, owner_agent, access, importance, occurred_at, event_from, event_to, event_grain, expires_at,
  pinned_at, valid_from, valid_to, retire_reason, recorded_at, supersedes, length, dedupe_key, terms, tag_terms, entities, needs_embedding`

/**
 * Inserts versions; a row whose dedupe key a current memory already holds is left out.
 * Returns the `id/version` that went in. Waits for a concurrent insert of the same key to end.
 */
export async function insertMemories(
  tx: NamespaceTransaction,
  rows: readonly NewMemoryRow[],
): Promise<ReadonlySet<string>> {
  const column = <Key extends keyof NewMemoryRow>(key: Key) => rows.map((row) => row[key])
  const inserted = await tx<{ id: string; version: number }>`
    insert into memories (namespace, ${insertedColumns}, readers)
    select ${tx.namespace}::bigint, ${insertedColumns}, r.reader_list::text[] from unnest(
      ${column('id')}::uuid[], ${column('version')}::int[], ${column('document')}::int[],
      ${column('is_current')}::boolean[],
      ${column('content')}::bytea[], ${column('raw_content')}::bytea[], ${column('type')}::text[],
      ${column('metadata')}::bytea[], ${column('tags')}::bytea[],
      ${column('session_label')}::bytea[], ${column('session_key')}::bytea[],
      ${column('speaker')}::bytea[], ${column('speaker_key')}::bytea[],
      ${column('source_kind')}::text[], ${column('source_url')}::bytea[],
      ${column('source_client')}::bytea[], ${column('source_client_key')}::bytea[],
      ${column('source_agent')}::text[], ${column('source_request')}::uuid[],
      ${column('trust')}::smallint[], ${column('quarantine')}::int[], ${column('owner_agent')}::text[],
      ${column('access')}::text[], ${column('importance')}::real[],
      ${column('occurred_at')}::timestamptz[], ${column('event_from')}::timestamptz[],
      ${column('event_to')}::timestamptz[], ${column('event_grain')}::text[],
      ${column('expires_at')}::timestamptz[], ${column('pinned_at')}::timestamptz[],
      ${column('valid_from')}::timestamptz[], ${column('valid_to')}::timestamptz[],
      ${column('retire_reason')}::bytea[], ${column('recorded_at')}::timestamptz[],
      ${column('supersedes')}::uuid[], ${column('length')}::int[],
      ${column('dedupe_key')}::bytea[], ${column('terms')}::bytea[],
      ${column('tag_terms')}::bytea[], ${column('entities')}::bytea[],
      ${column('needs_embedding')}::boolean[],
      ${rows.map(({ readers }) => readers && encodeParameter(readers))}::text[]
    ) as r (${insertedColumns}, reader_list)
    on conflict do nothing
    returning id, version`
  return new Set(inserted.map(versionKey))
}

/** The memory that a dedupe key stands for. */
export type Holder = Pick<
  MemoryRow,
  | 'id'
  | 'version'
  | 'type'
  | 'occurred_at'
  | 'event_from'
  | 'event_to'
  | 'event_grain'
  | 'expires_at'
  | 'quarantine'
> & {
  readonly dedupe_key: Buffer
  readonly needs_embedding: boolean
  readonly expired: boolean
}

/** Current holders of dedupe keys, expired ones included. Index memories_dedupe. */
export function findByDedupeKeys(
  tx: NamespaceTransaction,
  keys: readonly Buffer[],
): Promise<Holder[]> {
  return tx`
    select m.id, m.version, m.dedupe_key, m.type, m.occurred_at, m.event_from, m.event_to,
      m.event_grain, m.expires_at, m.quarantine, m.needs_embedding,
      coalesce(m.expires_at <= statement_timestamp(), false) as expired
    from memories m
    where m.namespace = ${tx.namespace} and m.is_current and m.valid_to is null
      and m.dedupe_key = any(${keys}::bytea[])`
}

/** `id/version` of the versions that are there already, visible ones only. Primary key. */
export async function existingVersions(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await tx<{ id: string; version: number }>`
    select m.id, m.version from memories m
    where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[])`
  return new Set(rows.map(versionKey))
}

/** What a supersession looks at (trust.ts), of the current versions of some memories. Primary key. */
export async function readStandings(tx: NamespaceTransaction, ids: readonly string[]) {
  const rows = await tx<StandingRow>`
    select m.id, m.recorded_at, m.owner_agent, m.access, m.readers, m.trust, m.quarantine from memories m
    where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[]) and m.is_current`
  return rows.map(({ owner_agent: ownerAgent, recorded_at: recordedAt, ...row }) => ({
    ...row,
    ownerAgent,
    recordedAt,
  }))
}

type StandingRow = Pick<
  MemoryRow,
  'id' | 'recorded_at' | 'owner_agent' | 'access' | 'readers' | 'trust' | 'quarantine'
>

/** One version of one memory as text, for sets. */
export function versionKey({ id, version }: { id: string; version: number }): string {
  return `${id}/${version}`
}

/** The text of one version and how to read it. */
export type StoredContent = Pick<MemoryRow, 'id' | 'version' | 'document' | 'content' | 'key_token'>

/**
 * Memories whose vector is still to be made, lowest document first; quarantined ones get none.
 * Index memories_needs_embedding.
 */
export function needingEmbedding(
  tx: NamespaceTransaction,
  limit: number,
): Promise<StoredContent[]> {
  return tx`
    select m.id, m.version, m.document, m.content, ${keyToken} from memories m
    where m.namespace = ${tx.namespace} and m.needs_embedding and m.quarantine = 0
    order by m.document limit ${limit}`
}

/**
 * Versions without a vector after a document number, lowest first, quarantined ones left out: what is
 * left to embed. `vectors`: the table that holds the namespace's. Index memories_document.
 */
export function lackingEmbedding(
  tx: NamespaceTransaction,
  vectors: SqlFragment,
  afterDocument: number,
  limit: number,
): Promise<StoredContent[]> {
  return tx`
    select m.id, m.version, m.document, m.content, ${keyToken} from memories m
    where m.namespace = ${tx.namespace} and m.document > ${afterDocument} and m.quarantine = 0
      and not exists (select from ${vectors} e
        where e.namespace = m.namespace and e.document = m.document)
    order by m.document limit ${limit}`
}

/** Clears the flag of those that are still there and returns them; holds their row locks. */
export async function clearNeedsEmbedding(
  tx: NamespaceTransaction,
  documents: readonly number[],
): Promise<ReadonlySet<number>> {
  const rows = await tx<{ document: number }>`
    update memories m set needs_embedding = false
    where m.namespace = ${tx.namespace} and m.document = any(${documents}::int[])
    returning m.document`
  return new Set(rows.map((row) => row.document))
}
