/**
 * Purges expired memories while stores and recalls go on, beside the same stores and recalls without a
 * purge in the same run. Postgres needs TEST_DATABASE_URL (superuser).
 * Usage: npm run bench:purge -- [--expired 1000000] [--workers 2] [--engine postgres|embedded] [--scattered]
 *   --scattered  the memories expire in no order, as under many different lifetimes
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { v7 as uuidv7 } from 'uuid'
import { fragment } from '../src/database/database.ts'
import { purgeNamespaces } from '../src/jobs/purge.ts'
import { jobPrincipal } from '../src/jobs/job-principal.ts'
import type { Principal } from '../src/principal.ts'
import type { TestMemory } from '../test/support/memory.ts'
import { questions, sampleMemories } from './support/texts.ts'

const { values } = parseArgs({
  options: {
    expired: { type: 'string', default: '1000000' },
    workers: { type: 'string', default: '2' },
    engine: { type: 'string', default: 'postgres' },
    scattered: { type: 'boolean', default: false },
  },
})
const expired = Number(values.expired)
const kept = 5_000
const foregroundMs = 10_000
/** Pause between two calls of a foreground client: steady work, not as much as the machine can. */
const paceMs = 50

// Read when the module is loaded: a static import would come before this line.
process.env['TEST_DATABASE'] = values.engine
const { openTestMemory } = await import('../test/support/memory.ts')
const memory = await openTestMemory()
try {
  if (memory.test.engine !== values.engine) throw new Error(`no engine ${values.engine}`)
  const purged = await memory.principal({ namespaceName: 'purge' })
  const live = await memory.principal({ namespaceName: 'live' })
  for (const memories of batches(sampleMemories(kept), 500)) {
    for (const principal of [purged, live]) {
      await memory.execute(memory.operations.store, principal, { memories })
    }
  }
  await copyExpired(memory, purged.namespace)
  await foreground(memory, live, until(foregroundMs / 5)) // code and caches are warm from here on
  const before = await foreground(memory, live, until(foregroundMs))
  const cpuBefore = process.cpuUsage()
  const began = performance.now()
  let isDone = false
  const purge = purgeNamespaces(
    { scope: memory.test.scope, metrics: memory.metrics, workers: Number(values.workers) },
    [purged.namespace],
    new AbortController().signal,
  ).finally(() => (isDone = true))
  const during = await foreground(memory, live, () => isDone)
  const count = await purge
  const seconds = (performance.now() - began) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  report({ before, during, count, seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6 })
} finally {
  await memory.close()
}

interface Foreground {
  readonly storeMs: number[]
  readonly recallMs: number[]
}

function until(ms: number): () => boolean {
  const started = performance.now()
  return () => performance.now() - started > ms
}

/** One client that stores and one that asks, until `isOver`. */
async function foreground(
  over: TestMemory,
  principal: Principal,
  isOver: () => boolean,
): Promise<Foreground> {
  const storeMs: number[] = []
  const recallMs: number[] = []
  const loop = async (into: number[], call: (round: number) => Promise<unknown>) => {
    for (let round = 0; !isOver(); round += 1) {
      const began = performance.now()
      await call(round)
      into.push(performance.now() - began)
      await delay(paceMs)
    }
  }
  await Promise.all([
    loop(storeMs, () =>
      over.execute(over.operations.store, principal, { content: `A new note ${uuidv7()}.` }),
    ),
    loop(recallMs, (round) =>
      over.execute(over.operations.recall, principal, {
        query: questions[round % questions.length],
      }),
    ),
  ])
  return { storeMs, recallMs }
}

