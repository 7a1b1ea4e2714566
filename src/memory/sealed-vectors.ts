/**
 * Vectors of `sealed` namespaces, decrypted and searched in this process: exact, and held within a limit.
 *
 * Nothing is answered from here alone. Each recall asks the database, in its own transaction, which
 * documents have a vector; those are searched and no others. What one process stored the next recall of any
 * process thus finds, and what was forgotten is out at once. A document number stands for the same words for
 * ever, so a vector that was opened by it is never one of other words.
 */
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { Cosine } from './embeddings.sql.ts'
import { readSealedEmbeddings, type SealedEmbedding } from './sealed-embeddings.sql.ts'
import type { Unreadable } from './unreadable.ts'
import { openVector } from './vector-token.ts'

/** Vectors of a namespace that are searched: about 30 ms of work in 100 dimensions. */
export const sealedDocumentsMax = 50_000
/** In all namespaces together; one of 50,000 memories in 100 dimensions takes 27 MB. */
const bytesMaxDefault = 256 * 1024 * 1024
/** A namespace that nobody asks for so long leaves the memory of the process. */
const idleMs = 600_000
const sweepMs = 60_000
/** Rows a statement hands out: 0.3 MB, read from its text in one go. */
const batchRows = 250
/** Opening and searching keep the process at most this long before its other requests get their turn. */
const turnMs = 20
/** Below the 10 s after which the database ends an idle transaction. */
const waitMs = 5_000
const productsUnwatched = 256
const pageVectors = 64
/** What a slot costs besides its vector: its entry in the map, its memory's id. */
const slotBytes = 150

/** Gives other requests their turn when this one has had its time. */
class Turn {
  #endsAt = performance.now() + turnMs

  async pass(): Promise<void> {
    if (performance.now() < this.#endsAt) return
    await setImmediate()
    this.#endsAt = performance.now() + turnMs
  }
}

/** Where vectors are read, and the keys that open them. */
interface VectorPlace {
  readonly tx: NamespaceTransaction
  readonly settings: NamespaceSettings
}

/**
 * The open vectors of one namespace under one model. Shared by concurrent recalls: a slot may change
 * hands whenever one of them waits, so a document is looked up anew each time.
 */
export class NamespaceVectors {
  readonly model: string
  readonly dimension: number
  usedAt = Date.now()
  readonly #slots = new Map<number, number>()
  readonly #ids: string[] = []
  /** Value of `#lists` when a slot was filled. */
  readonly #filledAt: number[] = []
  readonly #free: number[] = []
  readonly #pages: Float32Array[] = []
  #lists = 0
  /** Recalls that are reading vectors now, and what was forgotten since the first of them began. */
  #readers = 0
  readonly #forgotten = new Set<string>()
  /** One recall opens at a time. */
  #opening: Promise<void> = Promise.resolve()

  constructor(model: string, dimension: number) {
    this.model = model
    this.dimension = dimension
  }

  get size(): number {
    return this.#slots.size
  }

  get sizeBytes(): number {
    return this.#pages.length * pageVectors * (this.dimension * 4 + slotBytes)
  }

  /** Call before the database is asked for the list; see `dropUnlisted`. */
  beginList(): number {
    this.#lists += 1
    return this.#lists
  }

