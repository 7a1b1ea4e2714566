/**
 * Plain text of candidates for ranking. A recall reads hundreds of rows to rank them; decrypting each
 * every time would be half of its work, so what was opened once is kept for a while, in this process.
 *
 * Nothing is answered from here alone: a row must have been read under the policies in the same
 * transaction, and its ciphertext must be the one that was opened (its MAC is part of the key).
 */
import type { NamespaceTransaction } from '../database/scope.ts'
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

  /**
   * The names of who speaks in the rows, which this transaction has read, by document. One row of each
   * speaker is opened: the others have the same keyed hash.
   */
  async speakers(
    { tx, settings }: Place,
    rows: readonly CandidateRow[],
    unreadable: Unreadable,
  ): Promise<ReadonlyMap<number, string>> {
    const firsts = new Map<string, CandidateRow>()
    for (const row of rows) {
      const key = speakerOf(row)
      if (key !== undefined && !firsts.has(key)) firsts.set(key, row)
    }
    const tokens = await tokensOf(tx, settings, [...firsts.values()])
    const names = new Map<string, string>()
    for (const [key, row] of firsts) {
      const name = unreadable.skip(row.id, () =>
        readFields(settings, {
          ...row,
          key_token: tokens.get(placeOf(row)) ?? null,
        }).decodeOptional('speaker', row.speaker),
      )
      if (name !== undefined) names.set(key, name)
    }
    const speakers = new Map<number, string>()
    for (const row of rows) {
      const name = names.get(speakerOf(row) ?? '')
      if (name !== undefined) speakers.set(row.document, name)
    }
    return speakers
  }

  /**
   * The beginning of the content of rows that this transaction has read, by document; without what does
   * not decrypt.
   */
  async read(
    { tx, settings }: Place,
    rows: readonly CandidateRow[],
    unreadable: Unreadable,
  ): Promise<ReadonlyMap<number, string>> {
    const texts = new Map<number, string>()
    const unknown: CandidateRow[] = []
    for (const row of rows) {
      const known = settings.keys && this.#entries.get(keyOf(settings.namespace, row))
      if (known) texts.set(row.document, known.text)
      else unknown.push(row)
    }
    const tokens = await tokensOf(tx, settings, unknown)
    for (const row of unknown) {
      const token = tokens.get(placeOf(row)) ?? null
      const text = unreadable.skip(row.id, () =>
        readFields(settings, { ...row, key_token: token })
          .decode('content', row.content)
          .slice(0, rankedCharactersMax),
      )
      if (text === undefined) continue
      texts.set(row.document, text)
      if (token !== null) this.#keep(settings.namespace, row, text)
    }
    return texts
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

  #keep(namespace: bigint, row: CandidateRow, text: string): void {
    const characters = text.length
    const entry = { text, namespace, id: row.id, characters, readAt: Date.now() }
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

type Place = Pick<ReadContext, 'tx' | 'settings'>

/** The stored keys of some rows by `placeOf`; none in profile `off`. */
async function tokensOf(
  tx: NamespaceTransaction,
  settings: NamespaceSettings,
  rows: readonly CandidateRow[],
): Promise<ReadonlyMap<string, Buffer>> {
  if (!settings.keys || rows.length === 0) return new Map()
  const keys = await readMemoryKeys(tx, rows)
  return new Map(keys.map((key) => [placeOf(key), key.key_token]))
}

function placeOf({ id, version }: Pick<CandidateRow, 'id' | 'version'>): string {
  return `${id}/${version}`
}

function speakerOf({ speaker, speaker_key: key }: CandidateRow): string | undefined {
  return speaker === null ? undefined : key?.toString('latin1')
}

/** The place is in it as well as the MAC: ciphertext that was moved to another row is not believed. */
function keyOf(namespace: bigint, { id, version, content }: CandidateRow): string {
  return `${namespace}/${id}/${version}/${content.toString('latin1', content.length - macBytes)}`
}
