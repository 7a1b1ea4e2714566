/** A bounded cache of derived keys that overwrites what it drops. Least recently used goes first. */
import assert from 'node:assert/strict'
import { timingSafeEqual } from 'node:crypto'

interface Entry {
  readonly group: string
  /** What the key was derived from besides the root key; a changed one is another key. */
  readonly source: Buffer
  readonly key: Buffer
}

/**
 * Keys by group (namespace) and name. A returned buffer belongs to the cache and is overwritten when it
 * is evicted: use it before the next call, never across an await.
 */
export class SecretCache {
  readonly #entries = new Map<string, Entry>()
  readonly #entriesMax: number

  constructor(entriesMax: number) {
    assert(entriesMax >= 1)
    this.#entriesMax = entriesMax
  }

  get size(): number {
    return this.#entries.size
  }

  /** The cached key, or the one `derive` makes. `derive` may itself call `get`. */
  get(group: string, name: string, source: Uint8Array, derive: () => Buffer): Buffer {
    const id = `${group}|${name}`
    const found = this.#entries.get(id)
    if (found !== undefined && isSame(found.source, source)) {
      // A Map keeps insertion order: taking an entry out and in again makes it the newest.
      this.#entries.delete(id)
      this.#entries.set(id, found)
      return found.key
    }
    const key = derive()
    this.#evict(id)
    this.#entries.set(id, { group, source: Buffer.from(source), key })
    const oldest = this.#entries.keys().next().value
    if (this.#entries.size > this.#entriesMax && oldest !== undefined) this.#evict(oldest)
    return key
  }

  evictGroup(group: string): void {
    for (const [id, entry] of this.#entries) if (entry.group === group) this.#evict(id)
  }

  clear(): void {
    for (const id of this.#entries.keys()) this.#evict(id)
  }

  #evict(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    entry.key.fill(0)
    entry.source.fill(0)
  }
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}
