/**
 * Recall over stdio in one namespace of many memories, with each step's share, beside the cost of an
 * empty namespace in the same run. Usage: npm run bench:latency -- [--memories 10000] [--questions 300]
 */
import { parseArgs } from 'node:util'
import { install, type Product } from './support/product.ts'
import { questions, sampleMemories } from './support/texts.ts'

const { values } = parseArgs({
  options: {
    memories: { type: 'string', default: '10000' },
    questions: { type: 'string', default: '300' },
  },
})
const memories = Number(values.memories)
const asked = questions.slice(0, Number(values.questions))
const batch = 250

const installation = install()
try {
  const empty = await installation.connect('empty')
  await empty.call('store', { content: 'One memory, so that the namespace exists.' })
  const full = await installation.connect('full')
  const storing = performance.now()
  await fill(full)
  const storeMs = (performance.now() - storing) / memories
  const [baseline, measured] = [await ask(empty), await ask(full)]
  print(baseline, measured, storeMs)
  await Promise.all([empty.close(), full.close()])
} finally {
  await installation.remove()
}

interface Measured {
  readonly callMs: readonly number[]
  readonly stages: ReadonlyMap<string, readonly number[]>
}

async function fill(product: Product): Promise<void> {
  let part: object[] = []
  for (const memory of sampleMemories(memories)) {
    part.push(memory)
    if (part.length === batch) {
      await product.call('store', { memories: part })
      part = []
    }
  }
  if (part.length > 0) await product.call('store', { memories: part })
}

async function ask(product: Product): Promise<Measured> {
  const callMs: number[] = []
  const stages = new Map<string, number[]>()
  for (const query of asked) {
    const began = performance.now()
    const answer = await product.call<{ stages_ms: Record<string, number> }>('recall', {
      query,
      explain: true,
    })
    callMs.push(performance.now() - began)
    for (const [stage, ms] of Object.entries(answer.stages_ms)) {
      stages.set(stage, [...(stages.get(stage) ?? []), ms])
    }
  }
  return { callMs, stages }
}

function quantile(list: readonly number[], share: number): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length * share)] ?? 0
}

function print(baseline: Measured, measured: Measured, storeMs: number): void {
  const out = (text: string) => process.stdout.write(`${text}\n`)
  out(`\nrecall over stdio, ${asked.length} questions, Node ${process.versions.node}`)
  out(`| step | 1 memory p50 ms | ${memories} memories p50 ms | p95 ms | share of the call |`)
  out('| --- | --- | --- | --- | --- |')
  const call = quantile(measured.callMs, 0.5)
  const row = (name: string, small: readonly number[], large: readonly number[]) => {
    const p50 = quantile(large, 0.5)
    const cells = [quantile(small, 0.5), p50, quantile(large, 0.95)].map((ms) => ms.toFixed(2))
    out(`| ${name} | ${cells.join(' | ')} | ${((100 * p50) / call).toFixed(0)} % |`)
  }
  row('whole call', baseline.callMs, measured.callMs)
  for (const [stage, list] of measured.stages) row(stage, baseline.stages.get(stage) ?? [], list)
  out(`\nstored in batches of ${batch}: ${storeMs.toFixed(2)} ms a memory`)
}
