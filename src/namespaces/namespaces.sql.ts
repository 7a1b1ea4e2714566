/** Rows of the namespaces table and the name directory. */
import { fragment, nothing, type Sql } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import type { DocumentSpace, DoorAction, DoorPolicy, NamespaceSettings } from '../operation.ts'

export interface NamespaceRow {
  readonly name: string
  readonly revision: number
  readonly profile: NamespaceSettings['profile']
  readonly plan: string
  readonly credentials_policy: DoorAction
  readonly personal_policy: DoorAction
  readonly embedder_model: string
  readonly embedder_dimension: number
  readonly analyzer_version: number
  readonly index_key: Buffer
  readonly common_terms: readonly bigint[]
  readonly document_count: number
  readonly mean_length: number
  /** Null in profile `off`. */
  readonly salt: Buffer | null
  readonly plain_below: number | null
}

/** Surrogate of a name; undefined when there is none. Directory function, one exact name in. */
export async function findNamespace(sql: Sql, name: string): Promise<bigint | undefined> {
  const [row] = await sql<{ namespace: bigint | null }>`
    select namespace_find(${name}) as namespace`
  return row?.namespace ?? undefined
}

/** Gives the transaction's namespace a name. False when it is another's already, by a transaction that has ended. */
export async function registerNamespace(tx: NamespaceTransaction, name: string): Promise<boolean> {
  const [row] = await tx<{ is_ours: boolean }>`select namespace_register(${name}) as is_ours`
  return row?.is_ours === true
}

export async function readNamespace(tx: NamespaceTransaction): Promise<NamespaceRow | undefined> {
  const [row] = await tx<NamespaceRow>`
    select n.name, n.revision, n.profile, n.plan, n.credentials_policy, n.personal_policy, n.embedder_model, n.embedder_dimension,
      n.analyzer_version, n.index_key, n.common_terms, n.document_count, n.mean_length, k.salt,
      k.plain_below
    from namespaces n left join namespace_keys k on k.namespace = n.namespace
    where n.namespace = ${tx.namespace} and n.deleted_at is null`
  return row
}

/**
 * The settings' revision alone: one row by primary key, read in every operation's transaction. A write
 * holds the row FOR KEY SHARE, as its foreign keys do anyway, until it commits: whoever changes how the
 * namespace is stored takes it FOR UPDATE, and so finds nothing of the old kind coming after.
 */
export async function readRevision(
  tx: NamespaceTransaction,
  isWrite: boolean,
): Promise<number | undefined> {
  const [row] = await tx<{ revision: number }>`
    select n.revision from namespaces n where n.namespace = ${tx.namespace} and n.deleted_at is null
    ${isWrite ? fragment`for key share` : nothing}`
  return row?.revision
}

/** Inserts the row unless another process was first. */
export async function insertNamespace(
  tx: NamespaceTransaction,
  row: Pick<
    NamespaceRow,
    'name' | 'profile' | 'embedder_model' | 'embedder_dimension' | 'analyzer_version' | 'index_key'
  >,
): Promise<void> {
  await tx`
    insert into namespaces (namespace, name, profile, embedder_model, embedder_dimension,
      analyzer_version, index_key)
    values (${tx.namespace}, ${row.name}, ${row.profile}, ${row.embedder_model},
      ${row.embedder_dimension}, ${row.analyzer_version}, ${row.index_key})
    on conflict do nothing`
}

/** Takes `count` integers of a space; returns the first. The row lock lasts for this statement's transaction. */
export async function takeDocuments(
  tx: NamespaceTransaction,
  space: DocumentSpace,
  count: number,
): Promise<number> {
  const next = space === 'private' ? fragment`next_private_document` : fragment`next_document`
  const [row] = await tx<{ first: number }>`
    update namespaces n set ${next} = n.${next} + ${count}::int
    where n.namespace = ${tx.namespace} and n.deleted_at is null
    returning n.${next} - ${count}::int as first`
  if (!row) throw new AppError('not_found', 'There is no such namespace.')
  return row.first
}

/** What the namespace was last found to hold, and when. */
export async function readUsage(
  tx: NamespaceTransaction,
): Promise<{ memories: number; bytes: number; countedAt: Date }> {
  const [row] = await tx<{ memory_count: bigint; byte_count: bigint; counted_at: Date }>`
    select n.memory_count, n.byte_count, n.counted_at
    from namespaces n where n.namespace = ${tx.namespace}`
  if (!row) throw new TypeError('the namespace has no row')
  const { memory_count: memories, byte_count: bytes, counted_at: countedAt } = row
  return { memories: Number(memories), bytes: Number(bytes), countedAt }
}

/** Puts the namespace on another plan; the new revision makes every process read the settings again. */
export async function changePlan(tx: NamespaceTransaction, plan: string): Promise<void> {
  await tx`
    update namespaces n set plan = ${plan}, revision = n.revision + 1
    where n.namespace = ${tx.namespace}`
}

/** Says which analyzer the words of every version are of; a newer one that has been there meanwhile stays. */
export async function changeAnalyzer(tx: NamespaceTransaction, version: number): Promise<void> {
  await tx`
    update namespaces n set analyzer_version = ${version}, revision = n.revision + 1
    where n.namespace = ${tx.namespace} and n.analyzer_version <= ${version}`
}

