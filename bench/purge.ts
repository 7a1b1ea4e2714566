/**
 * Purges expired memories on Postgres while stores and recalls go on, beside the same stores and recalls
 * without a purge in the same run. Needs TEST_DATABASE_URL (superuser).
 * Usage: npm run bench:purge -- [--expired 1000000]
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { v7 as uuidv7 } from 'uuid'
import { purgeNamespace } from '../src/jobs/purge.ts'
import { jobPrincipal } from '../src/jobs/job-principal.ts'
import { openTestMemory, type TestMemory } from '../test/support/memory.ts'
import { questions, sampleMemories } from './support/texts.ts'

const { values } = parseArgs({ options: { expired: { type: 'string', default: '1000000' } } })
const expired = Number(values.expired)
const kept = 5_000
const foregroundMs = 10_000
/** Pause between two calls of a foreground client: steady work, not as much as the machine can. */
const paceMs = 50

let started = 0
process.env['TEST_DATABASE'] = 'postgres'
const memory = await openTestMemory()
try {
  const principal = await memory.principal({ namespaceName: 'purge' })
  const live = await memory.principal({ namespaceName: 'live' })
  for (const part of batches(sampleMemories(kept), 500)) {
    await memory.execute(memory.operations.store, principal, { memories: part })
    await memory.execute(memory.operations.store, live, { memories: part })
  }
  await copyExpired(memory, principal.namespace)
  const before = await foreground(memory, () => performance.now() - started > foregroundMs)
  const signal = new AbortController().signal
  const purging = performance.now()
  let done = false
  const purge = purgeNamespace(
    memory.test.scope,
    memory.metrics,
    principal.namespace,
    signal,
  ).finally(() => (done = true))
  const during = await foreground(memory, () => done)
  const purged = await purge
  const seconds = (performance.now() - purging) / 1000
  report(before, during, purged, seconds)
} finally {
  await memory.close()
}

interface Foreground {
  readonly storeMs: number[]
  readonly recallMs: number[]
}

/** One client that stores and one that asks, until `isOver`. */
async function foreground(over: TestMemory, isOver: () => boolean): Promise<Foreground> {
  started = performance.now()
  const principal = await over.principal({ namespaceName: 'live' })
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
  const copies = Math.ceil(expired / kept)
  for (let copy = 1; copy <= copies; copy += 1) {
    const shift = copy * 20_000
    await test.scope.withNamespace(actor, { statementTimeoutMs: 600_000 }, async (tx) => {
      await tx`
        insert into memories (namespace, id, version, document, content, type, session_label,
          session_key, speaker, speaker_key, source_kind, trust, owner_agent, occurred_at,
          expires_at, valid_from, recorded_at, dedupe_key, terms, tag_terms, entities, length)
        select m.namespace, gen_random_uuid(), 1, m.document + ${shift}::int, m.content, m.type,
          m.session_label, m.session_key, m.speaker, m.speaker_key, m.source_kind, m.trust,
          m.owner_agent, m.occurred_at, clock_timestamp(), m.valid_from, m.recorded_at,
          m.dedupe_key || int4send(${copy}::int), m.terms, m.tag_terms, m.entities, m.length
        from memories m where m.namespace = ${tx.namespace} and m.expires_at is null`
      await tx`
        insert into postings (namespace, term, document, frequency, length)
        select p.namespace, p.term, p.document + ${shift}::int, p.frequency, p.length
        from postings p where p.namespace = ${tx.namespace} and p.document < 20000`
      await tx`
        insert into embeddings (namespace, document, embedding)
        select e.namespace, e.document + ${shift}::int, e.embedding
        from embeddings e where e.namespace = ${tx.namespace} and e.document < 20000`
      await tx`
        insert into mentions (namespace, entity, document)
        select e.namespace, e.entity, e.document + ${shift}::int
        from mentions e where e.namespace = ${tx.namespace} and e.document < 20000`
    })
    if (copy % 20 === 0) process.stderr.write(`${copy * kept} expired rows made\n`)
  }
  await test.owner.ownerTransaction((_sql, script) =>
    script('analyze mindglue.memories, mindglue.postings, mindglue.embeddings, mindglue.mentions'),
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

function report(before: Foreground, during: Foreground, purged: number, seconds: number): void {
  const at = (list: readonly number[], share: number) =>
    (list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0).toFixed(1)
  const out = (text: string) => process.stdout.write(`${text}\n`)
  out(
    `\n${purged} expired memories purged in ${seconds.toFixed(1)} s (${Math.round(purged / seconds)}/s)`,
  )
  out('| call | idle p50 ms | idle p95 | purging p50 ms | purging p95 | calls while purging |')
  out('| --- | --- | --- | --- | --- | --- |')
  for (const call of ['storeMs', 'recallMs'] as const) {
    const cells = [before[call], during[call]].flatMap((list) => [at(list, 0.5), at(list, 0.95)])
    out(`| ${call.slice(0, -2)} | ${cells.join(' | ')} | ${during[call].length} |`)
  }
}
