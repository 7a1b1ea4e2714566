/** Versions of one memory: its newest one locked for a change, and what a change does to those before it. */
import { encodeParameter } from '../database/codec.ts'
import { fragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { AccessLevel } from './memory.ts'
import { columns, type MemoryRow } from './memories.sql.ts'

/** A version that a new one is made from. */
export type BaseRow = MemoryRow & {
  readonly is_current: boolean
  readonly dedupe_key: Buffer
  /** Packed. */
  readonly terms: Buffer
}

const base = fragment`${columns}, m.is_current, m.dedupe_key, m.terms`
/** What is quarantined has no versions until it is approved; what has expired is gone. */
const usable = fragment`m.quarantine = 0
  and (m.expires_at is null or m.expires_at > statement_timestamp())`

/** A memory's newest version, or the given one; undefined when the caller sees none. Primary key. */
export async function readBase(
  tx: NamespaceTransaction,
  id: string,
  version?: number,
): Promise<BaseRow | undefined> {
  const which =
    version === undefined ? fragment`m.is_current` : fragment`m.version = ${version}::int`
  const [row] = await tx<BaseRow>`
    select ${base} from memories m
    where m.namespace = ${tx.namespace} and m.id = ${id}::uuid and ${which} and ${usable}`
  return row
}

/** The newest version, locked: of two who change a memory the second waits and then sees the first's. */
export async function lockNewest(
  tx: NamespaceTransaction,
  id: string,
): Promise<BaseRow | undefined> {
  // Two statements: one that waited would still read the key and the columns of its own snapshot.
  await tx`
    select from memories m
    where m.namespace = ${tx.namespace} and m.id = ${id}::uuid order by m.version for update`
  return readBase(tx, id)
}

/** A version as far as its derived rows are found by it. */
export interface VersionPlace {
  readonly version: number
  readonly document: number
  /** Packed. */
  readonly terms: Buffer
  readonly tag_terms: Buffer
  readonly entities: Buffer
}

/** Every version of a memory, oldest first, whatever its state. Primary key. */
export function versionPlaces(tx: NamespaceTransaction, id: string): Promise<VersionPlace[]> {
  return tx`
    select m.version, m.document, m.terms, m.tag_terms, m.entities from memories m
    where m.namespace = ${tx.namespace} and m.id = ${id}::uuid order by m.version`
}

/** Makes a version history; `terms`: packed, as its postings are from now on. */
export async function supersedeVersion(
  tx: NamespaceTransaction,
  { id, version }: { readonly id: string; readonly version: number },
  terms: Buffer,
): Promise<void> {
  await tx`
    update memories m set is_current = false, terms = ${terms}
    where m.namespace = ${tx.namespace} and m.id = ${id}::uuid and m.version = ${version}`
}

/** Expiry and pin are a memory's, not a version's: every version has the newest one's. */
export async function shareLife(
  tx: NamespaceTransaction,
  id: string,
  life: { readonly expiresAt: Date | null; readonly pinnedAt: Date | null },
): Promise<void> {
  await tx`
    update memories m set expires_at = ${life.expiresAt}::timestamptz,
      pinned_at = ${life.pinnedAt}::timestamptz
    where m.namespace = ${tx.namespace} and m.id = ${id}::uuid
      and (m.expires_at, m.pinned_at) is distinct from
        (${life.expiresAt}::timestamptz, ${life.pinnedAt}::timestamptz)`
}

export interface NewAccess {
  readonly access: AccessLevel
  readonly readers: readonly string[] | null
  /** Document numbers by version; they change with the number space. */
  readonly documents: readonly { readonly version: number; readonly document: number }[]
}

/** Gives every version new access. The database asks for the owner or an administrator. */
export async function changeAccess(
  tx: NamespaceTransaction,
  id: string,
  { access, readers, documents }: NewAccess,
): Promise<void> {
  await tx`
    update memories m set access = ${access},
      readers = ${readers && encodeParameter(readers)}::text[], document = r.document
    from unnest(${documents.map((row) => row.version)}::int[],
      ${documents.map((row) => row.document)}::int[]) as r (version, document)
    where m.namespace = ${tx.namespace} and m.id = ${id}::uuid and m.version = r.version`
}

/** What became current again. */
export interface RevivedRow {
  readonly id: string
  readonly version: number
  readonly document: number
  readonly terms: Buffer
}

/**
 * Of memories that lost versions: makes the newest that is left current where none is, unless its words
 * are another memory's by now. Returns those whose words are searched again. Primary key.
 */
export async function restoreNewest(
  tx: NamespaceTransaction,
  ids: readonly string[],
): Promise<RevivedRow[]> {
  const rows = await tx<RevivedRow & { holds: boolean }>`
    update memories m set is_current = true
    where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[])
      and m.version = (select max(v.version) from memories v
        where v.namespace = m.namespace and v.id = m.id)
      and not exists (select from memories c
        where c.namespace = m.namespace and c.id = m.id and c.is_current)
      and not exists (select from memories o
        where o.namespace = m.namespace and o.dedupe_key = m.dedupe_key and o.is_current
          and o.valid_to is null)
    returning m.id, m.version, m.document, m.terms, m.valid_to is null as holds`
  return rows.filter((row) => row.holds)
}

/** Writes the packed terms of versions as their postings are. */
export async function writeTerms(
  tx: NamespaceTransaction,
  rows: readonly RevivedRow[],
): Promise<void> {
  await tx`
    update memories m set terms = r.terms
    from unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.version)}::int[],
      ${rows.map((row) => row.terms)}::bytea[]) as r (id, version, terms)
    where m.namespace = ${tx.namespace} and m.id = r.id and m.version = r.version`
}