/** Copies the kept memories' rows, all derived ones included, as expired ones: real rows, made in bulk. */
async function copyExpired({ test }: TestMemory, namespace: bigint): Promise<void> {
  const actor = jobPrincipal(namespace)
  const expiry = values.scattered
    ? fragment`clock_timestamp() - random() * interval '1 hour'`
    : fragment`clock_timestamp()`
  for (let copy = 1; copy <= Math.ceil(expired / kept); copy += 1) {
    // Document numbers of the kept ones reach a little beyond their count.
    const span = kept + 1_000
    const shift = copy * span
    await test.scope.withNamespace(actor, { statementTimeoutMs: 600_000 }, async (tx) => {
      await tx`
        insert into memories (namespace, id, version, document, content, type, session_label,
          session_key, speaker, speaker_key, source_kind, source_agent, trust, owner_agent, occurred_at,
          expires_at, valid_from, recorded_at, dedupe_key, terms, tag_terms, entities, length)
        select m.namespace, md5(m.id::text || ${copy}::int)::uuid, 1, m.document + ${shift}::int, m.content, m.type,
          m.session_label, m.session_key, m.speaker, m.speaker_key, m.source_kind, ${tx.agent}, m.trust,
          m.owner_agent, m.occurred_at, ${expiry}, m.valid_from, m.recorded_at,
          m.dedupe_key || int4send(${copy}::int), m.terms, m.tag_terms, m.entities, m.length
        from memories m where m.namespace = ${tx.namespace} and m.document < ${span}::int
        order by m.document`
      // The keys of the originals do not open the copies, which nobody reads; they are rows to remove.
      await tx`
        insert into memory_keys (namespace, id, version, key_id, epoch, token)
        select m.namespace, md5(m.id::text || ${copy}::int)::uuid, 1, k.key_id, k.epoch, k.token
        from memories m
        join memory_keys k on k.namespace = m.namespace and k.id = m.id and k.version = m.version
        where m.namespace = ${tx.namespace} and m.document < ${span}::int`
      // In the order in which stores of ten memories each would have left them.
      await tx`
        insert into postings (namespace, term, document, frequency, length)
        select p.namespace, p.term, p.document + ${shift}::int, p.frequency, p.length
        from postings p where p.namespace = ${tx.namespace} and p.document < ${span}::int
        order by p.document / 10, p.term, p.document`
      await tx`
        insert into embeddings (namespace, document, embedding)
        select e.namespace, e.document + ${shift}::int, e.embedding
        from embeddings e where e.namespace = ${tx.namespace} and e.document < ${span}::int`
      await tx`
        insert into mentions (namespace, entity, document)
        select e.namespace, e.entity, e.document + ${shift}::int
        from mentions e where e.namespace = ${tx.namespace} and e.document < ${span}::int`
    })
    if (copy % 20 === 0) process.stderr.write(`${copy * kept} expired rows made\n`)
  }
  await test.owner.ownerTransaction((_sql, script) =>
    script(
      'analyze mindglue.memories, mindglue.memory_keys, mindglue.postings, mindglue.embeddings, mindglue.mentions',
    ),
  )
}

function* batches<Item>(items: Iterable<Item>, size: number): Generator<Item[]> {
  let part: Item[] = []
  for (const item of items) {
    part.push(item)
    if (part.length === size) {
      yield part
      part = []
    }
  }
  if (part.length > 0) yield part
}

interface Measured {
  readonly before: Foreground
  readonly during: Foreground
  readonly count: number
  readonly seconds: number
  readonly cpuSeconds: number
}

function report({ before, during, count, seconds, cpuSeconds }: Measured): void {
  const at = (list: readonly number[], share: number) =>
    (list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0).toFixed(1)
  const out = (text: string) => process.stdout.write(`${text}\n`)
  out(
    `\n${values.engine}, ${values.workers} workers${values.scattered ? ', scattered' : ''}: ${count} expired memories purged in ${seconds.toFixed(1)} s (${Math.round(count / seconds)}/s; this process ${cpuSeconds.toFixed(1)} s of CPU)`,
  )
  out('| call | idle p50 ms | idle p95 | purging p50 ms | purging p95 | calls while purging |')
  out('| --- | --- | --- | --- | --- | --- |')
  for (const call of ['storeMs', 'recallMs'] as const) {
    const cells = [before[call], during[call]].flatMap((list) => [at(list, 0.5), at(list, 0.95)])
    out(`| ${call.slice(0, -2)} | ${cells.join(' | ')} | ${during[call].length} |`)
  }
}
