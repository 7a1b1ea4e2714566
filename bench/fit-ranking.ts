// Fits the weights of the recall ranking on the project's own dialogues (bench/dialogues).
// Listwise softmax, L2, known signs kept; leave-one-dialogue-out cross-validation; prints a table.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { buildFeatures, featureNames } from '../src/pipeline/ranking-features.ts'
import type { FeatureName } from '../src/pipeline/ranking-weights.ts'
import { indexWorld, measure, prepareCase, readDialogue } from './offline-recall.ts'
import type { Figures, Memory, World } from './offline-recall.ts'

/** One question ready for fitting: features, and which rows answer. */
export interface Example {
  /** Dialogue the question belongs to: what cross-validation holds out. */
  readonly group: string
  readonly variant: string
  readonly category: number
  readonly matrix: Float64Array
  readonly docs: readonly number[]
  /** Rows that answer, as far as candidate generation found them. */
  readonly answers: readonly number[]
  readonly evidence: readonly number[]
  readonly baseline: readonly number[]
}

/** Features whose sign we know; the fit may set them to zero but not turn them. */
const negative: ReadonlySet<FeatureName> = new Set(['isQuestion'])

/**
 * The same dialogues as other users would have stored them. Fitted on chat alone the weights would
 * lean on speakers and sessions, which plain notes do not have.
 */
export function makeVariants(
  dialogues: readonly World[],
): { variant: string; world: World; group: (question: number) => string }[] {
  const alone = (world: World) => () => world.name
  const change = (variant: string, edit: (memory: Memory) => Memory) =>
    dialogues.map((world) => ({
      variant,
      world: { ...world, memories: world.memories.map(edit) },
      group: alone(world),
    }))
  return [
    ...change('chat', (memory) => memory),
    ...change('no speakers', (memory) => ({ ...memory, speaker: null })),
    ...change('no sessions', (memory) => ({ ...memory, session: null })),
    ...change('notes', (memory) => ({ ...memory, session: null, speaker: null })),
    ...merge('merged', dialogues),
    ...merge('two people', dialogues.map(renameSpeakers)),
    ...merge('notes and chat', dialogues.map(stripEverySecond)),
  ]
}

/** All dialogues in one namespace; each question still belongs to its dialogue. */
function merge(variant: string, dialogues: readonly World[]) {
  const memories: Memory[] = []
  const groups: string[] = []
  const questions = dialogues.flatMap((world) => {
    const offset = memories.length
    memories.push(...world.memories)
    return world.questions.map((question) => {
      groups.push(world.name)
      return { ...question, evidence: question.evidence.map((doc) => doc + offset) }
    })
  })
  const world: World = { name: variant, memories, questions }
  return [{ variant, world, group: (question: number) => groups[question] ?? '' }]
}

/** Every second dialogue as plain notes, beside the others as chat. */
function stripEverySecond(world: World, at: number): World {
  if (at % 2 === 0) return world
  const memories = world.memories.map((memory) => ({ ...memory, session: null, speaker: null }))
  return { ...world, memories }
}

/** Gives every dialogue the same two people, so that in a merged namespace a name says less. */
function renameSpeakers(world: World): World {
  const speakers = [...new Set(world.memories.flatMap((memory) => memory.speaker ?? []))]
  const names = new Map(
    speakers.map((speaker, at) => [speaker, ['Robin', 'Kerstin', 'Emeka', 'Yuki'][at] ?? speaker]),
  )
  const rename = (text: string): string =>
    speakers.reduce(
      (done, speaker) => done.replaceAll(speaker, names.get(speaker) ?? speaker),
      text,
    )
  return {
    name: world.name,
    memories: world.memories.map((memory) => ({
      ...memory,
      text: rename(memory.text),
      speaker: memory.speaker === null ? null : (names.get(memory.speaker) ?? memory.speaker),
    })),
    questions: world.questions.map((question) => ({
      ...question,
      question: rename(question.question),
    })),
  }
}

/** Runs candidate generation and feature building over every variant. */
export function makeExamples(dialogues: readonly World[]): Example[] {
  return makeVariants(dialogues).flatMap(({ variant, world, group }) => {
    const indexed = indexWorld(world)
    return world.questions.map((question, at) => {
      const { request, candidates, baseline } = prepareCase(indexed, question)
      const { matrix } = buildFeatures(request, candidates)
      const docs = candidates.map((candidate) => candidate.doc)
      const answers = question.evidence.map((doc) => docs.indexOf(doc)).filter((row) => row >= 0)
      const { category, evidence } = question
      return { group: group(at), variant, category, matrix, docs, answers, evidence, baseline }
    })
  })
}

export interface FitOptions {
  readonly l2: number
  readonly steps: number
  /** Features to leave out. */
  readonly without: ReadonlySet<string>
}

/** Minimises the listwise softmax loss with Adam (full batch, so the result is deterministic). */
export function fit(examples: readonly Example[], options: FitOptions): Float64Array {
  const width = featureNames.length
  const usable = examples.filter((example) => example.answers.length > 0).map(keepHardest)
  const weights = Float64Array.from(featureNames, (name) =>
    options.without.has(name) ? 0 : startOf(name),
  )
  const first = new Float64Array(width)
  const second = new Float64Array(width)
  for (let step = 1; step <= options.steps; step += 1) {
    const gradient = gradientOf(usable, weights)
    const rate = 0.08 * (1 - step / (options.steps + 1))
    for (let f = 0; f < width; f += 1) {
      const name = featureNames[f]
      if (name === undefined || options.without.has(name)) continue
      const g = (gradient[f] ?? 0) / usable.length + options.l2 * (weights[f] ?? 0)
      first[f] = 0.9 * (first[f] ?? 0) + 0.1 * g
      second[f] = 0.999 * (second[f] ?? 0) + 0.001 * g * g
      const move = (first[f] ?? 0) / (1 - 0.9 ** step)
      const size = Math.sqrt((second[f] ?? 0) / (1 - 0.999 ** step)) + 1e-8
      const next = (weights[f] ?? 0) - (rate * move) / size
      weights[f] = negative.has(name) ? Math.min(0, next) : Math.max(0, next)
    }
  }
  return weights
}

