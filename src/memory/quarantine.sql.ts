/** Quarantined versions and versions by who stored them. Every statement needs a transaction that reaches them. */
import { fragment, joinFragments, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { FieldPlace } from './fields.ts'
import { keyToken } from './memory-keys.sql.ts'
import { columns, type MemoryRow, type StoredContent } from './memories.sql.ts'

/** Who stored something here; parts narrow together. */
export interface StoredBy {
  readonly agent?: string | undefined
  /** Blind index of the client's name. */
  readonly clientKey?: Buffer | undefined
  readonly request?: string | undefined
  readonly after?: Date | undefined
  readonly before?: Date | undefined
}

/** Conditions on alias `m`. What was stored before its storing was kept counts by owner and recorded_at. */
function storedBySql({ agent, clientKey, request, after, before }: StoredBy): SqlFragment {
  const parts: SqlFragment[] = [fragment`true`]
  if (agent !== undefined) {
    parts.push(fragment`coalesce(m.source_agent, m.owner_agent) = ${agent}`)
  }
  if (clientKey) parts.push(fragment`m.source_client_key = ${clientKey}::bytea`)
  if (request !== undefined) parts.push(fragment`m.source_request = ${request}::uuid`)
  if (after) {
    parts.push(fragment`(m.source_request >= ${firstIdOf(after)}::uuid
      or (m.source_request is null and m.recorded_at >= ${after}::timestamptz))`)
  }
  if (before) {
    parts.push(fragment`(m.source_request < ${firstIdOf(before)}::uuid
      or (m.source_request is null and m.recorded_at < ${before}::timestamptz))`)
  }
  return joinFragments(parts, ' and ')
}

/** The lowest UUIDv7 of a millisecond (RFC 9562 §5.7): request ids sort by the time they were made. */
function firstIdOf(time: Date): string {
  const hex = Math.max(0, time.getTime()).toString(16).padStart(12, '0').slice(-12)
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}

export interface QuarantineFilter extends StoredBy {
  /** Bits of which one at least must be set. */
  readonly reasons?: number | undefined
}

export type QuarantinedRow = MemoryRow & {
  readonly is_current: boolean
  readonly source_request: string | null
}

/** Newest id first, a keyset page. Index memories_quarantined. */
export function listQuarantined(
  tx: NamespaceTransaction,
  filter: QuarantineFilter,
  after: FieldPlace | undefined,
  limit: number,
): Promise<QuarantinedRow[]> {
  const start = after
    ? fragment`(m.id, m.version) < (${after.id}::uuid, ${after.version}::int)`
    : fragment`true`
  return tx`
    select ${columns}, m.is_current, m.source_request from memories m
    where m.namespace = ${tx.namespace} and m.quarantine <> 0 and ${quarantineSql(filter)} and ${start}
    order by m.id desc, m.version desc limit ${limit}`
}

/** How many versions the filter takes. Index memories_quarantined. */
export async function countQuarantined(
  tx: NamespaceTransaction,
  filter: QuarantineFilter,
): Promise<number> {
  const [row] = await tx<{ versions: number }>`
    select count(*)::int as versions from memories m
    where m.namespace = ${tx.namespace} and m.quarantine <> 0 and ${quarantineSql(filter)}`
  return row?.versions ?? 0
}

function quarantineSql(filter: QuarantineFilter): SqlFragment {
  const alive = fragment`(m.expires_at is null or m.expires_at > statement_timestamp())`
  const reasons = fragment`(m.quarantine & ${filter.reasons ?? -1}::int) <> 0`
  return joinFragments([alive, reasons, storedBySql(filter)], ' and ')
}

export type HeldRow = StoredContent &
  Pick<MemoryRow, 'access' | 'owner_agent' | 'readers'> & {
    readonly terms: Buffer
    readonly dedupe_key: Buffer
  }

/** Quarantined versions of some memories, locked in key order. Index memories_quarantined. */
export function lockQuarantined(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<HeldRow[]> {
  return tx`
    select m.id, m.version, m.document, m.content, ${keyToken}, m.terms, m.dedupe_key,
      m.access, m.owner_agent, m.readers
    from memories m
    where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[]) and m.quarantine <> 0
    order by m.id, m.version for update of m`
}

export interface Release extends FieldPlace {
  readonly dedupeKey: Buffer
  readonly terms: Buffer
}

/** Lifts the quarantine; the database asks for an administrator. */
export async function releaseVersions(
  tx: NamespaceTransaction,
  releases: readonly Release[],
  needsEmbedding: boolean,
): Promise<void> {
  await tx`
    update memories m set quarantine = 0,
      dedupe_key = r.dedupe_key, terms = r.terms, needs_embedding = ${needsEmbedding}::boolean
    from unnest(${releases.map((row) => row.id)}::uuid[], ${releases.map((row) => row.version)}::int[],
      ${releases.map((row) => row.dedupeKey)}::bytea[], ${releases.map((row) => row.terms)}::bytea[])
      as r (id, version, dedupe_key, terms)
    where m.namespace = ${tx.namespace} and m.id = r.id and m.version = r.version`
}

/** Versions that somebody stored, in key order. Reads the namespace: nothing is indexed for so rare a question. */
export function selectStoredBy(
  tx: NamespaceTransaction,
  by: StoredBy,
  limit: number,
): Promise<FieldPlace[]> {
  return tx`
    select m.id, m.version from memories m
    where m.namespace = ${tx.namespace} and ${storedBySql(by)}
    order by m.id, m.version limit ${limit}`
}
