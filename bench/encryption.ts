/**
 * What encryption costs a store and a recall: profiles `off`, `field` and `sealed` take turns in one process
 * and one database, so that a busy machine slows all of them alike. In process, without a transport: the
 * worst ratio there is. Usage: npm run bench:encryption -- [--memories 1000,10000] [--rounds 5];
 * TEST_DATABASE=postgres for a server.
 */
import { parseArgs } from 'node:util'
import { RankingTexts } from '../src/memory/ranking-texts.ts'
import { SealedVectors } from '../src/memory/sealed-vectors.ts'
import { createOperations } from '../src/operations.ts'
import { createEmbedder } from '../src/pipeline/embed.ts'
import type { Principal } from '../src/principal.ts'
import { openTestMemory } from '../test/support/memory.ts'
import { questions, sampleMemories, type SampleMemory } from './support/texts.ts'

const profiles = ['off', 'field', 'sealed'] as const
type Profile = (typeof profiles)[number]

const { values } = parseArgs({
  options: {
    memories: { type: 'string', default: '1000,10000' },
    rounds: { type: 'string', default: '5' },
  },
})
const sizes = values.memories.split(',').map(Number)
const rounds = Number(values.rounds)
const batchRows = 500
const singleStores = 150
const askedQuestions = questions.slice(0, 60)

const memory = await openTestMemory()
const embedder = createEmbedder({ embedder: 'static' })
const out = (text: string) => process.stdout.write(`${text}\n`)
out(`${memory.test.engine}, Node ${process.versions.node}`)
out('| ms, median | off | field | ratio | sealed | ratio |\n|---|--:|--:|--:|--:|--:|')
await benchSingles()
for (const size of sizes) await benchSize(size)
await memory.close()

type Samples = Readonly<Record<Profile, number[]>>
function noSamples(): Samples {
  return { off: [], field: [], sealed: [] }
}

function report(name: string, samples: Samples): void {
  const median = (list: readonly number[]) =>
    list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN
  // A ratio a turn, then their median: what disturbed one turn disturbed all profiles of it.
  const ratio = (profile: Profile) =>
    median(samples[profile].map((ms, turn) => ms / (samples.off[turn] ?? ms))).toFixed(2)
  const [off, field, sealed] = profiles.map((profile) => median(samples[profile]).toFixed(2))
  out(`| ${name} | ${off} | ${field} | ${ratio('field')} | ${sealed} | ${ratio('sealed')} |`)
}

/** Every profile in turn, the first one changing: what runs first after a pause runs slower. */
async function inTurns(
  turns: number,
  samples: Samples,
  work: (profile: Profile, turn: number) => Promise<unknown>,
): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    for (let place = 0; place < profiles.length; place += 1) {
      const profile = profiles[(turn + place) % profiles.length] ?? 'off'
      const began = performance.now()
      await work(profile, turn)
      samples[profile].push(performance.now() - began)
    }
  }
}

async function principals(name: string): Promise<Readonly<Record<Profile, Principal>>> {
  const [off, field, sealed] = await Promise.all(
    profiles.map((profile) => memory.principal({ namespaceName: `${name}-${profile}`, profile })),
  )
  if (!off || !field || !sealed) throw new Error('a namespace is missing')
  return { off, field, sealed }
}

function store(principal: Principal, memories: readonly SampleMemory[]) {
  return memory.execute(memory.operations.store, principal, { memories })
}

async function benchSingles(): Promise<void> {
  const of = await principals('single')
  const samples = [...sampleMemories(singleStores + 20)]
  const single = (profile: Profile, turn: number) =>
    memory.execute(memory.operations.store, of[profile], { ...samples[turn] })
  await inTurns(20, noSamples(), (profile, turn) => single(profile, singleStores + turn))
  const measured = noSamples()
  await inTurns(singleStores, measured, single)
  report('store, one memory', measured)
}

async function benchSize(size: number): Promise<void> {
  const of = await principals(`size-${size}`)
  const samples = [...sampleMemories(size)]
  const stored = noSamples()
  await inTurns(Math.ceil(size / batchRows), stored, (profile, turn) =>
    store(of[profile], samples.slice(turn * batchRows, (turn + 1) * batchRows)),
  )
  if (stored.off.length > 5) report(`store, batches of ${batchRows} up to ${size}`, stored)
  await memory.test.database.maintain('analyze').catch(() => undefined)
  const [first, cold, warm] = [noSamples(), noSamples(), noSamples()]
  for (let round = 0; round < rounds; round += 1) {
    // As in a process that has just started: nothing is decrypted yet.
    const operations = createOperations({
      embedder,
      cursorKey: new Uint8Array(32),
      rankingTexts: new RankingTexts(),
      sealedVectors: new SealedVectors(),
    })
    const ask = (profile: Profile, turn: number) =>
      memory.execute(operations.recall, of[profile], { query: askedQuestions[turn] ?? '' })
    await inTurns(1, first, ask)
    await inTurns(askedQuestions.length, cold, ask)
    await inTurns(askedQuestions.length, warm, ask)
  }
  report(`recall, ${size} memories: first of a process`, first)
  report(`recall, ${size}: each question for the first time`, cold)
  report(`recall, ${size}: again`, warm)
}