/**
 * Every weight starts alike: the shipped weights have seen all dialogues, so starting from them, or
 * choosing rows by them, would tell the fit about the one held out.
 */
const startOf = (name: FeatureName): number => (negative.has(name) ? -1 : 1)

/** Rows that matter to the loss: the answers and the best others by the starting weights. */
const hardest = 100

function keepHardest(example: Example): Pick<Example, 'matrix' | 'answers'> {
  const width = featureNames.length
  const weights = Float64Array.from(featureNames, startOf)
  const scores = scoreRows(example.matrix, weights)
  const others = [...scores.keys()]
    .filter((row) => !example.answers.includes(row))
    .toSorted((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))
  const rows = [...example.answers, ...others.slice(0, hardest)]
  const matrix = new Float64Array(rows.length * width)
  rows.forEach((row, at) => {
    matrix.set(example.matrix.subarray(row * width, (row + 1) * width), at * width)
  })
  return { matrix, answers: example.answers.map((_, at) => at) }
}

function gradientOf(
  examples: readonly Pick<Example, 'matrix' | 'answers'>[],
  weights: Float64Array,
): Float64Array {
  const width = weights.length
  const gradient = new Float64Array(width)
  for (const { matrix, answers } of examples) {
    const probability = scoreRows(matrix, weights)
    const best = probability.reduce((most, value) => Math.max(most, value), -Infinity)
    let total = 0
    for (let row = 0; row < probability.length; row += 1) {
      const value = Math.exp((probability[row] ?? 0) - best)
      probability[row] = value
      total += value
    }
    for (let row = 0; row < probability.length; row += 1) {
      probability[row] = (probability[row] ?? 0) / total
    }
    for (const row of answers) probability[row] = (probability[row] ?? 0) - 1 / answers.length
    for (let row = 0; row < probability.length; row += 1) {
      const error = probability[row] ?? 0
      if (Math.abs(error) < 1e-6) continue
      for (let f = 0; f < width; f += 1) {
        gradient[f] = (gradient[f] ?? 0) + error * (matrix[row * width + f] ?? 0)
      }
    }
  }
  return gradient
}

/** Linear score of every row. */
export function scoreRows(matrix: Float64Array, weights: Float64Array): Float64Array {
  const width = weights.length
  const scores = new Float64Array(matrix.length / width)
  for (let row = 0; row < scores.length; row += 1) {
    let sum = 0
    for (let f = 0; f < width; f += 1) sum += (weights[f] ?? 0) * (matrix[row * width + f] ?? 0)
    scores[row] = sum
  }
  return scores
}

/** The documents of an example, best first. */
export function order(example: Example, weights: Float64Array): number[] {
  const scores = scoreRows(example.matrix, weights)
  return [...scores.keys()]
    .toSorted((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
    .map((row) => example.docs[row] ?? -1)
}

/** Every example ranked by weights that never saw its dialogue. */
export function crossValidate(examples: readonly Example[], options: FitOptions) {
  const groups = [...new Set(examples.map((example) => example.group))]
  return groups.flatMap((group) => {
    const weights = fit(
      examples.filter((example) => example.group !== group),
      options,
    )
    return examples
      .filter((example) => example.group === group)
      .map((example) => ({ example, ranking: order(example, weights) }))
  })
}

const percent = (share: number): string => (100 * share).toFixed(1).padStart(6)

/** One line of the table. */
export function line(name: string, figures: Figures): string {
  const { questions, recall5, recall10, recall20, hit10, reciprocalRank } = figures
  const shares = [recall5, recall10, recall20, hit10, reciprocalRank].map(percent).join(' ')
  return `${name.padEnd(28)} ${String(questions).padStart(5)} ${shares}\n`
}

function main(): void {
  const folder = join(import.meta.dirname, 'dialogues')
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'))
  const dialogues = files.toSorted().map((file) => readDialogue(join(folder, file), file))
  const examples = makeExamples(dialogues)
  const options: FitOptions = { l2: 1e-3, steps: 100, without: new Set() }
  const held = crossValidate(examples, options)
  const out = process.stdout
  out.write(`${''.padEnd(28)}     n    R@5   R@10   R@20  hit10    MRR\n`)
  for (const variant of new Set(examples.map((example) => example.variant))) {
    const rows = held.filter(({ example }) => example.variant === variant)
    const evidence = ({ example }: { example: Example }) => example.evidence
    out.write(
      line(
        `${variant}: BM25`,
        measure(rows.map((row) => ({ ranking: row.example.baseline, evidence: evidence(row) }))),
      ),
    )
    out.write(
      line(
        `${variant}: held out`,
        measure(rows.map((row) => ({ ranking: row.ranking, evidence: evidence(row) }))),
      ),
    )
  }
  const weights = fit(examples, options)
  featureNames.forEach((name, f) => out.write(`  ${name}: ${(weights[f] ?? 0).toFixed(2)},\n`))
}

if (process.argv[1] === import.meta.filename) main()
