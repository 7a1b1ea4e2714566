/** Late interaction: each question word against the closest word of a memory, summed by rarity (MaxSim). */
import { stemmer } from 'stemmer'
import { englishStopWords } from './stop-words.ts'
import { splitWords, type Word } from './words.ts'
import { wordVectors } from './word-vectors.ts'

/** ColBERT's sum of maxima (Khattab, Zaharia: SIGIR 2020) over static word vectors. */
export interface LateQuestion {
  readonly tokens: readonly QuestionToken[]
}

interface QuestionToken {
  readonly id: number
  /** Inverse document frequency from the general frequency of the word. */
  readonly weight: number
  /** Similarity to tokens met so far: candidates share most of their words. */
  readonly similarities: Map<number, number>
}

/** Tokens of a memory that are compared; the head of a long one stands for it. */
const memoryTokensMax = 256
const questionTokensMax = 32
const memoryCharactersMax = 8192
/** Cosines below this are chance: GloVe gives 0.2–0.3 to unrelated words. Fitted in the lab. */
const similarityMin = 0.35
/** Tokens of an ordinary memory; longer ones have more words to be close by chance. */
const ordinaryTokens = 12
/** Set in the id of a word without a vector; the rest is a hash of its stem. */
const unknownBit = 0x8000_0000

/** Hash of each known word's stem, 0 until met; a cache, so safe to share. */
let stemHashes: Uint32Array | undefined

/**
 * Ids of the distinct content words, at most 256: the rank of a word with a vector, else a hash.
 * Valid within one process and version; a caller may cache them instead of the text.
 */
function tokenIds(text: string): Uint32Array {
  return idsOf(text.slice(0, memoryCharactersMax), memoryTokensMax)
}

/** Null when the question has no content word. `ignore`: lower-case words to leave out (speakers). */
function prepare(text: string, ignore?: ReadonlySet<string>): LateQuestion | null {
  const ids = idsOf(text.slice(0, memoryCharactersMax), questionTokensMax, ignore)
  if (ids.length === 0) return null
  return {
    tokens: Array.from(ids, (id) => ({ id, weight: rarity(id), similarities: new Map() })),
  }
}

/** 0..1: the share of the question's weight that the memory's words cover, less for long memories. */
function score(question: LateQuestion, memory: string | Uint32Array): number {
  const ids = typeof memory === 'string' ? tokenIds(memory) : memory
  let sum = 0
  let total = 0
  for (const token of question.tokens) {
    total += token.weight
    let best = 0
    for (const id of ids) {
      const similarity = token.similarities.get(id) ?? remember(token, id)
      if (similarity > best) best = similarity
    }
    sum += token.weight * best
  }
  return sum / total / Math.sqrt(0.5 + (0.5 * ids.length) / ordinaryTokens)
}

export const lateInteraction = { tokenIds, prepare, score }

function idsOf(text: string, idsMax: number, ignore?: ReadonlySet<string>): Uint32Array {
  const ids = new Set<number>()
  for (const word of splitWords(text)) {
    if (ids.size === idsMax) break
    if (word.kind === 'symbol' || englishStopWords.has(word.text) || ignore?.has(word.text))
      continue
    ids.add(idOf(word))
  }
  return Uint32Array.from(ids)
}

function idOf({ text, kind }: Word): number {
  const vectors = wordVectors()
  const rank = kind === 'latin' ? vectors.rankOf(text) : -1
  if (rank === -1) return (hash(kind === 'latin' ? stemmer(text) : text) | unknownBit) >>> 0
  stemHashes ??= new Uint32Array(vectors.size)
  if (stemHashes[rank] === 0) stemHashes[rank] = hash(stemmer(text)) | 1
  return rank
}

function remember(token: QuestionToken, id: number): number {
  const similarity = similarityOf(token.id, id)
  token.similarities.set(id, similarity)
  return similarity
}

/** 1 for the same stem, else the cosine stretched from `similarityMin`..1 to 0..1 and bent down. */
function similarityOf(a: number, b: number): number {
  if (a === b) return 1
  if (a >= unknownBit || b >= unknownBit) return 0
  if (stemHashes?.[a] === stemHashes?.[b]) return 1
  const cosine = wordVectors().similarity(a, b)
  return cosine > similarityMin ? ((cosine - similarityMin) / (1 - similarityMin)) ** 1.5 : 0
}

/** As BM25's idf would be in a large collection: from 1 (very common) to about 10 (unknown). */
function rarity(id: number): number {
  return id >= unknownBit ? 10 : Math.max(1, Math.log((id + 3) / 3))
}

/** FNV-1a, 31 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  return value & 0x7fff_ffff
}
