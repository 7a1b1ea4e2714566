/** Who may hear that a memory was stored, changed or forgotten: those who may see it. Pure. */
import type { Touched } from '../operation.ts'
import type { AccessLevel } from './memory.ts'

/** What of a memory decides who sees it. */
export interface Seen {
  readonly id: string
  readonly access: AccessLevel
  readonly owner_agent: string
  readonly readers: readonly string[] | null
}

/** The memories by audience; everybody's first. A memory given twice is told to both its audiences. */
export function touchedBy(memories: readonly Seen[]): readonly Touched[] {
  const groups = new Map<string, { ids: string[]; audience?: readonly string[] }>()
  for (const memory of memories) {
    const audience = audienceOf(memory)
    const key = JSON.stringify(audience ?? null)
    const group = groups.get(key)
    if (group) group.ids.push(memory.id)
    else groups.set(key, { ids: [memory.id], ...(audience && { audience }) })
  }
  return [...groups.values()]
}

function audienceOf({ access, owner_agent: owner, readers }: Seen): readonly string[] | undefined {
  return access === 'private' ? [owner, ...(readers ?? [])] : undefined
}
