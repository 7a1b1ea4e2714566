/** Who is believed how far: source and trust by channel, what is quarantined, what may supersede. Pure. */
import { suspicions } from '../pipeline/suspicion.ts'
import type { Channel } from '../principal.ts'
import type { AccessLevel, SourceKind } from './memory.ts'

/**
 * 0: nobody answers for it. 1: somebody outside wrote it. 2: an agent of the namespace stored it, or an
 * administrator brought it in. 3: the person at the command line said it. An approval lets a memory be
 * recalled and changes neither: who approves a text does not make it true, and its source stays bounded.
 */
export const normalTrust = 2
/** Most trust in what was said outside: by a connector, or in another namespace. */
export const foreignTrust = 1

export interface Source {
  readonly kind: SourceKind
  readonly trust: number
}

/** Source and trust come from the channel, never from the content or an argument. */
const sourceByChannel: Readonly<Record<Channel, Source>> = {
  stdio: { kind: 'agent', trust: 2 },
  'mcp-http': { kind: 'agent', trust: 2 },
  rest: { kind: 'agent', trust: 2 },
  cli: { kind: 'user', trust: 3 },
  job: { kind: 'connector', trust: foreignTrust },
}

export function sourceOf(channel: Channel): Source {
  return sourceByChannel[channel]
}

/** What an administrator brings in from a file: let in by somebody here, said by nobody here. */
export const importSource: Source = { kind: 'import', trust: normalTrust }

/**
 * Source and trust of an imported line. `own`: the operator says at the command line, whose own word is
 * trust 3, that the file is an export of this installation, so it is believed as it stands. Else what it
 * says of itself can only hold it back.
 */
export function importedSource(claimed: Source, own: boolean): Source {
  if (own) return claimed
  return { ...importSource, trust: Math.min(claimed.trust, importSource.trust) }
}

/** Why a memory is quarantined; the place in this list is the bit in the column: never reorder. */
export const quarantineReasons = ['channel', ...suspicions] as const
export type QuarantineReason = (typeof quarantineReasons)[number]

/** Reasons as the column holds them; 0 is none. */
export function reasonBits(reasons: Iterable<QuarantineReason>): number {
  let bits = 0
  for (const reason of reasons) bits |= 1 << quarantineReasons.indexOf(reason)
  return bits
}

export function reasonsOf(bits: number): QuarantineReason[] {
  return quarantineReasons.filter((_reason, place) => (bits & (1 << place)) !== 0)
}

/** Why a new memory is quarantined: below normal trust its channel is enough. */
export function quarantineOf(
  { trust }: Pick<Source, 'trust'>,
  flags: Iterable<QuarantineReason> = [],
): number {
  return reasonBits(flags) | (trust < normalTrust ? reasonBits(['channel']) : 0)
}

/** Part of a list of answers that one source below normal trust may fill; at least one place. */
const untrustedShareMax = 0.4

/**
 * Decides, best first, which hits a list of `limit` answers may hold: a source that nobody here vouches
 * for cannot crowd out the others by its number. Its best hits are shown also where
 * there is nothing else; the rest of the places then stay empty.
 */
export function fairShares(
  limit: number,
): (hit: { readonly trust: number; readonly from: string }) => boolean {
  const placesMax = Math.max(1, Math.floor(limit * untrustedShareMax))
  const taken = new Map<string, number>()
  return ({ trust, from }) => {
    if (trust >= normalTrust) return true
    const places = (taken.get(from) ?? 0) + 1
    taken.set(from, places)
    return places <= placesMax
  }
}

/** Whose share a memory of the namespace itself counts to: of its kind of source, what one agent stored. */
export function sourceName(kind: SourceKind, agent: string): string {
  return `${kind}\0${agent}`
}

/** What a supersession looks at. */
export interface Standing {
  readonly namespace: bigint
  readonly id: string
  readonly recordedAt: Date
  readonly ownerAgent: string
  readonly access: AccessLevel
  /** Sorted; null when nobody is named. */
  readonly readers: readonly string[] | null
  readonly trust: number
  /** Bits; 0 when it is not quarantined. */
  readonly quarantine: number
}

/**
 * Whether a memory may take the place of another: within the same namespace, agent, access and readers, with
 * at least its trust, recorded after it, and never out of quarantine. Otherwise both stay.
 */
export function maySupersede(newer: Standing, older: Standing): boolean {
  return (
    newer.namespace === older.namespace &&
    newer.ownerAgent === older.ownerAgent &&
    newer.access === older.access &&
    JSON.stringify(newer.readers) === JSON.stringify(older.readers) &&
    newer.trust >= older.trust &&
    newer.quarantine === 0 &&
    isLater(newer, older)
  )
}

/** Of one millisecond, the higher UUIDv7 is the later. No two are later than each other, so none go in a ring. */
function isLater(newer: Standing, older: Standing): boolean {
  const between = newer.recordedAt.getTime() - older.recordedAt.getTime()
  return between > 0 || (between === 0 && newer.id.toLowerCase() > older.id.toLowerCase())
}
