/**
 * Nearest vectors by a namespace's own HNSW index beside the exact scan of the same run: recall, time,
 * build and size, with filters, and whether a neighbour's million shows. Needs TEST_DATABASE_URL
 * (superuser). Vectors are the static embedder's, of distinct sentences (bench/support/sentences.ts).
 * Usage: npm run bench:vectors -- [--vectors 100000,1000000] [--questions 200]
 */
import { parseArgs } from 'node:util'
import { jobPrincipal } from '../src/jobs/job-principal.ts'
import { nearestDocuments, type Cosine } from '../src/memory/embeddings.sql.ts'
import type { MemoryFilter } from '../src/memory/memories.sql.ts'
import {
  demotePartition,
  maintainPartition,
  partitionLimits,
  type PartitionStep,
} from '../src/memory/vector-partitions.ts'
import { embedStaticQuestion } from '../src/pipeline/static-embedder.ts'
import { candidatesMax } from '../src/pipeline/ranking-candidates.ts'
import type { Principal } from '../src/principal.ts'
import { storeSentences } from '../test/support/partitions.ts'
import { storeVectors } from '../test/support/vectors.ts'
import { sampleQuestions } from './support/sentences.ts'
import { questions as dialogueQuestions } from './support/texts.ts'

const { values } = parseArgs({
  options: {
    vectors: { type: 'string', default: '100000,1000000' },
    questions: { type: 'string', default: '200' },
  },
})
const sizes = values.vectors.split(',').map(Number)
const asked = Number(values.questions)
const smallSize = 1_000
/** Documents of the copied rows begin behind those of the sentences that were stored whole. */
const firstCopied = 10_000
const limits = { readOnly: true, statementTimeoutMs: 600_000 }

// The engine is chosen when the module is loaded.
process.env['TEST_DATABASE'] = 'postgres'
const { openTestMemory } = await import('../test/support/memory.ts')
const memory = await openTestMemory({ profile: 'off' })
const { scope, owner } = memory.test

const made = sampleQuestions(asked / 2)
const real = dialogueQuestions.slice(0, asked / 2)
const vectorsOf = (texts: readonly string[]) =>
  texts.map((text) => embedStaticQuestion(text)).filter((vector) => vector !== null)
const questions = { made: vectorsOf(made), dialogues: vectorsOf(real) }
const everyQuestion = [...questions.made, ...questions.dialogues]

try {
  const small = await memory.principal({ namespaceName: 'small' })
  await storeVectors(memory, small, smallSize)
  await analyze()
  const alone = await neighbour(small)
  for (const size of sizes) await measure(size)
  const beside = await neighbour(small)
  print(
    `\n${smallSize} vectors with 0, then with ${sizes.join(' + ')} vectors of others beside them`,
  )
  row(['foreign vectors', 'rows of 10 questions', 'p50 ms', 'plan'])
  row(['---', '---', '---', '---'])
  const isSame = alone.plan === beside.plan && alone.rows === beside.rows
  row(['0', `${alone.rows}`, ms(alone.p50), alone.plan])
  row([`${sizes.reduce((a, b) => a + b, 0)}`, `${beside.rows}`, ms(beside.p50), beside.plan])
  print(isSame ? 'same rows, same plan' : 'NOT THE SAME')
} finally {
  await memory.close()
}

interface Asked {
  readonly lists: readonly (readonly Cosine[])[]
  readonly callMs: readonly number[]
}

async function ask(
  principal: Principal,
  vectors: readonly Float32Array[],
  filter?: MemoryFilter,
): Promise<Asked> {
  const lists: Cosine[][] = []
  const callMs: number[] = []
  for (const vector of vectors) {
    const began = performance.now()
    lists.push(
      await scope.withNamespace(principal, limits, (tx) =>
        nearestDocuments(tx, vector, filter, candidatesMax),
      ),
    )
    callMs.push(performance.now() - began)
  }
  return { lists, callMs }
}

/** Mean share of the exact first `k` that was found. */
function recall(exact: Asked, found: Asked, k: number): number {
  const shares = exact.lists.map((list, index) => {
    const near = new Set((found.lists[index] ?? []).slice(0, k).map(({ document }) => document))
    const wanted = list.slice(0, k)
    return wanted.filter(({ document }) => near.has(document)).length / Math.max(1, wanted.length)
  })
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length)
}

