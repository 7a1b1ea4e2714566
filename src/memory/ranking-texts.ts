/**
 * Plain text of candidates for ranking. A recall reads hundreds of rows to rank them; decrypting each
 * every time would be half of its work, so what was opened once is kept for a while, in this process.
 *
 * Nothing is answered from here alone: a row must have been read under the policies in the same
 * transaction, and its ciphertext must be the one that was opened (its MAC is part of the key).
 */
import type { NamespaceTransaction } from '../database/scope.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { CandidateRow } from './candidates.sql.ts'
import { readFields } from './fields.ts'
import { readMemoryKeys } from './memory-keys.sql.ts'
import type { Unreadable } from './unreadable.ts'

export interface RankingText {
  /** The beginning of the content, in characters. */
  readonly text: string
  readonly speakerName: string | null
}

export type ReadableCandidate = CandidateRow & RankingText

/** Characters of a memory the ranking looks at. */
const rankedCharactersMax = 4_096
const macBytes = 32
/** About 100,000 short memories; a process of a server holds the texts of its busiest namespaces. */
const charactersMaxDefault = 16 * 1024 * 1024
/** A memory that another process forgot leaves this one within this time, if nobody tells it before. */
const lifeMs = 600_000
const sweepMs = 60_000

interface Entry extends RankingText {
  readonly namespace: bigint
  readonly id: string
  readonly characters: number
  readonly readAt: number
}

export class RankingTexts {
  /** Insertion order is age: a hit does not move an entry, so each is opened anew once in a while. */
  readonly #entries = new Map<string, Entry>()
  readonly #charactersMax: number
  #characters = 0
  readonly #sweep: NodeJS.Timeout

  constructor(charactersMax = charactersMaxDefault) {
    this.#charactersMax = charactersMax
    this.#sweep = setInterval(() => this.#dropOlderThan(Date.now() - lifeMs), sweepMs).unref()
  }

  /** The rows, which this transaction has read, with their text; in no order, without what does not decrypt. */
  async read(
    tx: NamespaceTransaction,
    settings: NamespaceSettings,
    rows: readonly CandidateRow[],
    unreadable: Unreadable,
  ): Promise<readonly ReadableCandidate[]> {
    const readable: ReadableCandidate[] = []
    const unknown: CandidateRow[] = []
    for (const row of rows) {
      const known = settings.keys && this.#entries.get(keyOf(settings.namespace, row))
      if (known) readable.push({ ...row, text: known.text, speakerName: known.speakerName })
      else unknown.push(row)
    }
    if (unknown.length === 0) return readable
    const tokens = new Map<string, Buffer>()
    if (settings.keys) {
      for (const key of await readMemoryKeys(tx, unknown)) {
        tokens.set(`${key.id}/${key.version}`, key.key_token)
      }
    }
    for (const row of unknown) {
      const token = tokens.get(`${row.id}/${row.version}`) ?? null
      const text = unreadable.skip(row.id, () => {
        const fields = readFields(settings, { ...row, key_token: token })
        return {
          text: fields.decode('content', row.content).slice(0, rankedCharactersMax),
          speakerName: fields.decodeOptional('speaker', row.speaker) ?? null,
        }
      })
      if (text === undefined) continue
      readable.push({ ...row, ...text })
      if (token !== null) this.#keep(settings.namespace, row, text)
    }
    return readable
  }

  /** Drops what is kept of some memories; of all in the namespace when `ids` is undefined. */
  forget(namespace: bigint, ids?: readonly string[]): void {
    const gone = ids && new Set(ids)
    for (const [key, entry] of this.#entries) {
      if (entry.namespace === namespace && (gone?.has(entry.id) ?? true)) this.#drop(key, entry)
    }
  }

  close(): void {
    clearInterval(this.#sweep)
    this.#entries.clear()
  }

  #keep(namespace: bigint, row: CandidateRow, text: RankingText): void {
    const characters = text.text.length + (text.speakerName?.length ?? 0)
    const entry = { ...text, namespace, id: row.id, characters, readAt: Date.now() }
    this.#entries.set(keyOf(namespace, row), entry)
    this.#characters += characters
    for (const [key, oldest] of this.#entries) {
      if (this.#characters <= this.#charactersMax) return
      this.#drop(key, oldest)
    }
  }

  #drop(key: string, entry: Entry): void {
    if (this.#entries.delete(key)) this.#characters -= entry.characters
  }

  #dropOlderThan(time: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.readAt >= time) return
      this.#drop(key, entry)
    }
  }
}

/** The place is in it as well as the MAC: ciphertext that was moved to another row is not believed. */
function keyOf(namespace: bigint, { id, version, content }: CandidateRow): string {
  return `${namespace}/${id}/${version}/${content.toString('latin1', content.length - macBytes)}`
}
