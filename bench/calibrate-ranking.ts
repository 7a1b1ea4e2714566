// Finds the curve from the ranking's linear score to 0..1: a logistic fit that tells the best memory of a
// question that is answered here from the best memory of a question about something else.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { rank } from '../src/pipeline/fuse.ts'
import { indexWorld, prepareCase, readDialogue } from './offline-recall.ts'
import type { World } from './offline-recall.ts'

interface Best {
  readonly raw: number
  readonly answered: boolean
}

/** The dialogue as plain notes: calibration must hold for both. */
function asNotes(world: World): World {
  const memories = world.memories.map((memory) => ({ ...memory, session: null, speaker: null }))
  return { ...world, memories }
}

/** Best raw scores of a dialogue's own questions and of another dialogue's. */
function bestScores(world: World, strangers: World): Best[] {
  const indexed = indexWorld(world)
  const ask = (source: World, answered: boolean): Best[] =>
    source.questions
      .filter((_, at) => at % 2 === 0)
      .map((question) => {
        const { request, candidates } = prepareCase(indexed, question)
        const parts = Object.values(rank(request, candidates)[0]?.parts ?? {})
        return { raw: parts.reduce((sum, part) => sum + part, 0), answered }
      })
  return [...ask(world, true), ...ask(strangers, false)]
}

/** Newton's method on the logistic loss, both kinds weighing the same. */
function fitLogistic(examples: readonly Best[]): { midpoint: number; width: number } {
  const answered = examples.filter((example) => example.answered).length
  let slope = 0.5
  let intercept = -3
  for (let step = 0; step < 50; step += 1) {
    let [gradient0, gradient1, h00, h01, h11] = [0, 0, 1e-6, 0, 1e-6]
    for (const example of examples) {
      const share = 0.5 / (example.answered ? answered : examples.length - answered)
      const p = 1 / (1 + Math.exp(-(slope * example.raw + intercept)))
      const error = (p - (example.answered ? 1 : 0)) * share
      const curvature = p * (1 - p) * share
      gradient0 += error * example.raw
      gradient1 += error
      h00 += curvature * example.raw ** 2
      h01 += curvature * example.raw
      h11 += curvature
    }
    const determinant = h00 * h11 - h01 * h01
    slope -= (h11 * gradient0 - h01 * gradient1) / determinant
    intercept -= (h00 * gradient1 - h01 * gradient0) / determinant
  }
  return { midpoint: -intercept / slope, width: 1 / slope }
}

const folder = join(import.meta.dirname, 'dialogues')
const files = readdirSync(folder).filter((file) => file.endsWith('.json'))
const chats = files.toSorted().map((file) => readDialogue(join(folder, file), file))
for (const [name, worlds] of [
  ['chat', chats],
  ['notes', chats.map(asNotes)],
  ['both', [...chats, ...chats.map(asNotes)]],
] as const) {
  const examples = worlds.flatMap((world, at) =>
    bestScores(world, chats[(at + 3) % chats.length] ?? world),
  )
  const { midpoint, width } = fitLogistic(examples)
  const right = (answered: boolean): string => {
    const some = examples.filter((example) => example.answered === answered)
    const hits = some.filter((example) => example.raw > midpoint === answered).length
    return ((100 * hits) / some.length).toFixed(0)
  }
  process.stdout.write(
    `${name}: midpoint ${midpoint.toFixed(2)} width ${width.toFixed(2)}, above it ${right(true)} % of ` +
      `the answered, below it ${right(false)} % of the others\n`,
  )
}
