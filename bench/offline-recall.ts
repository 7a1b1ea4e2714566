// Recall without a database: memories as arrays, the same candidate limits as the recall operation.
// Gives the ranking bench its worlds, candidates and figures.
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { analyze, analyzeQuestion } from '../src/pipeline/terms.ts'
import { linkNotes, type Links } from '../src/memory/session-links.ts'
import { embedStatic, knownShare } from '../src/pipeline/static-embedder.ts'
import { questionDates, resolveDates } from '../src/pipeline/dates.ts'
import { lateInteraction } from '../src/pipeline/late-interaction.ts'
import type { RankCandidate, RankPeriod, RankRequest } from '../src/pipeline/fuse.ts'
import {
  candidatesMax,
  selectCandidates,
  spreadToNeighbours,
} from '../src/pipeline/ranking-candidates.ts'
import { inverseFrequency } from '../src/pipeline/ranking-lexical.ts'

export interface Memory {
  readonly text: string
  readonly speaker: string | null
  readonly session: string | null
  readonly occurredAt: Date
  /** The date its text speaks of. */
  readonly event: RankPeriod | null
}

export interface Question {
  readonly question: string
  /** Positions of the memories that answer. */
  readonly evidence: readonly number[]
  readonly category: number
}

/** One namespace and the questions asked in it. */
export interface World {
  readonly name: string
  readonly memories: readonly Memory[]
  readonly questions: readonly Question[]
}

interface Indexed extends World {
  readonly postings: ReadonlyMap<string, readonly (readonly [doc: number, count: number])[]>
  readonly lengths: readonly number[]
  readonly meanLength: number
  readonly vectors: readonly (Float32Array | null)[]
  readonly tokenIds: readonly Uint32Array[]
  /** By document: what stands beside it outside sessions, were every memory a candidate. */
  readonly notes: ReadonlyMap<number, Links>
}

/** A question with everything the ranking sees. */
export interface Case {
  readonly request: RankRequest
  readonly candidates: readonly RankCandidate[]
  readonly question: Question
  /** Plain BM25 over the whole namespace, best first: the baseline. */
  readonly baseline: readonly number[]
}

const dialogueFile = z.object({
  turns: z.array(
    z.object({
      id: z.string(),
      session: z.number(),
      when: z.string(),
      speaker: z.string(),
      text: z.string(),
      image_caption: z.string().optional(),
    }),
  ),
  questions: z.array(
    z.object({
      question: z.coerce.string(),
      evidence: z.array(z.string()).default([]),
      evidence_audited: z.array(z.string()).optional(),
      category: z.number(),
    }),
  ),
})

/** Reads a dialogue file of the project or of LoCoMo; questions without valid evidence are left out. */
export function readDialogue(path: string, name: string, audited = false): World {
  const file = dialogueFile.parse(JSON.parse(readFileSync(path, 'utf8')))
  const at = new Map(file.turns.map((turn, index) => [turn.id, index]))
  const memories = file.turns.map((turn) => {
    const text = turn.image_caption ? `${turn.text} [shares ${turn.image_caption}]` : turn.text
    const occurredAt = readTime(turn.when)
    const session = `${name}/${turn.session}`
    return { text, speaker: turn.speaker, session, occurredAt, event: eventOf(text, occurredAt) }
  })
  const questions = file.questions
    .filter((entry) => entry.category >= 1 && entry.category <= 4)
    .map((entry) => {
      const key = audited ? (entry.evidence_audited ?? entry.evidence) : entry.evidence
      const ids = key.flatMap((id) => repairIds(id))
      const evidence = [...new Set(ids)].flatMap((id) => at.get(id) ?? [])
      return { question: entry.question, evidence, category: entry.category }
    })
    .filter((entry) => entry.evidence.length > 0)
  return { name, memories, questions }
}

/** LoCoMo's key writes some ids as `D:11:26`, `D30:05` or two in one string. */
function repairIds(id: string): string[] {
  const found = [...id.matchAll(/(D?):?(\d+):(\d+)/g)]
  return found.map((match) => `${match[1] ?? ''}${Number(match[2])}:${Number(match[3])}`)
}

function eventOf(text: string, occurredAt: Date): RankPeriod | null {
  const date = resolveDates(text, occurredAt)
  if (!date) return null
  return { from: date.from, to: date.to, grain: date.grain === 'weekend' ? 'day' : date.grain }
}

function readTime(when: string): Date {
  const clock = /(\d+):(\d+) (am|pm) on (\d+) (\w+),? (\d{4})/i.exec(when)
  if (!clock) return new Date(when)
  const [, hour, minute, half, day, month, year] = clock
  return new Date(`${day} ${month} ${year} ${hour}:${minute} ${half} UTC`)
}

/** Builds postings and vectors of a world. */
export function indexWorld(world: World): Indexed {
  const postings = new Map<string, [number, number][]>()
  const lengths = world.memories.map((memory, doc) => {
    const { frequencies: counts, length } = analyze(memory.text)
    for (const [term, count] of counts) {
      const list = postings.get(term)
      if (list) list.push([doc, count])
      else postings.set(term, [[doc, count]])
    }
    return length
  })
  const meanLength = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length)
  const vectors = world.memories.map((memory) => embedStatic(memory.text))
  const tokenIds = world.memories.map((memory) => lateInteraction.tokenIds(memory.text))
  const notes = linkNotes(
    world.memories.map(({ session, occurredAt }, doc) => ({
      id: String(doc).padStart(9, '0'),
      document: doc,
      session_key: session === null ? null : Buffer.from(session),
      occurred_at: occurredAt,
      owner_agent: '',
      trust: 2,
    })),
  )
  return { ...world, postings, lengths, meanLength, vectors, tokenIds, notes }
}

