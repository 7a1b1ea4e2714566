/** One limit as this process knows it: what it admitted itself, and what Redis last said of all others. */
import { slotsPerWindow } from './rate-limit.lua.ts'

/** One request that this process admitted. */
export interface Entry {
  readonly at: number
  /** Its name in Redis; telling it twice counts it once. */
  readonly member: string
  /** Whether Redis knows it: not yet, it was told and has not answered, it does. */
  state: 'new' | 'told' | 'known'
}

/** What Redis said: every request of every process within the window. */
export interface View {
  readonly at: number
  readonly used: number
  readonly resetMs: number
  /** Requests by age, the youngest part of the window first. */
  readonly slots: readonly number[]
}

/** A window of a limit. Times are of one clock, in milliseconds. */
export class SlidingWindow {
  readonly key: string
  readonly #windowMs: number
  #limit = 0
  #entries: Entry[] = []
  #view: View | undefined
  #refusedUntil = 0
  #admittedAt = -Infinity
  #asking = 0
  #newsUntil = 0

  constructor(key: string, windowMs: number) {
    this.key = key
    this.#windowMs = windowMs
  }

  get limit(): number {
    return this.#limit
  }

  /** A raised limit makes room at once. */
  set limit(requests: number) {
    if (requests > this.#limit) this.#refusedUntil = 0
    this.#limit = requests
  }

  admit(entry: Entry): void {
    this.#entries.push(entry)
    this.#admittedAt = entry.at
  }

  /** A question to Redis that may end in an admission counts as one until it is answered. */
  ask(): void {
    this.#asking++
  }

  answered(): void {
    this.#asking--
  }

  see(view: View): void {
    this.#view = view
  }

  /** Nobody is let in before `until`: nothing can leave the window earlier. */
  refuse(until: number): void {
    this.#refusedUntil = until
  }

  refusedForMs(at: number): number {
    return Math.max(0, this.#refusedUntil - at)
  }

  /** True once a window: that somebody is refused is worth a line in the audit log, each time is not. */
  isNews(at: number): boolean {
    if (at < this.#newsUntil) return false
    this.#newsUntil = at + this.#windowMs
    return true
  }

  /**
   * Milliseconds until this process may admit one more by itself; 0: now. It has an equal part of what
   * the others had left when Redis was last heard, and of what leaves the window since.
   */
  waitAlone(at: number, replicas: number): number {
    const own = this.#ownSinceView(at)
    const restMs = this.#restMs(at, replicas)
    if (own.length + this.#asking < this.#share(at, replicas)) return restMs
    const leaving = [
      ...own.slice(0, 1).map((entry) => entry.at + this.#windowMs),
      ...this.#inherited(at).map(({ until }) => until),
    ]
    // Nothing is there and nothing will leave: a limit of no request at all.
    return Math.max(1, restMs, Math.min(...leaving, at + this.#windowMs) - at)
  }

  standing(at: number, replicas: number): { remaining: number; resetMs: number } {
    const refusedMs = this.refusedForMs(at)
    if (refusedMs > 0) return { remaining: 0, resetMs: refusedMs }
    const own = this.#ownSinceView(at)
    const [oldest] = own
    if (this.#view !== undefined && oldest === undefined) {
      const used = Math.min(this.#view.used, sum(this.#inherited(at)))
      const resetMs = Math.max(0, this.#view.resetMs - (at - this.#view.at))
      return { remaining: Math.max(0, this.#limit - used), resetMs: used === 0 ? 0 : resetMs }
    }
    const restMs = this.#restMs(at, replicas)
    if (restMs > 0) return { remaining: 0, resetMs: restMs }
    const remaining = Math.max(0, this.#share(at, replicas) - own.length)
    return { remaining, resetMs: oldest === undefined ? 0 : oldest.at + this.#windowMs - at }
  }

  /** How many of our own entries Redis must have, none older than `since`. */
  countKnownSince(since: number): number {
    return this.#entries.filter(({ at, state }) => state === 'known' && at > since).length
  }

  /** Entries of which Redis must be told; they count as told until `know` or `untell`. */
  tell(at: number, most: number): readonly Entry[] {
    this.#prune(at)
    const batch = this.#entries.filter(({ state }) => state === 'new').slice(0, most)
    for (const entry of batch) entry.state = 'told'
    return batch
  }

  /** Redis lost what it knew, or may have: all is to be told again. */
  untellAll(): void {
    for (const entry of this.#entries) entry.state = 'new'
  }

  #prune(at: number): void {
    const from = at - this.#windowMs
    const gone = this.#entries.findIndex((entry) => entry.at > from)
    if (gone !== 0) this.#entries = gone === -1 ? [] : this.#entries.slice(gone)
  }

  /** What we admitted and Redis had not counted when it was last heard. */
  #ownSinceView(at: number): readonly Entry[] {
    this.#prune(at)
    const seenAt = this.#view?.at ?? -Infinity
    return this.#entries.filter((entry) => entry.state !== 'known' || entry.at > seenAt)
  }

  /** What was admitted by anybody before Redis was last heard, as far as it is still in the window. */
  #inherited(at: number): readonly { readonly count: number; readonly until: number }[] {
    const view = this.#view
    if (view === undefined) return []
    const width = this.#windowMs / slotsPerWindow
    return view.slots
      .map((count, slot) => ({ count, until: view.at + this.#windowMs - slot * width }))
      .filter(({ count, until }) => count > 0 && until > at)
  }

  /**
   * Where there are more processes than requests in a window, each has less than one: it admits one, then rests for
   * as many windows as that is worth, so that all together keep to the limit over time.
   */
  #restMs(at: number, replicas: number): number {
    if (this.#limit === 0 || this.#limit >= replicas) return 0
    return Math.max(0, this.#admittedAt + (this.#windowMs * replicas) / this.#limit - at)
  }

  /** One process' part, rounded down, but never nothing where nothing is used. */
  #share(at: number, replicas: number): number {
    const used = sum(this.#inherited(at))
    const part = Math.floor(Math.max(0, this.#limit - used) / replicas)
    return used === 0 ? Math.max(Math.min(1, this.#limit), part) : part
  }
}

function sum(parts: readonly { readonly count: number }[]): number {
  return parts.reduce((total, { count }) => total + count, 0)
}
