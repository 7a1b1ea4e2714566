/** Distinct sentences of any number: templates filled from the shipped word list. No clustered noise. */
import { readFileSync } from 'node:fs'
import { headerBytes } from '../../src/pipeline/word-vectors.ts'
import { seededRandom } from '../../test/support/random.ts'

const asset = new URL('../../assets/static-embeddings/glove-100d-int8.bin', import.meta.url)

/** The word list, most frequent first; `headerBytes` and the length at 16 as in word-vectors.ts. */
function wordList(): readonly string[] {
  const bytes = readFileSync(asset)
  const textBytes = bytes.readUInt32LE(headerBytes / 2)
  return bytes
    .subarray(bytes.byteLength - textBytes)
    .toString('ascii')
    .split('\n')
}

/** `W` is a word of the list, `N` a number, `D` a day. */
const statements = [
  'We agreed that the W W comes before the W, whatever W says.',
  'On D the W team moved the W to W and kept the W.',
  'My W prefers W over W when the W is W.',
  'The W of the W costs N, and the W W costs half of that.',
  'Remember to ask W about the W W before D.',
  'After the W in W she sold the W and bought a W.',
  'The W fails when the W is W: restart the W and check the W.',
  'He keeps the W W beside the W, not in the W.',
  'W and W met at the W to talk about W W.',
  'Our W runs on W since D; the old W is W.',
  'Nobody liked the W, so the W W was replaced by a W one.',
  'The meeting about W moved to D because of the W.',
  'She learned W in W and wants to try W next.',
  'Use the W when W and W disagree about the W W W.',
  'The W belongs to W; N of them went to W.',
  'I read a W about W W and the W of W.',
]
const questions = [
  'What happened to the W W in W?',
  'Where is the W of the W?',
  'Who asked about W and the W W?',
  'Why was the W W replaced?',
  'When did the W move to W?',
  'How much does the W W cost?',
]
const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
/** The most frequent words join sentences; content begins behind them. */
const firstContentRank = 150

/** Endless sentences, the same for the same seed; words by Zipf's law over the list (density 1 / rank). */
function* fill(templates: readonly string[], seed: number): Generator<string> {
  const random = seededRandom(seed)
  const words = wordList()
  const spread = Math.log(words.length / firstContentRank)
  const word = () => words[Math.floor(firstContentRank * Math.exp(spread * random()))] ?? 'word'
  for (;;) {
    const template = templates[Math.floor(random() * templates.length)] ?? ''
    yield template.replaceAll(/\b[WND]\b/gu, (slot) => {
      if (slot === 'W') return word()
      if (slot === 'N') return String(1 + Math.floor(random() * 5_000))
      return days[Math.floor(random() * days.length)] ?? 'Monday'
    })
  }
}

/** `count` sentences, no two the same. */
export function* distinctSentences(count: number, seed = 1): Generator<string> {
  const seen = new Set<string>()
  for (const sentence of fill(statements, seed)) {
    if (seen.size === count) return
    if (seen.has(sentence)) continue
    seen.add(sentence)
    yield sentence
  }
}

/** Questions in the same words, none of them stored. */
export function sampleQuestions(count: number, seed = 2): string[] {
  const made: string[] = []
  for (const sentence of fill(questions, seed)) {
    if (made.length === count) break
    made.push(sentence)
  }
  return made
}
