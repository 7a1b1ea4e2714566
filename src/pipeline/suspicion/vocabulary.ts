/** The shapes of instructions to a model, to be filled with the words of a language. */
import type { Phrase } from './phrases.ts'

/** Words of one language, in the forms of an imperative and of an infinitive; accents left out in Latin script. */
export interface Vocabulary {
  readonly drop: string
  readonly earlier: string
  readonly rules: string
  readonly reveal: string
  /** The prompt and its like; words that belong together are one step. */
  readonly prompt: string
  /** "you are now": the whole phrase as steps. */
  readonly become: string
  /** "without limits". */
  readonly free: string
  readonly not: string
  readonly tell: string
  readonly person: string
  /** "when you read this", "before you answer": each a phrase. */
  readonly occasions: readonly string[]
  /** "from now on always": each a phrase. */
  readonly standing: readonly string[]
  /** "recommend", "approve", "answer". */
  readonly say: string
  readonly always: string
  /** "secretly". */
  readonly manner: string
  readonly call: string
  readonly tool: string
  /** "remember that you must", "this memory overrides": each a phrase. */
  readonly memory: readonly string[]
  readonly must: string
  readonly send: string
  readonly secret: string
}

/** The phrases of one language. */
export function phrasesOf(words: Vocabulary): readonly Phrase[] {
  const { drop, earlier, rules, reveal, prompt, become, not, tell, person, call, tool } = words
  return [
    ['override', 4, `${drop} 3 ${earlier} 3 ${rules}`],
    ['override', 4, `${drop} 3 ${rules} 3 ${earlier}`],
    // Languages that put the verb last.
    ['override', 4, `${earlier} 3 ${rules} 4 ${drop}`],
    ['override', 4, `${rules} 2 ${earlier} 3 ${drop}`],
    ['prompt', 4, `${reveal} 4 ${prompt}`],
    ['prompt', 4, `${prompt} 4 ${reveal}`],
    ['prompt', 1, prompt],
    ['role', 4, `${become} 6 ${words.free}`],
    ['role', 2, become],
    ['conceal', 4, `${not} 3 ${tell} 4 ${person}`],
    ['conceal', 4, `${not} 3 ${person} 4 ${tell}`],
    ['conceal', 4, `${tell} 3 ${person} 4 ${not}`],
    ['conceal', 4, `${person} 4 ${not} 3 ${tell}`],
    ['conceal', 4, `${person} 4 ${tell} 1 ${not}`],
    ['tool', 4, `${words.must} 4 ${call} 4 ${tool}`],
    ['tool', 4, `${words.must} 4 ${tool} 4 ${call}`],
    ['tool', 4, `${tool} 3 ${call} 2 ${words.must}`],
    ['tool', 3, `${call} 3 ${tool}`],
    ['tool', 3, `${tool} 3 ${call}`],
    ['exfiltrate', 2, `${words.send} 5 ${words.secret}`],
    ['exfiltrate', 2, `${words.secret} 6 ${words.send}`],
    ['manner', 2, words.manner],
    ['say', 2, `${words.always} 3 ${words.say}`],
    ['say', 2, `${words.say} 2 ${words.always}`],
    ['say', 1, words.say],
    ...words.occasions.map((text): Phrase => ['trigger', 2, text]),
    ...words.standing.map((text): Phrase => ['standing', 2, text]),
    ...words.memory.map((text): Phrase => ['memory', 3, text]),
  ]
}