  /**
   * Drops what is held and not in a whole list that was begun as number `list`: it has been forgotten. What
   * another recall opened since then is newer than the list and stays.
   */
  dropUnlisted(list: number, documents: Int32Array): void {
    let held = 0
    for (const document of documents) if (this.#slots.has(document)) held += 1
    if (held === this.#slots.size) return
    const listed = new Set(documents)
    for (const [document, slot] of this.#slots) {
      if (!listed.has(document) && (this.#filledAt[slot] ?? list) < list) this.#drop(document, slot)
    }
  }

  /** Drops the vectors of some memories, and those that a recall has read and not kept yet. */
  forget(ids: ReadonlySet<string>): void {
    if (this.#readers > 0) for (const id of ids) this.#forgotten.add(id)
    for (const [document, slot] of this.#slots) {
      if (ids.has(this.#ids[slot] ?? '')) this.#drop(document, slot)
    }
  }

  /**
   * Makes the vectors of `documents` available, in turns with other requests. One that is not its memory's,
   * or not encrypted, is left out and noted: its memory is still found by its words.
   */
  async open(
    place: VectorPlace,
    documents: readonly number[] | Int32Array,
    unreadable: Unreadable,
  ): Promise<void> {
    if (this.#missing(documents).length === 0) return
    // Two recalls of a cold namespace would both decrypt all of it. A wait that is too long for an idle
    // transaction ends: then both do.
    const ours = Promise.race([this.#opening, delay(waitMs, undefined, { ref: false })]).then(() =>
      this.#openMissing(place, documents, unreadable),
    )
    // One that fails fails for its own caller; the next opens what is still missing.
    this.#opening = ours.catch(() => undefined)
    await ours
  }

  /** The nearest of those of `documents` that are open, best first. Vectors are of unit length. */
  async nearest(question: Float32Array, documents: Int32Array, limit: number): Promise<Cosine[]> {
    const cosines = await this.cosines(question, documents)
    if (cosines.length > limit) {
      // Only what can be among the first is sorted by a function: 1 ms for 20,000 instead of 15.
      const least =
        Float32Array.from(cosines, ({ cosine }) => cosine)
          .toSorted()
          .at(-limit) ?? 0
      return firstOf(
        cosines.filter(({ cosine }) => cosine >= least),
        limit,
      )
    }
    return firstOf(cosines, limit)
  }

  /** Cosines with those of `documents` that are open, in their order. */
  async cosines(
    question: Float32Array,
    documents: readonly number[] | Int32Array,
  ): Promise<Cosine[]> {
    const cosines: Cosine[] = []
    if (question.length !== this.dimension) return cosines
    const turn = new Turn()
    for (const [at, document] of documents.entries()) {
      const slot = this.#slots.get(document)
      if (slot !== undefined) cosines.push({ document, cosine: this.#product(question, slot) })
      if (at % productsUnwatched === 0) await turn.pass()
    }
    return cosines
  }

  #missing(documents: readonly number[] | Int32Array): number[] {
    const missing: number[] = []
    for (const document of documents) if (!this.#slots.has(document)) missing.push(document)
    return missing
  }

  async #openMissing(
    { tx, settings }: VectorPlace,
    documents: readonly number[] | Int32Array,
    unreadable: Unreadable,
  ): Promise<void> {
    const missing = this.#missing(documents)
    const turn = new Turn()
    this.#readers += 1
    try {
      for (let start = 0; start < missing.length; start += batchRows) {
        for (const row of await readSealedEmbeddings(tx, missing.slice(start, start + batchRows))) {
          const vector = unreadable.skip(row.id, () => openVector(settings, row, this.dimension))
          if (vector !== undefined && !this.#forgotten.has(row.id)) this.#keep(row, vector)
          await turn.pass()
        }
      }
    } finally {
      this.#readers -= 1
      if (this.#readers === 0) this.#forgotten.clear()
    }
  }

  #product(question: Float32Array, slot: number): number {
    const page = this.#pages[Math.floor(slot / pageVectors)] ?? question
    const start = (slot % pageVectors) * this.dimension
    let sum = 0
    for (let index = 0; index < this.dimension; index += 1) {
      sum += (question[index] ?? 0) * (page[start + index] ?? 0)
    }
    // As the database has it, so that equal vectors give equal cosines.
    return Math.fround(sum)
  }

  #keep({ document, id }: SealedEmbedding, vector: Float32Array): void {
    if (this.#slots.has(document)) return
    const slot = this.#free.pop() ?? this.#slots.size
    if (slot === this.#pages.length * pageVectors) {
      this.#pages.push(new Float32Array(pageVectors * this.dimension))
    }
    this.#pages[Math.floor(slot / pageVectors)]?.set(vector, (slot % pageVectors) * this.dimension)
    this.#slots.set(document, slot)
    this.#ids[slot] = id
    this.#filledAt[slot] = this.#lists
  }

  #drop(document: number, slot: number): void {
    this.#slots.delete(document)
    this.#free.push(slot)
    this.#ids[slot] = ''
    const start = (slot % pageVectors) * this.dimension
    this.#pages[Math.floor(slot / pageVectors)]?.fill(0, start, start + this.dimension)
  }
}

function firstOf(cosines: Cosine[], limit: number): Cosine[] {
  return cosines.toSorted((a, b) => b.cosine - a.cosine).slice(0, limit)
}

/** The namespaces that are open in this process; the least recently used goes first. */
export class SealedVectors {
  readonly #namespaces = new Map<bigint, NamespaceVectors>()
  readonly #bytesMax: number
  readonly #sweep: NodeJS.Timeout

  constructor(bytesMax = bytesMaxDefault) {
    this.#bytesMax = bytesMax
    this.#sweep = setInterval(() => this.#dropIdle(Date.now() - idleMs), sweepMs).unref()
  }

  /** What is held in the clear. */
  get held(): { readonly namespaces: number; readonly vectors: number } {
    let vectors = 0
    for (const { size } of this.#namespaces.values()) vectors += size
    return { namespaces: this.#namespaces.size, vectors }
  }

  /** Most vectors of a namespace that are searched: beyond them its oldest memories are found by words. */
  documentsMax({ embedderDimension }: NamespaceSettings): number {
    const fitting = Math.floor(this.#bytesMax / (embedderDimension * 4 + slotBytes))
    return Math.min(sealedDocumentsMax, fitting)
  }

  /** The vectors of a namespace, empty at first and after its model has changed. */
  of({ namespace, embedderModel: model, embedderDimension }: NamespaceSettings): NamespaceVectors {
    const known = this.#namespaces.get(namespace)
    const vectors = known?.model === model ? known : new NamespaceVectors(model, embedderDimension)
    vectors.usedAt = Date.now()
    this.#namespaces.delete(namespace)
    this.#namespaces.set(namespace, vectors)
    return vectors
  }

  /** Makes room after a namespace has grown. One that is being searched is let go when that is done. */
  trim(): void {
    let bytes = 0
    for (const [namespace, vectors] of [...this.#namespaces].toReversed()) {
      bytes += vectors.sizeBytes
      if (bytes > this.#bytesMax) this.#namespaces.delete(namespace)
    }
  }

  /** Drops what is held of some memories; of all in the namespace when `ids` is undefined. */
  forget(namespace: bigint, ids?: readonly string[]): void {
    if (ids === undefined) this.#namespaces.delete(namespace)
    else this.#namespaces.get(namespace)?.forget(new Set(ids))
  }

  close(): void {
    clearInterval(this.#sweep)
    this.#namespaces.clear()
  }

  #dropIdle(time: number): void {
    for (const [namespace, { usedAt }] of this.#namespaces) {
      if (usedAt < time) this.#namespaces.delete(namespace)
    }
  }
}
