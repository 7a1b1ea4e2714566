/** Which candidates stand next to each other in their session. Pure. */

export interface SessionPlace {
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
