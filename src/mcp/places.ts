/** Places of what a process holds open, taken at once: for one owner, one namespace, and in all. */

export interface PlaceBounds {
  readonly all: number
  /** Below all of them, or one namespace could shut out every other. */
  readonly perNamespace: number
  readonly perOwner: number
}

export interface Places {
  /** True when the owner has as many places as it may. */
  isFull(owner: string): boolean
  /** A place, counted from now on, before anything is awaited; undefined when there is none. */
  take(namespace: bigint, owner: string): Place | undefined
}

export interface Place {
  /** Gives the place back; once more does nothing. */
  release(): void
}

/** Owns its counts; an owner belongs to one namespace. */
export function createPlaces({ all, perNamespace, perOwner }: PlaceBounds): Places {
  const owners = new Map<string, number>()
  const namespaces = new Map<bigint, number>()
  let taken = 0
  return {
    isFull: (owner) => (owners.get(owner) ?? 0) >= perOwner,
    take(namespace, owner) {
      const own = owners.get(owner) ?? 0
      const inNamespace = namespaces.get(namespace) ?? 0
      if (own >= perOwner || inNamespace >= perNamespace || taken >= all) return undefined
      taken++
      owners.set(owner, own + 1)
      namespaces.set(namespace, inNamespace + 1)
      let isHeld = true
      return {
        release() {
          if (!isHeld) return
          isHeld = false
          taken--
          decrease(owners, owner)
          decrease(namespaces, namespace)
        },
      }
    },
  }
}

function decrease<Key>(counts: Map<Key, number>, key: Key): void {
  const left = (counts.get(key) ?? 0) - 1
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}