async function measure(size: number): Promise<void> {
  const principal = await memory.principal({ namespaceName: `many-${size}` })
  const storing = performance.now()
  await storeSentences(memory, principal, 100, 99)
  await copyMemories(principal, size)
  await storeVectors(memory, principal, size, firstCopied, (done) => {
    if (done % 100_000 === 0) note(`${done} vectors stored`)
  })
  await analyze()
  note(`${size} vectors in ${seconds(storing)} s`)

  const kinds = Object.entries(questions)
  const exact: Asked[] = []
  for (const [, vectors] of kinds) exact.push(await ask(principal, vectors))
  const filters: readonly (readonly [string, MemoryFilter])[] = [
    ['0.1 %', { types: ['task'] }],
    ['1 %', { types: ['decision'] }],
    ['10 %', { types: ['event'] }],
    ['89 %', { types: ['note'] }],
  ]
  const few = everyQuestion.slice(0, 40)
  const exactFiltered: Asked[] = []
  for (const [, filter] of filters) exactFiltered.push(await ask(principal, few, filter))
  note('exact answers known')

  const building = performance.now()
  const steps: string[] = []
  const outcome = await maintainPartition(
    {
      scope,
      principal: jobPrincipal(principal.namespace),
      signal: new AbortController().signal,
      onStep: (step: PartitionStep) => steps.push(`${step} ${seconds(building)} s`),
    },
    partitionLimits,
  )
  note(`${outcome}: ${steps.join(', ')}`)

  print(`\n${size} vectors, 100 dimensions, halfvec, m = 32, ef_construction = 128`)
  row(['questions', 'recall@10', 'recall@300', 'exact p50 / p95 ms', 'index p50 / p95 ms', 'ratio'])
  row(['---', '---', '---', '---', '---', '---'])
  for (const [index, [name, vectors]] of kinds.entries()) {
    const wanted = exact[index]
    if (!wanted) continue
    await ask(principal, vectors.slice(0, 20)) // the graph into memory, as it is on a server that serves
    const found = await ask(principal, vectors)
    row(comparison(name, wanted, found))
  }
  print('')
  row([
    'filter keeps',
    'recall@10',
    'recall@300',
    'exact p50 / p95 ms',
    'index p50 / p95 ms',
    'ratio',
  ])
  row(['---', '---', '---', '---', '---', '---'])
  for (const [index, [name, filter]] of filters.entries()) {
    const wanted = exactFiltered[index]
    if (wanted) row(comparison(name, wanted, await ask(principal, few, filter)))
  }
  print(`\nbuild: ${steps.join(', ')}; ${await sizesOf(principal)}`)
  const dropping = performance.now()
  if (size === sizes[0] && sizes.length > 1) {
    await demotePartition({ scope, principal: jobPrincipal(principal.namespace) })
    print(`dropped in ${((performance.now() - dropping) / 1000).toFixed(3)} s`)
  }
}

function comparison(name: string, exact: Asked, found: Asked): string[] {
  const [slow, fast] = [quantile(exact.callMs, 0.5), quantile(found.callMs, 0.5)]
  return [
    name,
    recall(exact, found, 10).toFixed(3),
    recall(exact, found, candidatesMax).toFixed(3),
    `${ms(slow)} / ${ms(quantile(exact.callMs, 0.95))}`,
    `${ms(fast)} / ${ms(quantile(found.callMs, 0.95))}`,
    `${(slow / fast).toFixed(1)}×`,
  ]
}

/** A row of memories for each vector, so that filters have something to keep: copies but for the type. */
async function copyMemories({ namespace }: Principal, count: number): Promise<void> {
  for (let done = 0; done < count; done += 100_000) {
    await owner.ownerTransaction(
      (sql) => sql`
        insert into mindglue.memories
        select (r.made).* from (
          select jsonb_populate_record(null::mindglue.memories, to_jsonb(m) || jsonb_build_object(
            'id', gen_random_uuid(), 'document', ${firstCopied}::int + d,
            'dedupe_key', '\\x' || lpad(to_hex(d), 8, '0'), 'type',
            case when d % 1000 = 0 then 'task' when d % 100 = 1 then 'decision'
              when d % 10 = 2 then 'event' else 'note' end)) as made
          from (select * from mindglue.memories where namespace = ${namespace} limit 1) m
          cross join generate_series(${done + 1}::int, ${Math.min(count, done + 100_000)}::int) d) r`,
    )
  }
}

async function analyze(): Promise<void> {
  await owner.ownerTransaction((_sql, script) =>
    script('analyze mindglue.memories, mindglue.embeddings'),
  )
}

/** What the owner of a small namespace could see of its neighbours: rows, plan and time. */
async function neighbour(principal: Principal) {
  const answered = await ask(principal, everyQuestion)
  const plan = await scope.withNamespace(principal, {}, async (tx) => {
    const lines = await tx<{ 'QUERY PLAN': string }>`
      explain (costs off) select e.document from embeddings e where e.namespace = ${tx.namespace}
      order by (e.embedding <#> (select f.embedding from embeddings f
        where f.namespace = ${tx.namespace} limit 1)) + 0 limit 300`
    const names = lines.map((line) => line['QUERY PLAN'].trim().replace(/^->\s*/u, ''))
    return names.filter((line) => /(?:Scan|Sort)(?: |$)/u.test(line)).join(' ← ')
  })
  const rows = answered.lists.slice(0, 10).reduce((sum, list) => sum + list.length, 0)
  return { rows, plan, p50: quantile(answered.callMs, 0.5) }
}

async function sizesOf({ namespace }: Principal): Promise<string> {
  const [held] = await owner.ownerTransaction(
    (sql) => sql<{ copy: bigint; graph: bigint; keys: bigint }>`
      select pg_table_size(c.oid) as copy,
        sum(pg_relation_size(i.indexrelid)) filter (where a.amname = 'hnsw')::bigint as graph,
        sum(pg_relation_size(i.indexrelid)) filter (where a.amname <> 'hnsw')::bigint as keys
      from pg_class c join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid
        join pg_am a on a.oid = x.relam
      where c.oid = to_regclass('mindglue.partitioned_embeddings_' || ${namespace}::bigint)
      group by c.oid`,
  )
  const mb = (bytes: bigint | undefined) => `${Math.round(Number(bytes ?? 0n) / 1e6)} MB`
  return `copy ${mb(held?.copy)}, its keys ${mb(held?.keys)}, hnsw ${mb(held?.graph)}`
}

function quantile(list: readonly number[], share: number): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0
}

function ms(value: number): string {
  return value.toFixed(1)
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function row(cells: readonly string[]): void {
  print(`| ${cells.join(' | ')} |`)
}

function note(line: string): void {
  process.stderr.write(`${line}\n`)
}
