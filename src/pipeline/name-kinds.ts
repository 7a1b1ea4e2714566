/** Whether a word is like names of people, places and organisations, by its vector. English vocabulary. */
import { dimension, wordVectors } from './word-vectors.ts'

export type NameKind = 'person' | 'place' | 'organization'

/** Words the kinds are known by: their mean direction is what the others are compared with. */
const seeds: Readonly<Record<NameKind | 'ordinary', string>> = {
  person:
    'john mary anna peter sarah michael laura david emily james julia thomas emma daniel sophie ' +
    'carlos maria ahmed fatima yuki wei ivan olga lars ingrid pierre claire marco giulia priya raj ' +
    'caroline melanie nate joanna audrey andrew',
  place:
    'paris berlin london tokyo chicago texas california france germany spain italy japan brazil ' +
    'india canada boston seattle madrid rome vienna sydney toronto mexico sweden norway portugal ' +
    'amsterdam prague florida oregon bangkok cairo nairobi',
  organization:
    'google microsoft apple ibm nasa toyota siemens netflix amazon facebook unesco oracle boeing ' +
    'intel cisco samsung sony nokia adobe harvard stanford yale unicef greenpeace',
  ordinary:
    'thanks wow great yes maybe everything people things work today however though because always ' +
    'never sometimes actually really looking going making being having good new long time day book ' +
    'music food house water family friends school nature art sounds feeling glad happy sorry ' +
    'awesome congrats absolutely totally exactly definitely hopefully luckily seeing learning ' +
    'running painting cooking hiking camping taking keep take check try let dance life love hope ' +
    'kids pets dogs cats nothing something someone everyone anything meeting project ' +
    'deadline report budget release version server database error fix update please remember note',
}

/** Cosine with a kind must beat the one with ordinary words by this much; 0.05 lets "Nature" in. */
const marginMin = 0.1

let centroids: Readonly<Record<NameKind | 'ordinary', Float32Array>> | undefined

/**
 * The kind whose names the word resembles most; null when it is like an ordinary word, undefined
 * when it has no vector. Any case; of `Jean-Luc` the
 * first part counts.
 */
export function nameKind(word: string): NameKind | null | undefined {
  const rank = wordVectors().rankOf((/^\p{L}+/u.exec(word)?.[0] ?? '').toLowerCase())
  if (rank === -1) return undefined
  centroids ??= {
    person: centroid(seeds.person),
    place: centroid(seeds.place),
    organization: centroid(seeds.organization),
    ordinary: centroid(seeds.ordinary),
  }
  const limit = cosine(rank, centroids.ordinary) + marginMin
  let best: NameKind | null = null
  let bestCosine = limit
  for (const kind of ['person', 'place', 'organization'] as const) {
    const similarity = cosine(rank, centroids[kind])
    if (similarity > bestCosine) {
      best = kind
      bestCosine = similarity
    }
  }
  return best
}

function centroid(words: string): Float32Array {
  const vectors = wordVectors()
  const { values, inverseNorms } = vectors
  const sum = new Float32Array(dimension)
  for (const word of words.split(' ')) {
    const rank = vectors.rankOf(word)
    if (rank === -1) continue
    for (let index = 0; index < dimension; index++) {
      const value = (values[rank * dimension + index] ?? 0) * (inverseNorms[rank] ?? 0)
      sum[index] = (sum[index] ?? 0) + value
    }
  }
  const norm = Math.hypot(...sum)
  return sum.map((value) => value / norm)
}

function cosine(rank: number, direction: Float32Array): number {
  const { values, inverseNorms } = wordVectors()
  let sum = 0
  for (let index = 0; index < dimension; index++) {
    sum += (values[rank * dimension + index] ?? 0) * (direction[index] ?? 0)
  }
  return sum * (inverseNorms[rank] ?? 0)
}
