/** SQL of the partitions that hold a copy of a large namespace's vectors under an approximate index (Postgres). */
import type { Sql } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'

/** As vector_partition_build has it: bounds the catalogue and what a planner looks through. */
const partitionsMax = 4_096

export interface PartitionStatus {
  /** Undefined: the namespace has no partition, or one that was given up and is not dropped yet. */
  readonly state: 'filling' | 'ready' | undefined
  /** True when the table is there, whatever its state. */
  readonly isThere: boolean
  /** True when the namespace's vectors can be indexed (pgvector: halfvec up to 4,000) and there is room. */
  readonly isPossible: boolean
  readonly hasMoreThanLow: boolean
  readonly hasMoreThanHigh: boolean
}

/**
 * What a namespace has and needs. Reads at most `high` entries of the primary key of embeddings, so its
 * cost does not grow with the namespace. Takes no lock.
 */
export async function partitionStatus(
  tx: NamespaceTransaction,
  low: number,
  high: number,
): Promise<PartitionStatus> {
  const [row] = await tx<{
    state: 'filling' | 'ready' | null
    is_there: boolean
    is_possible: boolean | null
    low: boolean
    high: boolean
  }>`
    select
      (select v.state from vector_partitions v where v.namespace = ${tx.namespace}) as state,
      to_regclass('mindglue.partitioned_embeddings_' || ${tx.namespace}::bigint) is not null as is_there,
      (select n.embedder_dimension between 1 and 4000 from namespaces n
        where n.namespace = ${tx.namespace})
        and (select count(*) from pg_inherits i
          where i.inhparent = 'mindglue.partitioned_embeddings'::regclass) < ${partitionsMax}
        as is_possible,
      exists (select from embeddings e where e.namespace = ${tx.namespace} offset ${low}) as low,
      exists (select from embeddings e where e.namespace = ${tx.namespace} offset ${high}) as high`
  return {
    state: row?.state ?? undefined,
    isThere: row?.is_there === true,
    isPossible: row?.is_possible === true,
    hasMoreThanLow: row?.low === true,
    hasMoreThanHigh: row?.high === true,
  }
}

/**
 * Copies, indexes and attaches in this transaction; returns the vectors copied, or undefined when another
 * process is building one. Locks: see migrations, vector_partition_build.
 */
export async function buildPartition(tx: NamespaceTransaction): Promise<number | undefined> {
  const [row] = await tx<{ copied: number | null }>`select vector_partition_build() as copied`
  return row?.copied ?? undefined
}

/**
 * Drops the partition, true when there was one. ACCESS EXCLUSIVE on the parent until the end of the
 * transaction, which should do nothing else; throws `unavailable` after waiting half a second for it.
 */
export async function dropPartition(tx: NamespaceTransaction): Promise<boolean> {
  const [row] = await tx<{ dropped: boolean }>`select vector_partition_drop() as dropped`
  return row?.dropped === true
}

/**
 * Transactions that have written vectors and are still open: they hold ROW EXCLUSIVE on embeddings until
 * their end. One that takes the lock later also looks later whether there is a partition.
 */
export async function openWriters(sql: Sql): Promise<string[]> {
  const rows = await sql<{ writer: string }>`
    select distinct l.virtualtransaction as writer from pg_locks l
    where l.locktype = 'relation' and l.relation = 'mindglue.embeddings'::regclass
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and l.granted and l.mode not in ('AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock')`
  return rows.map(({ writer }) => writer)
}

/** Highest document with a vector in either table, 0 when there is none. Primary keys. */
export async function lastVector(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ last: number }>`
    select greatest(
      (select max(e.document) from embeddings e where e.namespace = ${tx.namespace}),
      (select max(p.document) from partitioned_embeddings p where p.namespace = ${tx.namespace}),
      0) as last`
  return row?.last ?? 0
}

/**
 * Makes the copy of documents in (after, to] equal to embeddings; returns how many rows differed. The rows
 * that are added are locked FOR SHARE in embeddings first, as a writer does, so a vector that is forgotten
 * meanwhile does not come back. Primary keys, merged.
 */
export async function mendPartition(
  tx: NamespaceTransaction,
  after: number,
  to: number,
): Promise<number> {
  const removed = await tx`
    delete from partitioned_embeddings p
    where p.namespace = ${tx.namespace} and p.document > ${after} and p.document <= ${to}
      and not exists (select from embeddings e
        where e.namespace = ${tx.namespace} and e.document = p.document and e.is_current)
    returning p.document`
  const added = await tx`
    insert into partitioned_embeddings (namespace, document, embedding)
    select e.namespace, e.document, e.embedding from embeddings e
    where e.namespace = ${tx.namespace} and e.document > ${after} and e.document <= ${to}
      and e.is_current and not exists (select from partitioned_embeddings p
        where p.namespace = ${tx.namespace} and p.document = e.document
          and p.embedding = e.embedding)
    order by e.document for share of e
    on conflict (namespace, document) do update set embedding = excluded.embedding
    returning document`
  return removed.length + added.length
}

/** From the commit on, searches use the partition; false when it was given up meanwhile. */
export async function openPartition(tx: NamespaceTransaction): Promise<boolean> {
  const rows = await tx`
    update vector_partitions v set state = 'ready'
    where v.namespace = ${tx.namespace} and v.state = 'filling' returning v.namespace`
  return rows.length === 1
}
