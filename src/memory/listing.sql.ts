/** Memories read and listed without a question. Every statement names the namespace besides the policies. */
import { fragment, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { versionMark } from './claims.sql.ts'
import {
  columns,
  filterSql,
  reached,
  seen,
  type MemoryFilter,
  type MemoryRow,
  type Moment,
  type PlacedRow,
} from './memories.sql.ts'
import { storedLength } from './size.sql.ts'

/** Some memories as a moment shows them, a version each. Primary key. */
export function readMemories(
  tx: NamespaceTransaction,
  ids: readonly string[],
  moment: Exclude<Moment, 'ever'> = 'now',
): Promise<PlacedRow[]> {
  return tx`
    select ${columns}, m.is_current from memories m
    where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[]) and ${seen(tx, moment)}`
}

/** Rows that a reading by id gives at most: every version that one memory may have. */
const idVersionsMax = 1_000

/**
 * Every version of some memories, the newest of all before older ones of any, while they hold no more than
 * `bytesMax` together; a memory's newest in any case. `total`: how many there are. Lengths are read from the
 * rows, not the texts themselves. Primary key.
 */
export function readHistories(
  tx: NamespaceTransaction,
  ids: readonly string[],
  bytesMax: number,
): Promise<(PlacedRow & { readonly total: number })[]> {
  return tx`
    with sized as (
      select m.id, m.version, ${storedLength} as bytes,
        row_number() over (partition by m.id order by m.version desc) as age
      from memories m
      where m.namespace = ${tx.namespace} and m.id = any(${ids}::uuid[]) and ${seen(tx, 'ever')}),
    placed as materialized (
      select s.id, s.version, s.age, count(*) over () as total, row_number() over ages as place,
        sum(s.bytes) over ages as bytes
      from sized s window ages as (order by s.age, s.id))
    select ${columns}, m.is_current, p.total::int as total
    from placed p join memories m
      on m.namespace = ${tx.namespace} and m.id = p.id and m.version = p.version
    where p.age = 1 or (p.place <= ${idVersionsMax} and p.bytes <= ${bytesMax})
    order by p.place`
}

export interface BrowsePlace {
  readonly recordedAt: Date
  readonly id: string
  readonly version: number
}

/**
 * Newest first by time of recording, then id, then version; keyset page. Index memories_recent, and for
 * other moments memories_superseded beside it.
 */
export function browseMemories(
  tx: NamespaceTransaction,
  filter: MemoryFilter,
  after: BrowsePlace | undefined,
  limit: number,
): Promise<PlacedRow[]> {
  const start = after
    ? fragment`(m.recorded_at, m.id, m.version) < (${after.recordedAt}::timestamptz, ${after.id}::uuid,
        ${after.version}::int)`
    : fragment`true`
  const order = fragment`order by m.recorded_at desc, m.id desc, m.version desc limit ${limit}`
  const page = (part: SqlFragment) => fragment`
    select ${columns}, m.is_current from memories m
    where m.namespace = ${tx.namespace} and ${part} and ${seen(tx, filter.moment)}
      and ${filterSql(filter)} and ${start} ${order}`
  if (filter.moment === undefined) return tx`${page(fragment`m.is_current`)}`
  return tx`
    select * from ((${page(fragment`m.is_current`)}) union all (${page(fragment`not m.is_current`)})) m
    ${order}`
}

/** How many versions the filter takes, at most `most` + 1. */
export async function countMemories(
  tx: NamespaceTransaction,
  filter: MemoryFilter,
  most: number,
): Promise<number> {
  const [row] = await tx<{ memories: number }>`
    select count(*)::int as memories from (
      select from memories m
      where m.namespace = ${tx.namespace} and ${seen(tx, filter.moment)} and ${filterSql(filter)}
      limit ${most + 1}) counted`
  return row?.memories ?? 0
}

/** Every readable version in key order after (id, version): for export. Primary key. */
export function pageMemories(
  tx: NamespaceTransaction,
  after: { id: string; version: number },
  limit: number,
): Promise<(MemoryRow & { is_current: boolean })[]> {
  return tx`
    select ${columns}, m.is_current from memories m
    where m.namespace = ${tx.namespace}
      and (m.id, m.version) > (${after.id}::uuid, ${after.version}::int)
      and (m.expires_at is null or m.expires_at > statement_timestamp()) and ${reached(tx)}
    order by m.id, m.version limit ${limit}`
}

/** A memory as a confirmation remembers it. */
export interface MarkedMemory {
  readonly id: string
  readonly versions: number
  /** Number of the newest version. */
  readonly newest: number
  /** Changes with the memory (claims.sql.ts). */
  readonly mark: bigint
}

/**
 * Memories that a filter takes, oldest id first: retired ones as well. With the moment `ever` one version
 * that passes is enough, otherwise it is the newest that counts.
 */
export function selectIds(
  tx: NamespaceTransaction,
  filter: MemoryFilter,
  limit: number,
): Promise<MarkedMemory[]> {
  const which = filter.moment === 'ever' ? fragment`true` : fragment`m.is_current`
  return tx`
    with picked as materialized (
      select distinct m.id from memories m
      where m.namespace = ${tx.namespace} and ${which} and ${seen(tx, 'ever')} and ${filterSql(filter)}
      order by m.id limit ${limit})
    select m.id, count(*)::int as versions, max(m.version) as newest, bit_xor(${versionMark}) as mark
    from picked p join memories m on m.namespace = ${tx.namespace} and m.id = p.id
    group by m.id order by m.id`
}

/** How many memories a filter takes by an older version alone. Index memories_superseded. */
export async function countPast(tx: NamespaceTransaction, filter: MemoryFilter): Promise<number> {
  const passing = fragment`${seen(tx, 'ever')} and ${filterSql(filter)}`
  const [row] = await tx<{ memories: number }>`
    with past as materialized (
      select distinct m.id from memories m
      where m.namespace = ${tx.namespace} and not m.is_current and ${passing})
    select count(*)::int as memories from past p
    where not exists (select from memories m
      where m.namespace = ${tx.namespace} and m.id = p.id and m.is_current and ${passing})`
  return row?.memories ?? 0
}
