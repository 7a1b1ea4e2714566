/**
 * Plain text of candidates for ranking. A recall reads hundreds of rows to rank them; decrypting each
 * every time would be half of its work, so what was opened once is kept for a while, in this process.
 *
 * Nothing is answered from here alone: a row must have been read under the policies in the same
 * transaction, and its ciphertext must be the one that was opened: its MAC is part of the key, of a speaker's
 * name the keyed hash.
 */
import type { NamespaceSettings, ReadContext } from '../operation.ts'
import type { CandidateRow } from './candidates.sql.ts'
import { readFields } from './fields.ts'
import { readMemoryKeys } from './memory-keys.sql.ts'
import type { Unreadable } from './unreadable.ts'

/** Characters of a memory the ranking looks at. */
const rankedCharactersMax = 4_096
const macBytes = 32
/** About 100,000 short memories; a process of a server holds the texts of its busiest namespaces. */
const charactersMaxDefault = 16 * 1024 * 1024
/** A memory that another process forgot leaves this one within this time, if nobody tells it before. */
const lifeMs = 600_000
const sweepMs = 60_000

interface Entry {
  readonly text: string
  readonly namespace: bigint
  readonly id: string
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

  /**
   * The names of who speaks in rows that this transaction has read, by document. One row of each speaker
   * is opened: the others have the same keyed hash.
   */
  async speakers(
    place: ReadingPlace,
    rows: readonly CandidateRow[],
    unreadable: Unreadable,
  ): Promise<ReadonlyMap<number, string>> {
    const keyOf = (row: CandidateRow) => speakerKey(place.settings.namespace, row)
    return this.#textsOf(place, rows, unreadable, { column: 'speaker', keyOf })
  }

  /**
   * The beginning of the content of rows that this transaction has read, by document; without what does
   * not decrypt.
   */
  async read(
    place: ReadingPlace,
    rows: readonly CandidateRow[],
    unreadable: Unreadable,
  ): Promise<ReadonlyMap<number, string>> {
    const keyOf = (row: CandidateRow) => contentKey(place.settings.namespace, row)
    return this.#textsOf(place, rows, unreadable, { column: 'content', keyOf })
  }

  async #textsOf(
    { tx, settings }: ReadingPlace,
    rows: readonly CandidateRow[],
    unreadable: Unreadable,
    { column, keyOf }: Wanted,
  ): Promise<ReadonlyMap<number, string>> {
    const keyed = rows.flatMap((row) => {
      const key = keyOf(row)
      return key === undefined ? [] : [{ row, key }]
    })
    const texts = new Map<string, string>()
    const unknown = new Map<string, CandidateRow>()
    for (const { row, key } of keyed) {
      const known = settings.keys && this.#entries.get(key)
      if (known) texts.set(key, known.text)
      else if (!unknown.has(key)) unknown.set(key, row)
    }
    const tokens = settings.keys ? await readMemoryKeys(tx, [...unknown.values()]) : []
    for (const [index, [key, row]] of [...unknown].entries()) {
      const token = tokens[index] ?? null
      const text = unreadable.skip(row.id, () =>
        readFields(settings, { ...row, key_token: token })
          .decodeOptional(column, row[column])
          ?.slice(0, rankedCharactersMax),
      )
      if (text === undefined) continue
      texts.set(key, text)
      if (token !== null) this.#keep(key, { text, namespace: settings.namespace, id: row.id })
    }
    const byDocument = new Map<number, string>()
    for (const { row, key } of keyed) {
      const text = texts.get(key)
      if (text !== undefined) byDocument.set(row.document, text)
    }
    return byDocument
  }

  /**
   * The beginning of a memory that this process has just encrypted: whoever stores is mostly who asks next.
   * Kept before its commit; without it no row has this ciphertext.
   */
  written({ namespace, keys }: NamespaceSettings, row: WrittenRow, text: string): void {
    if (keys === undefined) return
    const entry = { text: text.slice(0, rankedCharactersMax), namespace, id: row.id }
    this.#keep(contentKey(namespace, row), entry)
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

  #keep(key: string, text: Pick<Entry, 'text' | 'namespace' | 'id'>): void {
    this.#entries.set(key, { ...text, readAt: Date.now() })
    this.#characters += text.text.length
    for (const [oldest, entry] of this.#entries) {
      if (this.#characters <= this.#charactersMax) return
      this.#drop(oldest, entry)
    }
  }

  #drop(key: string, entry: Entry): void {
    if (this.#entries.delete(key)) this.#characters -= entry.text.length
  }

  #dropOlderThan(time: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.readAt >= time) return
      this.#drop(key, entry)
    }
  }
}

type WrittenRow = Pick<CandidateRow, 'id' | 'version' | 'content'>
type ReadingPlace = Pick<ReadContext, 'tx' | 'settings'>

interface Wanted {
  readonly column: 'content' | 'speaker'
  /** Names the text in the cache; undefined where a row has none. */
  readonly keyOf: (row: CandidateRow) => string | undefined
}

function speakerKey(
  namespace: bigint,
  { speaker, speaker_key: key }: CandidateRow,
): string | undefined {
  return speaker && key ? `${namespace}/speaker/${key.toString('latin1')}` : undefined
}

/** The place is in it as well as the MAC: ciphertext that was moved to another row is not believed. */
function contentKey(namespace: bigint, { id, version, content }: WrittenRow): string {
  return `${namespace}/${id}/${version}/${content.toString('latin1', content.length - macBytes)}`
}
