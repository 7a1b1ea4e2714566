/** Memories in outline: what choosing among many needs, without their words. Visible live ones alone. */
import { fragment, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { instant, prefixed } from './candidates.sql.ts'
import { memoryTypes, type MemoryType } from './memory.ts'
import { live } from './memories.sql.ts'
import { PackedReader, unpackTerms } from './packed.ts'

/** Terms of a memory that an outline holds; of a long text its beginning tells enough. */
const termsMax = 64

export interface Outline {
  readonly document: number
  readonly type: MemoryType
  readonly importance: number
  /** In analysed terms. */
  readonly length: number
  readonly isPinned: boolean
  readonly occurredAt: Date
  readonly eventFrom: Date | null
  readonly eventTo: Date | null
  readonly expiresAt: Date | null
  /** Blind index of its session; undefined: none. */
  readonly session: string | undefined
  /** Blind index of who said it. */
  readonly speaker: string | undefined
  readonly entities: readonly bigint[]
  /** Keyed hashes, at most `termsMax`. */
  readonly terms: ReadonlySet<bigint>
}

/** The newest by time of recording. Index memories_recent. */
export function newestOutlines(tx: NamespaceTransaction, limit: number): Promise<Outline[]> {
  return read(tx, fragment`true`, fragment`m.recorded_at desc, m.id desc`, limit)
}

/** The last of a session by the time they happened, newest first. Index memories_session. */
export function sessionOutlines(
  tx: NamespaceTransaction,
  session: Buffer,
  limit: number,
): Promise<Outline[]> {
  const ofSession = fragment`m.session_key = ${session}::bytea`
  return read(tx, ofSession, fragment`m.occurred_at desc, m.document desc`, limit)
}

/** What somebody pinned, last pinned first. Index memories_pinned. */
export function pinnedOutlines(tx: NamespaceTransaction, limit: number): Promise<Outline[]> {
  return read(tx, fragment`m.pinned_at is not null`, fragment`m.pinned_at desc`, limit)
}

/**
 * Tasks whose date lies in the window, and of the rest what has a date of a week or less that is not over: events,
 * and what spoke of it more than a week before, since "Monday" in a preference is every Monday. In the order of
 * their dates. Index memories_dated.
 */
export function dueOutlines(
  tx: NamespaceTransaction,
  window: { readonly from: Date; readonly now: Date; readonly to: Date },
  limit: number,
): Promise<Outline[]> {
  const isDue = fragment`m.event_from >= ${window.from}::timestamptz - interval '1 year'
    and m.event_from <= ${window.to}::timestamptz and m.event_to >= ${window.from}::timestamptz
    and (m.type = 'task' or (m.event_to > ${window.now}::timestamptz
      and m.event_grain in ('minute', 'hour', 'day', 'week')
      and (m.type = 'event' or m.event_from > m.occurred_at + interval '8 days')))`
  return read(tx, isDue, fragment`m.event_from, m.document`, limit)
}

async function read(
  tx: NamespaceTransaction,
  condition: SqlFragment,
  order: SqlFragment,
  limit: number,
): Promise<Outline[]> {
  // One value: an embedded engine hands out some 100 fields a millisecond.
  const [row] = await tx<{ packed: Buffer | null }>`
    select string_agg(
      int4send(o.document) || int4send(array_position(${[...memoryTypes]}::text[], o.type) - 1)
      || float4send(o.importance) || int4send(o.length) || int4send((o.pinned_at is not null)::int)
      || ${instant(fragment`o.occurred_at`)} || ${instant(fragment`o.event_from`)}
      || ${instant(fragment`o.event_to`)} || ${instant(fragment`o.expires_at`)}
      || ${prefixed(fragment`o.session_key`)} || ${prefixed(fragment`o.speaker_key`)} || ${prefixed(fragment`o.entities`)}
      || ${prefixed(fragment`substring(o.terms from 1 for ${termsMax * 8}::int)`)}, ''::bytea
      order by o.place) as packed
    from (
      select m.*, row_number() over (order by ${order}) as place from memories m
      where m.namespace = ${tx.namespace} and ${live(tx)} and ${condition}
      order by ${order} limit ${limit}) o`
  return row?.packed ? [...unpack(row.packed)] : []
}

function* unpack(packed: Buffer): Generator<Outline> {
  const reader = new PackedReader(packed)
  while (reader.hasMore) {
    const document = reader.int()
    const type = memoryTypes[reader.int()] ?? 'note'
    const importance = reader.float()
    const length = reader.int()
    const isPinned = reader.int() === 1
    const occurredAt = reader.instant() ?? new Date(Number.NaN)
    const [eventFrom, eventTo, expiresAt] = [reader.instant(), reader.instant(), reader.instant()]
    const session = reader.bytes()?.toString('hex')
    const speaker = reader.bytes()?.toString('hex')
    const entities = unpackTerms(reader.bytes() ?? Buffer.alloc(0))
    const terms = new Set(unpackTerms(reader.bytes() ?? Buffer.alloc(0)))
    yield {
      document,
      type,
      importance,
      length,
      isPinned,
      occurredAt,
      eventFrom,
      eventTo,
      expiresAt,
      session,
      speaker,
      entities,
      terms,
    }
  }
}
