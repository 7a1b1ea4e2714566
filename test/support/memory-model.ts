/** What a memory with versions should be, in the plainest way: for tests that compare the product with it. Pure. */

export interface ModelVersion {
  readonly content: string
  readonly tags: readonly string[]
  readonly isRetired: boolean
}

export interface ModelMemory {
  readonly id: string
  /** Oldest first: version 1 is the first. */
  readonly versions: readonly ModelVersion[]
  readonly isPinned: boolean
  /** Forgotten or expired. */
  readonly isGone: boolean
}

/** One request, as far as it matters what it should do. */
export type Action =
  | { readonly kind: 'edit'; readonly content?: string; readonly tags?: readonly string[] }
  | { readonly kind: 'retire' }
  | { readonly kind: 'restore'; readonly version: number }
  | { readonly kind: 'pin'; readonly pin: boolean }
  | { readonly kind: 'expire' }
  | { readonly kind: 'forget' }

export type Expected =
  { readonly after: ModelMemory } | { readonly refused: 'not_found' | 'conflict' | 'invalid_input' }

export function newest({ versions }: ModelMemory): ModelVersion {
  const version = versions.at(-1)
  if (version === undefined) throw new TypeError('a memory has a version')
  return version
}

/** What a request makes of a memory; `expected`: the version that it says it is of. */
export function expectedOf(memory: ModelMemory, action: Action, expected?: number): Expected {
  if (action.kind === 'forget') return { after: { ...memory, isGone: true } }
  if (memory.isGone) return { refused: 'not_found' }
  const now = newest(memory)
  if (action.kind === 'retire' && now.isRetired) return { refused: 'conflict' }
  if (action.kind === 'expire' && memory.isPinned) return { refused: 'invalid_input' }
  const restored = action.kind === 'restore' ? memory.versions[action.version - 1] : undefined
  if (action.kind === 'restore' && !restored) return { refused: 'not_found' }
  if (expected !== undefined && expected !== memory.versions.length) return { refused: 'conflict' }
  const adding = (version: ModelVersion): Expected => ({
    after: { ...memory, versions: [...memory.versions, version] },
  })
  if (action.kind === 'edit') {
    const { content = now.content, tags = now.tags } = action
    const isSame = content === now.content && tags.join() === now.tags.join()
    return isSame ? { after: memory } : adding({ ...now, content, tags })
  }
  if (action.kind === 'retire') return adding({ ...now, isRetired: true })
  if (action.kind === 'restore') return adding({ ...(restored ?? now), isRetired: false })
  if (action.kind === 'pin') return { after: { ...memory, isPinned: action.pin } }
  return { after: { ...memory, isGone: true } }
}

/** Its newest version where it holds now. */
export function holding(memory: ModelMemory): ModelVersion | undefined {
  return memory.isGone || newest(memory).isRetired ? undefined : newest(memory)
}

/** Number of the version that was known at an instant and held; `recorded`: when each was, oldest first. */
export function knownAt(
  memory: ModelMemory,
  recorded: readonly number[],
  instant: number,
): number | undefined {
  const known = recorded.filter((at) => at <= instant).length
  const version = memory.versions[known - 1]
  return memory.isGone || version === undefined || version.isRetired ? undefined : known
}
