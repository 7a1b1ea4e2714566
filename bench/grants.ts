/**
 * What grants cost a recall that asks for none: the same recalls under the policies that know grants and
 * under those of before, in turns, in one run. Then what one grant costs the recall that asks.
 * TEST_DATABASE=postgres|embedded.
 * Usage: node --import ./test/support/typescript-loader.mjs bench/grants.ts [--memories 2000] [--rounds 40] [--recalls 15]
 */
import { parseArgs } from 'node:util'
import { allScopes } from '../src/principal.ts'
import { openTestMemory } from '../test/support/memory.ts'
import { questions, sampleMemories } from './support/texts.ts'

const { values } = parseArgs({
  options: {
    memories: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '40' },
    recalls: { type: 'string', default: '15' },
  },
})
const [memories, rounds, recalls] = [values.memories, values.rounds, values.recalls].map(
  Number,
) as [number, number, number]
/** After its policies change a session plans every statement anew. */
const warmUp = 6

const derived = ['postings', 'embeddings', 'sealed_embeddings'] as const
const granted = ['memories', 'memory_keys', 'mentions', ...derived] as const

/** The policies of migrations 0013 to 0016. */
const before = [
  'drop policy granted on mindglue.memories',
  'drop policy granted on mindglue.namespaces',
  'drop policy granted on mindglue.namespace_keys',
  ...granted.flatMap((table) => [
    `drop policy own_update on mindglue.${table}`,
    `drop policy own_delete on mindglue.${table}`,
  ]),
  `alter policy visible on mindglue.memories using (
    namespace = (select mindglue.context_namespace()) and (access <> 'private'
      or owner_agent = (select mindglue.context_agent()) or (select mindglue.context_agent()) = any (readers)
      or (select mindglue.context_sees_all())))`,
  ...['memory_keys', 'mentions'].map(
    (table) => `alter policy own_namespace on mindglue.${table}
      using (namespace = (select mindglue.context_namespace()))`,
  ),
  ...derived.map(
    (table) => `alter policy own_namespace on mindglue.${table} using (
      namespace = (select mindglue.context_namespace()) and (document >= 0
        or (select mindglue.context_sees_all())
        or exists (select from mindglue.memories m
          where m.namespace = (select mindglue.context_namespace())
            and m.document = ${table}.document and m.document < 0)))`,
  ),
]

const memory = await openTestMemory()
try {
  const { operations, execute, test } = memory
  const fill = async (namespaceName: string, access: string) => {
    const who = await memory.principal({ namespaceName })
    for (let start = 0; start < memories; start += 250) {
      const batch = [...sampleMemories(memories)].slice(start, start + 250)
      await execute(operations.store, who, {
        memories: batch.map((one) => ({ ...one, access })),
      })
    }
    return who
  }
  const who = await fill('bench', 'shared')
  const home = await fill('home', 'public')
  if (test.engine === 'postgres') {
    await test.owner.ownerTransaction((_, script) => script('analyze'))
  } else await test.database.maintain('analyze')

  const now = await test.owner.ownerTransaction(
    (sql) => sql<{ made: string }>`
      select format('create policy %I on mindglue.%I as %s for %s using (%s) %s', p.policyname,
        p.tablename, p.permissive, p.cmd, p.qual, 'with check (' || p.with_check || ')') as made
      from pg_policies p where p.schemaname = 'mindglue' and p.qual is not null
        and (p.tablename in ('memories', 'memory_keys', 'mentions', 'postings', 'embeddings',
          'sealed_embeddings') or p.policyname = 'granted')`,
  )
  const dropped = now.map(({ made }) => {
    const [, name, table] = /^create policy (\S+) on mindglue\.(\S+) /u.exec(made) ?? []
    return `drop policy if exists ${name} on mindglue.${table}`
  })
  const variants = { before, with: [...dropped, ...now.map(({ made }) => made)] } as const
  type Variant = keyof typeof variants

  let asked = 0
  const recall = async (more: object = {}): Promise<number> => {
    const query = questions[asked++ % questions.length]
    const began = performance.now()
    await execute(operations.recall, who, { query, ...more })
    return performance.now() - began
  }
  const block = async (variant: Variant): Promise<number[]> => {
    await test.owner.ownerTransaction((_, script) =>
      script(['set local search_path = mindglue, public', ...variants[variant]].join(';\n')),
    )
    for (let index = 0; index < warmUp; index++) await recall()
    const times: number[] = []
    for (let index = 0; index < recalls; index++) times.push(await recall())
    return times
  }

  const times: Record<Variant, number[]> = { before: [], with: [] }
  const ratios: number[] = []
  for (let round = 0; round < rounds; round++) {
    const questionsOfRound = asked
    const median: Partial<Record<Variant, number>> = {}
    // Each block starts from the other variant, so that its policies are really changed.
    for (const variant of ['before', 'with'] as const) {
      asked = questionsOfRound
      const taken = await block(variant)
      times[variant].push(...taken)
      median[variant] = quantile(taken, 0.5)
    }
    ratios.push((median.with ?? 0) / (median.before ?? 1))
  }
  const giver = { ...home, agent: 'root', scopes: new Set(allScopes) }
  await execute(operations.grantCreate, giver, { to: 'bench' })
  const alone: number[] = []
  const both: number[] = []
  for (let round = 0; round < recalls * 4; round++) {
    alone.push(await recall())
    asked -= 1
    both.push(await recall({ include_granted: true }))
  }

  const out = (text: string) => process.stdout.write(`${text}\n`)
  out(`${test.engine}, ${memories} memories each, ${rounds} rounds of ${recalls} recalls`)
  out('| policies | p50 ms | p95 ms |')
  out('| --- | --- | --- |')
  for (const variant of ['before', 'with'] as const) {
    const [p50, p95] = [quantile(times[variant], 0.5), quantile(times[variant], 0.95)]
    out(`| ${variant} grants | ${p50.toFixed(2)} | ${p95.toFixed(2)} |`)
  }
  out(`median of the rounds' ratios ${quantile(ratios, 0.5).toFixed(3)}`)
  out(
    `with one grant of ${memories} memories: ${(quantile(both, 0.5) / quantile(alone, 0.5)).toFixed(2)} times a recall without`,
  )
} finally {
  await memory.close()
}

function quantile(list: readonly number[], share: number): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0
}
