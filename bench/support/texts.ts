/** Distinct texts of any number, made from the project's own dialogues: no clustered noise. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

interface Dialogue {
  readonly dialogue: string
  readonly turns: readonly {
    readonly session: number
    readonly when: string
    readonly speaker: string
    readonly text: string
  }[]
  readonly questions: readonly { readonly question: string }[]
}

const directory = fileURLToPath(new URL('../dialogues/', import.meta.url))

export const dialogues: readonly Dialogue[] = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .toSorted()
  .map((name) => JSON.parse(readFileSync(`${directory}${name}`, 'utf8')) as Dialogue)

export const questions: readonly string[] = dialogues.flatMap((dialogue) =>
  dialogue.questions.map((question) => question.question),
)

export interface SampleMemory {
  readonly content: string
  readonly session: string
  readonly speaker: string
  readonly occurred_at: string
}

/**
 * `count` distinct memories: first every turn as it is, then turns joined with a turn of another
 * dialogue, each pair once. Sessions hold about as many memories as in a conversation.
 */
export function* sampleMemories(count: number): Generator<SampleMemory> {
  const turns = dialogues.flatMap((dialogue) =>
    dialogue.turns.map((turn) => ({ ...turn, dialogue: dialogue.dialogue })),
  )
  for (let index = 0; index < count; index += 1) {
    const round = Math.floor(index / turns.length)
    const turn = turns[index % turns.length]
    // 389 is prime and no divisor of the number of turns: every round joins other pairs.
    const partner = turns[(index + round * 389) % turns.length]
    if (!turn || !partner) return
    yield {
      content: round === 0 ? turn.text : `${turn.text} ${partner.text}`,
      session: `${turn.dialogue}-${turn.session}-${round}`,
      speaker: turn.speaker,
      occurred_at: new Date(Date.parse(turn.when) + index * 1000).toISOString(),
    }
  }
}
