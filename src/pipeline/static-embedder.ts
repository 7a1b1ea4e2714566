/** The default embedder: a weighted mean of shipped word vectors. No download, no key, microseconds. */
import type { Embedder } from './embed.ts'
import { nameKind } from './name-kinds.ts'
import { englishStopWords } from './stop-words.ts'
import { splitWords, tokenize } from './words.ts'
import { dimension, sifWeight, wordVectors } from './word-vectors.ts'

/** A longer text's mean does not change any more; the rest is found by its terms. */
const wordsMax = 4096

/**
 * GloVe, 80,000 English words of 100 dimensions (docs/decisions/0002-static-embedder.md). A text's
 * vector: SIF-weighted mean, the component all texts share removed, L2-normalised.
 */
export function staticEmbedder(): Embedder {
  return {
    model: 'static-glove-100d-1',
    dimension,
    embedDocuments: (texts) => Promise.resolve(texts.map(embedStatic)),
    embedQuestion: (text) => Promise.resolve(embedStaticQuestion(text)),
    coverage: knownShare,
  }
}

/** Float32Array[100] of unit length, or null when the text holds no known word. */
export function embedStatic(text: string): Float32Array | null {
  const vectors = wordVectors()
  const { values, inverseNorms, commonComponent } = vectors
  const sum = new Float64Array(dimension)
  let known = 0
  for (const word of tokenize(text).slice(0, wordsMax)) {
    const rank = vectors.rankOf(word)
    if (rank === -1) continue
    known += 1
    const weight = sifWeight(rank) * (inverseNorms[rank] ?? 0)
    const from = rank * dimension
    for (let index = 0; index < dimension; index++) {
      sum[index] = (sum[index] ?? 0) + weight * (values[from + index] ?? 0)
    }
  }
  return known === 0 ? null : withoutCommonComponent(sum, commonComponent)
}

/**
 * As `embedStatic`, without the names of people: in "What did Anna cook?" hers would be half of the
 * mean, while a memory seldom names its speaker. LoCoMo recall@10 of the cosine alone 37.1 → 45.8.
 */
export function embedStaticQuestion(text: string): Float32Array | null {
  const unnamed = text.replace(/\p{Lu}\p{L}+/gu, (word) =>
    nameKind(word) === 'person' ? ' ' : word,
  )
  return embedStatic(unnamed) ?? embedStatic(text)
}

/** Null also when nothing is left: a zero vector has no direction and its cosine is NaN. */
function withoutCommonComponent(sum: Float64Array, common: Float32Array): Float32Array | null {
  const shared = sum.reduce((total, value, index) => total + value * (common[index] ?? 0), 0)
  const rest = sum.map((value, index) => value - shared * (common[index] ?? 0))
  const norm = Math.sqrt(rest.reduce((total, value) => total + value * value, 0))
  return norm < 1e-9 ? null : Float32Array.from(rest, (value) => value / norm)
}

/**
 * Share of the content words (no stop words, numbers or symbols) that have a vector. The list
 * holds names and loan words of other languages, so only the 40,000 most frequent words count.
 */
export function knownShare(text: string): number {
  let words = 0
  let known = 0
  for (const { text: word, kind } of splitWords(text.slice(0, 4096))) {
    if (kind === 'number' || kind === 'symbol' || englishStopWords.has(word)) continue
    words += 1
    const rank = kind === 'latin' ? wordVectors().rankOf(word) : -1
    if (rank !== -1 && rank < frequentWords) known += 1
  }
  return words === 0 ? 0 : known / words
}

const frequentWords = 40_000
