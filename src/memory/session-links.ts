/** Which candidates stand next to each other, in their session or as notes by the order of storing. Pure. */

export interface SessionPlace {
  /** UUIDv7: its order is that of storing, and an edit keeps it. */
  readonly id: string
  readonly document: number
  readonly session_key: Buffer | null
  readonly occurred_at: Date
}

/** Who answers for a note beside where it stands. */
export interface NotePlace extends SessionPlace {
  readonly owner_agent: string
  readonly trust: number
}

export interface Links {
  readonly previous: number | null
  readonly next: number | null
}

/**
 * Documents further apart than this are not taken for neighbours: what lies between them was not among
 * the candidates. Numbers follow the order of storing; 2 finds a tenth of a point more than 4 (bench).
 */
const distanceMax = 2

/** Previous and next candidate of each document within its session, by time and then by number. */
export function linkSessions(rows: readonly SessionPlace[]): ReadonlyMap<number, Links> {
  const inSessions = rows.filter((row) => row.session_key !== null)
  const sessions = grouped(inSessions, (row) => row.session_key?.toString('hex') ?? '')
  const links = new Map<number, Links>()
  for (const members of sessions.values()) {
    members.sort(
      (a, b) => a.occurred_at.getTime() - b.occurred_at.getTime() || a.document - b.document,
    )
    for (const [place, { document }] of members.entries()) {
      links.set(document, {
        previous: near(members[place - 1], document),
        next: near(members[place + 1], document),
      })
    }
  }
  return links
}

function near(other: SessionPlace | undefined, document: number): number | null {
  return other && Math.abs(other.document - document) <= distanceMax ? other.document : null
}

/** Notes about times further apart say nothing of each other: one sitting, in milliseconds. */
const sittingMs = 3_600_000

/**
 * Previous and next candidate of each note outside sessions: another memory about the same time that the same agent
 * stored before and after it and that is believed as much, so that nobody lends to another's note or stands between two.
 * By id and not by document: numbers would tell what was edited, or lies between them out of sight.
 */
export function linkNotes(rows: readonly NotePlace[]): ReadonlyMap<number, Links> {
  const notes = rows
    .filter((row) => row.session_key === null)
    .toSorted((a, b) => compareIds(a.id, b.id) || a.document - b.document)
  const writers = grouped(notes, ({ trust, owner_agent: agent }) => `${trust} ${agent}`)
  const links = new Map<number, Links>()
  for (const written of writers.values()) {
    const memories = [...grouped(written, ({ id }) => id).values()]
    for (const [place, versions] of memories.entries()) {
      const before = memories[place - 1]?.at(-1)
      const after = memories[place + 1]?.at(-1)
      for (const row of versions) {
        links.set(row.document, { previous: together(row, before), next: together(row, after) })
      }
    }
  }
  return links
}

function together(row: NotePlace, other: NotePlace | undefined): number | null {
  if (other === undefined) return null
  const apartMs = Math.abs(row.occurred_at.getTime() - other.occurred_at.getTime())
  return apartMs <= sittingMs ? other.document : null
}

/** Rows by a key, in their order. */
function grouped<Row>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
): ReadonlyMap<string, Row[]> {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const group = groups.get(keyOf(row))
    if (group) group.push(row)
    else groups.set(keyOf(row), [row])
  }
  return groups
}

function compareIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
