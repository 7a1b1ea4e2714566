/** Encrypted vectors: the database lists and hands them out; only a process with the keys can compare them. */
import { fragment, nothing, type SqlFragment } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { StoredPlace } from './fields.ts'
import { holdsNow } from './embeddings.sql.ts'
import { filterSql, seen, type MemoryFilter } from './memories.sql.ts'
import { PackedReader } from './packed.ts'

export interface NewSealedEmbedding {
  readonly document: number
  readonly token: Buffer
}

/** A stored vector with the version it belongs to and that version's key. */
export interface SealedEmbedding extends StoredPlace {
  readonly token: Buffer
}

/** The table, for a query that asks which documents have a vector. */
export const sealedTable = fragment`sealed_embeddings`

export async function insertSealedEmbeddings(
  tx: NamespaceTransaction,
  rows: readonly NewSealedEmbedding[],
): Promise<void> {
  if (rows.length === 0) return
  await tx`
    insert into sealed_embeddings (namespace, document, token, is_current)
    select ${tx.namespace}::bigint, e.document, e.token, ${holdsNow(tx)}
    from unnest(${rows.map((row) => row.document)}::int[], ${rows.map((row) => row.token)}::bytea[])
      as e (document, token)
    on conflict (namespace, document) do update set token = excluded.token`
}

/** A vector that is stored in plain, with the version it belongs to and that version's key. */
export interface UnsealedEmbedding extends StoredPlace {
  /** As the database writes it: `[0.1,0.2]`. */
  readonly embedding: string
}

/**
 * The next vectors by document that have no token yet. Holds locks on their memories, so that none is
 * forgotten before its token is there to go with it. Primary keys and memories_document.
 */
export function unsealedEmbeddings(
  tx: NamespaceTransaction,
  afterDocument: number,
  limit: number,
): Promise<UnsealedEmbedding[]> {
  return tx`
    select m.id, m.version, m.document, e.embedding::text as embedding,
      (select k.token from memory_keys k
        where k.namespace = m.namespace and k.id = m.id and k.version = m.version) as key_token
    from embeddings e join memories m on m.namespace = e.namespace and m.document = e.document
    where e.namespace = ${tx.namespace} and e.document > ${afterDocument}
      and not exists (select from sealed_embeddings s
        where s.namespace = e.namespace and s.document = e.document)
    order by e.document limit ${limit} for key share of m`
}

/** How many vectors are stored in plain. */
export async function countPlainEmbeddings(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ vectors: number }>`
    select count(*)::int as vectors from embeddings e where e.namespace = ${tx.namespace}`
  return row?.vectors ?? 0
}

/**
 * Documents that have a vector, the highest number first, at most `limit`. Without a filter no memory is
 * looked at (as in nearestDocuments); primary key.
 */
export async function listSealedEmbeddings(
  tx: NamespaceTransaction,
  filter: MemoryFilter | undefined,
  limit: number,
): Promise<Int32Array> {
  const passing = filter
    ? fragment`join memories m on m.namespace = e.namespace and m.document = e.document
        and ${seen(tx, filter.moment)} and ${filterSql(filter)}`
    : nothing
  const held = filter?.moment === undefined ? fragment`e.is_current` : fragment`true`
  const [row] = await tx<{ packed: Buffer | null }>`
    select string_agg(int4send(d.document), ''::bytea) as packed
    from (
      select e.document from sealed_embeddings e ${passing}
      where e.namespace = ${tx.namespace} and ${held}
      order by e.document desc limit ${limit}
    ) d`
  const packed = row?.packed ?? Buffer.alloc(0)
  return Int32Array.from({ length: packed.length / 4 }, (_, index) => packed.readInt32BE(index * 4))
}

/**
 * Vectors of some documents, in no order; one whose memory the caller may not see is left out. Packed into
 * one value and fenced, both as in candidates.sql.ts. Primary keys and memories_document.
 */
export async function readSealedEmbeddings(
  tx: NamespaceTransaction,
  documents: readonly number[],
): Promise<SealedEmbedding[]> {
  const [row] = await tx<{ packed: Buffer | null }>`
    select string_agg(uuid_send(m.id) || int4send(m.version) || int4send(w.document)
      || coalesce(int4send(length(k.token)) || k.token, int4send(-1))
      || int4send(length(e.token)) || e.token, ''::bytea) as packed
    from unnest(${documents}::int[]) as w (document)
    cross join lateral (
      select e.token from sealed_embeddings e
      where e.namespace = ${tx.namespace} and e.document = w.document offset 0) e
    cross join lateral (
      select m.id, m.version from memories m
      where m.namespace = ${tx.namespace} and m.document = w.document offset 0) m
    left join lateral (
      select k.token from memory_keys k
      where k.namespace = ${tx.namespace} and k.id = m.id and k.version = m.version offset 0) k
      on true`
  return row?.packed ? [...unpack(row.packed)] : []
}

function* unpack(packed: Buffer): Generator<SealedEmbedding> {
  const reader = new PackedReader(packed)
  while (reader.hasMore) {
    yield {
      id: reader.uuid(),
      version: reader.int(),
      document: reader.int(),
      key_token: reader.bytes(),
      token: reader.bytes() ?? Buffer.alloc(0),
    }
  }
}

/** Gives a vector another document number. Its token is bound to the version, not to the number. */
export async function renumberSealedEmbedding(
  tx: NamespaceTransaction,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  await tx`
    update sealed_embeddings e set document = ${to}
    where e.namespace = ${tx.namespace} and e.document = ${from}`
}

/** Part of a removal: for the CTE `gone` of remove.sql.ts. */
export function deleteSealedEmbeddings(tx: NamespaceTransaction): SqlFragment {
  return fragment`
    delete from sealed_embeddings e
    where e.namespace = ${tx.namespace} and e.document = any(array(select g.document from gone g))`
}