const k1 = 0.9
const b = 0.4

/** All dialogues are older; a question for "June" then means one of five Junes. */
const now = new Date('2026-11-01T00:00:00Z')

/** Analyzes a question, selects candidates as the recall operation does, and fills their rows. */
export function prepareCase(world: Indexed, question: Question): Case {
  const terms = analyzeQuestion(question.question)
  const size = world.memories.length
  const scores = new Float64Array(size)
  const frequencies = new Map<number, number[]>()
  const queryTerms = [...terms].map(([term, { weight, word }], at) => {
    const list = world.postings.get(term) ?? []
    const rarity = inverseFrequency(size, list.length)
    for (const [doc, count] of list) {
      const length = (world.lengths[doc] ?? 0) / world.meanLength
      scores[doc] =
        (scores[doc] ?? 0) +
        (weight * rarity * count * (k1 + 1)) / (count + k1 * (1 - b + b * length))
      const row = frequencies.get(doc) ?? Array.from({ length: terms.size }, () => 0)
      row[at] = count
      frequencies.set(doc, row)
    }
    return { term, weight, word, documentFrequency: list.length }
  })
  const order = [...scores.keys()].toSorted((x, y) => (scores[y] ?? 0) - (scores[x] ?? 0) || x - y)
  const vector = embedStatic(question.question)
  const cosines = world.vectors.map((other) => (vector && other ? dot(vector, other) : null))
  const nearest = [...cosines.keys()]
    .filter((doc) => cosines[doc] !== null)
    .toSorted((x, y) => (cosines[y] ?? 0) - (cosines[x] ?? 0))
    .slice(0, candidatesMax)
  const matched = order.filter((doc) => (scores[doc] ?? 0) > 0)
  const lexical = spreadToNeighbours(new Map(matched.map((doc) => [doc, scores[doc] ?? 0])))
  const docs = selectCandidates(
    lexical.filter((doc) => doc < size),
    nearest,
  )
  const candidates = docs.flatMap((doc): RankCandidate[] => {
    const memory = world.memories[doc]
    if (!memory) return []
    return [
      {
        doc,
        rankable: true,
        frequencies: frequencies.get(doc) ?? [],
        length: world.lengths[doc] ?? 0,
        text: memory.text,
        cosine: cosines[doc] ?? null,
        tokenIds: world.tokenIds[doc] ?? new Uint32Array(),
        sessionKey: memory.session,
        previous: neighbour(world, doc, -1),
        next: neighbour(world, doc, 1),
        storedBefore: world.notes.get(doc)?.previous ?? null,
        storedAfter: world.notes.get(doc)?.next ?? null,
        speaker: memory.speaker,
        occurredAt: memory.occurredAt,
        event: memory.event,
        importance: 0.5,
      },
    ]
  })
  const request: RankRequest = {
    question: question.question,
    now,
    terms: queryTerms,
    corpusSize: size,
    meanLength: world.meanLength,
    dates: questionDates(question.question, now),
    embedderCoverage: knownShare(question.question),
  }
  return { request, candidates, question, baseline: order }
}

function neighbour(world: World, doc: number, step: number): number | null {
  const session = world.memories[doc]?.session ?? null
  const other = world.memories[doc + step]
  return session !== null && other?.session === session ? doc + step : null
}

function dot(x: Float32Array, y: Float32Array): number {
  let sum = 0
  for (let i = 0; i < x.length; i += 1) sum += (x[i] ?? 0) * (y[i] ?? 0)
  return sum
}

/** Evidence recall and friends over a list of rankings. */
export interface Figures {
  questions: number
  recall5: number
  recall10: number
  recall20: number
  hit10: number
  reciprocalRank: number
}

/** Sums up rankings of documents, best first, against their evidence. */
export function measure(
  results: readonly { ranking: readonly number[]; evidence: readonly number[] }[],
): Figures {
  const sums = { recall5: 0, recall10: 0, recall20: 0, hit10: 0, reciprocalRank: 0 }
  for (const { ranking, evidence } of results) {
    const places = evidence.map((doc) => ranking.indexOf(doc)).filter((place) => place >= 0)
    const within = (k: number): number => places.filter((place) => place < k).length
    sums.recall5 += within(5) / evidence.length
    sums.recall10 += within(10) / evidence.length
    sums.recall20 += within(20) / evidence.length
    sums.hit10 += within(10) > 0 ? 1 : 0
    sums.reciprocalRank += places.length > 0 ? 1 / (1 + Math.min(...places)) : 0
  }
  const n = Math.max(1, results.length)
  return {
    questions: results.length,
    recall5: sums.recall5 / n,
    recall10: sums.recall10 / n,
    recall20: sums.recall20 / n,
    hit10: sums.hit10 / n,
    reciprocalRank: sums.reciprocalRank / n,
  }
}
