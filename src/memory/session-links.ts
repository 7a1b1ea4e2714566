/** Which candidates stand next to each other, in their session or as notes by the order of storing. Pure. */

export interface SessionPlace {
  /** UUIDv7: its order is that of storing, and an edit keeps it. */
  readonly id: string
  readonly document: number
  readonly session_key: Buffer | null
  readonly occurred_at: Date
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
  const sessions = new Map<string, SessionPlace[]>()
  for (const row of rows) {
    if (row.session_key === null) continue
    const key = row.session_key.toString('hex')
    const members = sessions.get(key)
    if (members) members.push(row)
    else sessions.set(key, [row])
  }
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
 * Previous and next candidate of each note outside sessions, another memory stored before and after it about the
 * same time. By id and not by document: numbers would tell what was edited, or lies between them out of sight.
 */
export function linkNotes(rows: readonly SessionPlace[]): ReadonlyMap<number, Links> {
  const memories = new Map<string, SessionPlace[]>()
  for (const row of rows.toSorted((a, b) => compareIds(a.id, b.id) || a.document - b.document)) {
    if (row.session_key !== null) continue
    const versions = memories.get(row.id)
    if (versions) versions.push(row)
    else memories.set(row.id, [row])
  }
  const ordered = [...memories.values()]
  const links = new Map<number, Links>()
  for (const [place, versions] of ordered.entries()) {
    const before = ordered[place - 1]?.at(-1)
    const after = ordered[place + 1]?.at(-1)
    for (const row of versions) {
      links.set(row.document, { previous: together(row, before), next: together(row, after) })
    }
  }
  return links
}

function together(row: SessionPlace, other: SessionPlace | undefined): number | null {
  if (other === undefined) return null
  const apartMs = Math.abs(row.occurred_at.getTime() - other.occurred_at.getTime())
  return apartMs <= sittingMs ? other.document : null
}

function compareIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
