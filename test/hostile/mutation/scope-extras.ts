/** Statements that everything does not come to, since it would take long: asked for directly. */
import type { Database } from '../../../src/database/database.ts'
import { createScope } from '../../../src/database/scope.ts'
import { jobPrincipal } from '../../../src/jobs/job-principal.ts'
import { nearestDocuments } from '../../../src/memory/embeddings.sql.ts'
import { tagTerm } from '../../../src/memory/keys.ts'
import { countMemories } from '../../../src/memory/listing.sql.ts'
import { maintainPartition } from '../../../src/memory/vector-partitions.ts'
import { numbered } from '../../support/everything-inputs.ts'
import type { Principal } from '../../../src/principal.ts'
import type { TestMemory } from '../../support/memory.ts'
import { storedBytes } from '../../../src/memory/size.sql.ts'
import { embedStatic } from '../../../src/pipeline/static-embedder.ts'

export async function scopeExtras(memory: TestMemory, database: Database): Promise<void> {
  const scope = createScope(database, memory.test.contextKey)
  const principal = await memory.principal({ namespaceName: 'extras' })
  const boats = numbered('The harbour keeps boat', 24)
  const memories = boats.map((content) => ({ content, type: 'fact' }))
  await memory.execute(memory.operations.store, principal, { memories })
  const quay = { content: 'A quay.', tags: ['port'] }
  const { results } = await memory.execute(memory.operations.store, principal, quay)
  await scope.withNamespace(principal, { readOnly: true }, (tx) =>
    storedBytes(
      tx,
      results.map(({ id }) => id),
    ),
  )
  const { indexKey } = await memory.namespaces.settings(principal)
  // The words of a name are postings as tags are, and of those the twin has more.
  await scope.withNamespace(principal, { readOnly: true }, (tx) =>
    countMemories(tx, { nameTerms: [tagTerm(indexKey, 'port')] }, 100),
  )
  const { namespace } = principal
  if (memory.test.engine === 'embedded') return
  // More than are compared one by one, so that a filter goes by the index.
  await memory.test.owner.ownerTransaction(
    (sql) => sql`
      insert into mindglue.memories select (jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid(),
        'document', 1000000 + n, 'dedupe_key', sha256(n::text::bytea)))).*
      from mindglue.memories m cross join generate_series(1, 2100) as n
      where m.ctid = (select o.ctid from mindglue.memories o where o.namespace = ${namespace}
        and o.type = 'fact' limit 1)`,
  )
  await makePartition(memory, principal)
  const vector = embedStatic('Which boat?') ?? new Float32Array()
  await scope.withNamespace(principal, {}, (tx) =>
    nearestDocuments(tx, vector, { types: ['fact'] }, 5),
  )
}

/** A namespace with a partition that is searched, of the vectors that were stored (Postgres). */
export async function makePartition(memory: TestMemory, { namespace }: Principal): Promise<void> {
  const { signal } = new AbortController()
  const job = { scope: memory.test.scope, principal: jobPrincipal(namespace), signal }
  const limits = { promoteAbove: 20, demoteBelow: 10 }
  for (let round = 0; round < 3; round += 1) await maintainPartition(job, limits)
}
