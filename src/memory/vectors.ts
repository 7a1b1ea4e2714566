/** Vectors of memories as the namespace's profile keeps them: one way in, one way to search (out: remove.sql.ts). */
import type { NamespaceTransaction } from '../database/scope.ts'
import type { CommitContext, NamespaceSettings } from '../operation.ts'
import {
  cosinesOf,
  insertEmbeddings,
  markEmbeddings,
  nearestDocuments,
  plainTable,
  renumberEmbedding,
  type Cosine,
} from './embeddings.sql.ts'
import type { FieldWriter } from './fields.ts'
import { lackingEmbedding, type MemoryFilter, type StoredContent } from './memories.sql.ts'
import {
  insertSealedEmbeddings,
  listSealedEmbeddings,
  renumberSealedEmbedding,
  sealedTable,
} from './sealed-embeddings.sql.ts'
import type { SealedVectors } from './sealed-vectors.ts'
import type { Unreadable } from './unreadable.ts'
import { sealVector } from './vector-token.ts'

export interface NewVector {
  readonly document: number
  readonly embedding: Float32Array
  /** How values of this version are written; used in profile `sealed` alone. */
  readonly writer: () => FieldWriter
}

export async function insertVectors(
  tx: NamespaceTransaction,
  { profile }: NamespaceSettings,
  vectors: readonly NewVector[],
): Promise<void> {
  if (profile !== 'sealed') return insertEmbeddings(tx, vectors)
  const sealed = vectors.map(({ document, embedding, writer }) => ({
    document,
    token: sealVector(writer(), embedding),
  }))
  return insertSealedEmbeddings(tx, sealed)
}

/**
 * After versions were superseded, retired or became current again: says which are searched by every question.
 * In both tables: while a namespace is being sealed its vectors are in both.
 */
export async function markVectors(
  tx: NamespaceTransaction,
  documents: readonly number[],
): Promise<void> {
  await markEmbeddings(tx, plainTable, documents)
  await markEmbeddings(tx, sealedTable, documents)
}

/** Gives the vector of a version its new document number; in both tables, as above. */
export async function renumberVector(
  tx: NamespaceTransaction,
  change: { readonly from: number; readonly to: number },
): Promise<void> {
  await renumberEmbedding(tx, change)
  await renumberSealedEmbedding(tx, change)
}

/** Versions after a document that have no vector yet, lowest first. */
export function lackingVector(
  tx: NamespaceTransaction,
  { profile }: NamespaceSettings,
  afterDocument: number,
  limit: number,
): Promise<StoredContent[]> {
  return lackingEmbedding(tx, profile === 'sealed' ? sealedTable : plainTable, afterDocument, limit)
}

/** One recall's view of the vectors. */
export interface VectorSearch {
  /** The nearest of those that pass the recall's filter, best first; hidden and expired ones may be among them. */
  nearest(question: Float32Array, limit: number): Promise<readonly Cosine[]>
  /** Cosines of given documents, whether or not they pass the filter. */
  cosines(question: Float32Array, documents: readonly number[]): Promise<readonly Cosine[]>
}

interface SealedSearch {
  readonly sealedVectors: SealedVectors
  readonly unreadable: Unreadable
}

/** `filter`: undefined when the recall has none. */
export function searchVectors(
  { tx, settings }: Pick<CommitContext, 'tx' | 'settings'>,
  filter: MemoryFilter | undefined,
  { sealedVectors, unreadable }: SealedSearch,
): VectorSearch {
  if (settings.profile !== 'sealed') {
    return {
      nearest: (question, limit) => nearestDocuments(tx, question, filter, limit),
      cosines: (question, documents) => cosinesOf(tx, question, documents),
    }
  }
  const vectors = sealedVectors.of(settings)
  const open = async (documents: readonly number[] | Int32Array) => {
    await vectors.open({ tx, settings }, documents, unreadable)
    sealedVectors.trim()
  }
  const list = async (): Promise<Int32Array> => {
    const begun = vectors.beginList()
    const limit = sealedVectors.documentsMax(settings)
    const documents = await listSealedEmbeddings(tx, filter, limit)
    if (!filter) vectors.dropUnlisted(begun, documents)
    await open(documents)
    return documents
  }
  let listed: Promise<Int32Array> | undefined
  return {
    nearest: async (question, limit) => {
      const documents = await (listed ??= list())
      return vectors.nearest(question, documents, limit)
    },
    cosines: async (question, documents) => {
      await open(documents)
      return vectors.cosines(question, documents)
    },
  }
}
