/**
 * What encryption costs a store and a recall: profiles `off`, `field` and `sealed` take turns, so that a busy
 * machine slows all of them alike. In one process and one database, without a transport: the worst ratio
 * there is. `--over stdio`: through the tools of three installations, as an agent calls them.
 * Usage: npm run bench:encryption -- [--over process|stdio] [--memories 1000,10000] [--rounds 5];
 * TEST_DATABASE=postgres for a server, in process alone.
 */
import { parseArgs } from 'node:util'
import { RankingTexts } from '../src/memory/ranking-texts.ts'
import { SealedVectors } from '../src/memory/sealed-vectors.ts'
import { createOperations } from '../src/operations.ts'
import { createEmbedder } from '../src/pipeline/embed.ts'
import { openTestMemory } from '../test/support/memory.ts'
import { install } from './support/product.ts'
import { questions, sampleMemories, type SampleMemory } from './support/texts.ts'

const profiles = ['off', 'field', 'sealed'] as const
type Profile = (typeof profiles)[number]

const { values } = parseArgs({
  options: {
    memories: { type: 'string', default: '1000,10000' },
    rounds: { type: 'string', default: '5' },
    over: { type: 'string', default: 'process' },
  },
})
const sizes = values.memories.split(',').map(Number)
const rounds = Number(values.rounds)
const batchRows = 500
const singleStores = 150
const questionsOfRound = 60

const out = (text: string) => process.stdout.write(`${text}\n`)
const place = values.over === 'stdio' ? overStdio() : await inProcess()
out(`${place.name}, Node ${process.versions.node}`)
out('| ms, median | off | field | ratio | sealed | ratio |\n|---|--:|--:|--:|--:|--:|')
await benchSingles()
for (const size of sizes) await benchSize(size)
await place.close()

/** One namespace of one profile. */
interface Side {
  store(memories: readonly SampleMemory[]): Promise<unknown>
  recall(query: string): Promise<unknown>
}
type Sides = Readonly<Record<Profile, Side>>

interface Place {
  readonly name: string
  /** A namespace of each profile. */
  open(name: string): Promise<Sides>
  /** As in a process that has just started: nothing is decrypted yet. */
  restart(): Promise<void>
  close(): Promise<void>
}

async function inProcess(): Promise<Place> {
  const memory = await openTestMemory()
  const embedder = createEmbedder({ embedder: 'static' })
  const create = () =>
    createOperations({
      embedder,
      cursorKey: new Uint8Array(32),
      rankingTexts: new RankingTexts(),
      sealedVectors: new SealedVectors(),
    })
  let operations = create()
  return {
    name: `${memory.test.engine}, in process`,
    open: (name) =>
      sidesOf(async (profile) => {
        const principal = await memory.principal({ namespaceName: `${name}-${profile}`, profile })
        return {
          store: (memories) => memory.execute(operations.store, principal, { memories }),
          recall: (query) => memory.execute(operations.recall, principal, { query }),
        }
      }),
    restart: async () => {
      await memory.test.database.maintain('analyze').catch(() => undefined)
      operations = create()
    },
    close: () => memory.close(),
  }
}

/** Nothing starts anew here: an agent asks the process that stored. */
function overStdio(): Place {
  const installations = profiles.map((profile) => ({ profile, installation: install() }))
  const products: { close(): Promise<void> }[] = []
  return {
    name: 'embedded, over stdio',
    open: (name) =>
      sidesOf(async (profile) => {
        const { installation } = installations.find((one) => one.profile === profile) ?? {}
        if (installation === undefined) throw new Error('no installation')
        const product = await installation.connect(name, { MINDGLUE_PROFILE: profile })
        products.push(product)
        return {
          store: (memories) => product.call('store', { memories }),
          recall: (query) => product.call('recall', { query }),
        }
      }),
    restart: () => Promise.resolve(),
    close: async () => {
      await Promise.all(products.map((product) => product.close()))
      await Promise.all(installations.map(({ installation }) => installation.remove()))
    },
  }
}

async function sidesOf(open: (profile: Profile) => Promise<Side>): Promise<Sides> {
  return { off: await open('off'), field: await open('field'), sealed: await open('sealed') }
}

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
    for (let step = 0; step < profiles.length; step += 1) {
      const profile = profiles[(turn + step) % profiles.length] ?? 'off'
      const began = performance.now()
      await work(profile, turn)
      samples[profile].push(performance.now() - began)
    }
  }
}

async function benchSingles(): Promise<void> {
  const sides = await place.open('single')
  const samples = [...sampleMemories(singleStores + 20)]
  const single = (profile: Profile, turn: number) =>
    sides[profile].store(samples.slice(turn, turn + 1))
  await inTurns(20, noSamples(), (profile, turn) => single(profile, singleStores + turn))
  const measured = noSamples()
  await inTurns(singleStores, measured, single)
  report('store, one memory', measured)
}

async function benchSize(size: number): Promise<void> {
  const sides = await place.open(`size-${size}`)
  const samples = [...sampleMemories(size)]
  const stored = noSamples()
  await inTurns(Math.ceil(size / batchRows), stored, (profile, turn) =>
    sides[profile].store(samples.slice(turn * batchRows, (turn + 1) * batchRows)),
  )
  if (stored.off.length > 5) report(`store, batches of ${batchRows} up to ${size}`, stored)
  const [first, cold, warm] = [noSamples(), noSamples(), noSamples()]
  for (let round = 0; round < rounds; round += 1) {
    await place.restart()
    const asked = questions.slice(round * questionsOfRound, (round + 1) * questionsOfRound)
    const ask = (profile: Profile, turn: number) => sides[profile].recall(asked[turn] ?? '')
    await inTurns(1, first, ask)
    await inTurns(asked.length, cold, ask)
    await inTurns(asked.length, warm, ask)
  }
  report(`recall, ${size} memories: first of a process`, first)
  report(`recall, ${size}: each question for the first time`, cold)
  report(`recall, ${size}: again`, warm)
}
