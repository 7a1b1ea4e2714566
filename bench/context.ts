/**
 * What the verified context costs a recall: the same recalls with the functions that verify it and with
 * constant ones in their place, in turns, in one run. TEST_DATABASE=postgres|embedded.
 * Usage: node --import ./test/support/typescript-loader.mjs bench/context.ts [--memories 2000] [--rounds 40] [--recalls 15]
 */
import { parseArgs } from 'node:util'
import { SqlFragment } from '../src/database/database.ts'
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
/** After its functions change a session plans every statement anew. */
const warmUp = 6

const memory = await openTestMemory()
try {
  const who = await memory.principal({ namespaceName: 'bench' })
  const { operations, execute, test } = memory
  for (let start = 0; start < memories; start += 250) {
    const batch = [...sampleMemories(memories)].slice(start, start + 250)
    await execute(operations.store, who, { memories: batch })
  }
  if (test.engine === 'postgres') {
    await test.owner.ownerTransaction((_, script) => script('analyze'))
  } else await test.database.maintain('analyze')

  const functions = await test.owner.ownerTransaction(
    (sql) => sql<{ name: string; type: string; definition: string }>`
      select p.proname as name, format_type(p.prorettype, null) as type,
        pg_get_functiondef(p.oid) as definition
      from pg_proc p where p.pronamespace = 'mindglue'::regnamespace and p.pronargs = 0
        and p.proname ~ '^context_' and has_function_privilege('mindglue_app', p.oid, 'execute')
      order by 1`,
  )
  const constants: string[] = []
  for (const { name, type } of functions) {
    const [row] = await test.scope.withNamespace(
      who,
      {},
      (tx) => tx<{ value: string }>`
        select quote_nullable(${new SqlFragment([`${name}()::text`], [])}) as value`,
    )
    constants.push(
      `create or replace function mindglue.${name}() returns ${type} language sql stable
         as $$ select ${row?.value}::${type} $$`,
    )
  }
  const variants = {
    verified: functions.map(({ definition }) => definition),
    constant: constants,
  } as const
  type Variant = keyof typeof variants

  let asked = 0
  const recall = async (): Promise<number> => {
    const query = questions[asked++ % questions.length]
    const began = performance.now()
    await execute(operations.recall, who, { query })
    return performance.now() - began
  }
  const block = async (variant: Variant): Promise<number[]> => {
    await test.owner.ownerTransaction((_, script) => script(variants[variant].join(';\n')))
    for (let index = 0; index < warmUp; index++) await recall()
    const times: number[] = []
    for (let index = 0; index < recalls; index++) times.push(await recall())
    return times
  }

  const times: Record<Variant, number[]> = { verified: [], constant: [] }
  const ratios: number[] = []
  for (let round = 0; round < rounds; round++) {
    const order: Variant[] = round % 2 === 0 ? ['verified', 'constant'] : ['constant', 'verified']
    const questionsOfRound = asked
    const median: Partial<Record<Variant, number>> = {}
    for (const variant of order) {
      asked = questionsOfRound
      const taken = await block(variant)
      times[variant].push(...taken)
      median[variant] = quantile(taken, 0.5)
    }
    ratios.push((median.verified ?? 0) / (median.constant ?? 1))
  }
  const p50 = (variant: Variant) => quantile(times[variant], 0.5)
  const out = (text: string) => process.stdout.write(`${text}\n`)
  out(`${test.engine}, ${memories} memories, ${rounds} rounds of ${recalls} recalls each`)
  out('| context | p50 ms | p95 ms |')
  out('| --- | --- | --- |')
  for (const variant of ['verified', 'constant'] as const) {
    out(
      `| ${variant} | ${p50(variant).toFixed(2)} | ${quantile(times[variant], 0.95).toFixed(2)} |`,
    )
  }
  out(`ratio of the medians ${(p50('verified') / p50('constant')).toFixed(3)}`)
  out(`median of the rounds' ratios ${quantile(ratios, 0.5).toFixed(3)}`)
} finally {
  await memory.close()
}

function quantile(list: readonly number[], share: number): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0
}