/**
 * What becomes of credentials and personal data from here on. Waits for writes under way, which keep to the
 * policy of before: whoever scans afterwards finds everything that they left.
 */
export async function changePolicy(tx: NamespaceTransaction, policy: DoorPolicy): Promise<void> {
  await lockNamespace(tx)
  await tx`
    update namespaces n set credentials_policy = ${policy.credentials},
      personal_policy = ${policy.personal}, revision = n.revision + 1
    where n.namespace = ${tx.namespace}`
}

/**
 * Lets both spaces go on from one integer and returns it: what either gave out before lies below it. The
 * caller holds the namespace's lock.
 */
export async function levelDocuments(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ level: number }>`
    update namespaces n set
      next_document = greatest(n.next_document, n.next_private_document),
      next_private_document = greatest(n.next_document, n.next_private_document)
    where n.namespace = ${tx.namespace}
    returning n.next_document as level`
  if (!row) throw new TypeError('the namespace has no row')
  return row.level
}

/**
 * Refreshes the estimates that BM25 and plans use; the job calls it, a store never does. Lengths of texts
 * are read from the rows, not the texts themselves. Private memories do not count for BM25: every agent's
 * scores rest on it. Reads every row of the namespace, locks its own. Returns the number of
 * memories that count.
 */
export async function refreshStatistics(tx: NamespaceTransaction): Promise<number> {
  const [row] = await tx<{ count: number }>`
    update namespaces n set document_count = s.count, mean_length = s.mean,
      memory_count = s.memories, byte_count = s.bytes, counted_at = statement_timestamp()
    from (
      select count(*) filter (where m.is_current and m.quarantine = 0 and m.access <> 'private')::int as count,
        coalesce(avg(m.length) filter (where m.is_current and m.quarantine = 0
          and m.access <> 'private'), 12)::real as mean,
        count(*) filter (where m.is_current) as memories,
        coalesce(sum(octet_length(m.content) + coalesce(octet_length(m.raw_content), 0)), 0)::bigint
          as bytes
      from memories m where m.namespace = ${tx.namespace}
    ) s
    where n.namespace = ${tx.namespace}
    returning s.count`
  return row?.count ?? 0
}

/**
 * Holds up writes of the namespace until this transaction ends, after those that are under way: what
 * follows sees every row of the old settings. Taken before the settings change.
 */
export async function lockNamespace(tx: NamespaceTransaction): Promise<void> {
  await tx`select from namespaces n where n.namespace = ${tx.namespace} for update`
}

/** Makes every process read the settings again. The caller holds the namespace's lock. */
export async function changeRevision(tx: NamespaceTransaction): Promise<void> {
  await tx`
    update namespaces n set revision = n.revision + 1 where n.namespace = ${tx.namespace}`
}

/** Changes how the namespace is encrypted; its index key is to be wrapped for that. The caller holds the lock. */
export async function changeProfile(
  tx: NamespaceTransaction,
  profile: NamespaceSettings['profile'],
): Promise<void> {
  await tx`
    update namespaces n set profile = ${profile}, revision = n.revision + 1
    where n.namespace = ${tx.namespace}`
}

/**
 * Hands the namespace to another embedder: its vectors go, since two models are never compared, and a
 * new revision makes every process read the settings again.
 */
export async function changeEmbedder(
  tx: NamespaceTransaction,
  embedder: { readonly model: string; readonly dimension: number },
): Promise<void> {
  await lockNamespace(tx)
  await tx`
    update namespaces n set embedder_model = ${embedder.model},
      embedder_dimension = ${embedder.dimension}, revision = n.revision + 1
    where n.namespace = ${tx.namespace}`
  await deletePlainVectors(tx)
  await tx`delete from sealed_embeddings e where e.namespace = ${tx.namespace}`
}

/** Drops every vector that is not encrypted, and gives up the partition that copies them. */
export async function deletePlainVectors(tx: NamespaceTransaction): Promise<void> {
  // First, so that the copy in a partition is not emptied row by row: it is dropped as a whole.
  if (tx.dialect.engine === 'postgres') {
    await tx`delete from vector_partitions v where v.namespace = ${tx.namespace}`
  }
  await tx`delete from embeddings e where e.namespace = ${tx.namespace}`
}

/** A namespace for its operator: what it is, what a job last counted in it, its grants in force. */
export async function describeNamespace(tx: NamespaceTransaction): Promise<
  | (Pick<NamespaceRow, 'name' | 'profile' | 'plan' | 'embedder_model' | 'analyzer_version'> & {
      readonly created_at: Date
      readonly memory_count: bigint
      readonly byte_count: bigint
      readonly given: number
      readonly held: number
    })
  | undefined
> {
  const inForce = fragment`g.revoked_at is null
    and (g.expires_at is null or g.expires_at > statement_timestamp())`
  const [row] = await tx<NonNullable<Awaited<ReturnType<typeof describeNamespace>>>>`
    select n.name, n.profile, n.plan, n.embedder_model, n.analyzer_version, n.created_at, n.memory_count, n.byte_count,
      (select count(*)::int from grants g where g.namespace = ${tx.namespace} and ${inForce}) as given,
      (select count(*)::int from grants g where g.grantee = ${tx.namespace} and ${inForce}) as held
    from namespaces n where n.namespace = ${tx.namespace} and n.deleted_at is null`
  return row
}
