/** The candidates of a recall: which of them are worth opening, and their order. Pure. */
import type { ReadContext } from '../operation.ts'
import {
  fuseQueries,
  rank,
  type RankCandidate,
  type Ranked,
  type RankPeriod,
} from '../pipeline/fuse.ts'
import type { CandidateRow } from './candidates.sql.ts'
import type { TermPostings } from './postings.sql.ts'
import type { PreparedQuestion } from './search.ts'
import { linkNotes, linkSessions, type Links } from './session-links.ts'

/** What the database knows about the questions and the namespace. */
export interface Found {
  readonly corpus: { readonly size: number; readonly meanLength: number }
  readonly byTerm: ReadonlyMap<bigint, TermPostings>
  /** Cosine by document, one map a question. */
  readonly cosines: readonly ReadonlyMap<number, number>[]
}

export interface Hit {
  readonly document: number
  readonly score: number
  readonly parts: Ranked['parts']
}

/** Least memories that are opened for each of several questions. */
const openedPerQuestionMin = 20

interface PoolOptions {
  readonly found: Found
  readonly speakers: ReadonlyMap<number, string>
  readonly isEachApart?: true | undefined
}

export class CandidatePool {
  readonly #context: ReadContext
  readonly #questions: readonly PreparedQuestion[]
  readonly #rows: ReadonlyMap<number, CandidateRow>
  readonly #found: Found
  /** Name of who speaks, by document; absent where nobody does. */
  readonly #speakers: ReadonlyMap<number, string>
  readonly #links: ReadonlyMap<number, Links>
  readonly #notes: ReadonlyMap<number, Links>
  /** Term frequencies by document, in the order of each question's terms. */
  readonly #frequencies: readonly ReadonlyMap<number, Uint16Array>[]

  constructor(
    context: ReadContext,
    questions: readonly PreparedQuestion[],
    rows: readonly CandidateRow[],
    { found, speakers, isEachApart }: PoolOptions,
  ) {
    this.#context = context
    this.#questions = questions
    this.#rows = new Map(rows.map((row) => [row.document, row]))
    this.#found = found
    this.#speakers = speakers
    this.#links = linkSessions(rows)
    this.#notes = isEachApart ? new Map() : linkNotes(rows)
    this.#frequencies = questions.map((question) => this.#frequenciesOf(question))
  }

  /**
   * Some `count` candidates, the best by everything but their text, and what was said before each. Of the
   * project's dialogues 40 of 300 find all that opening every one does (docs/decisions/0004-ranking.md),
   * and in an encrypted namespace opening one costs more than ranking it.
   */
  promising(count: number): CandidateRow[] {
    const each = Math.max(openedPerQuestionMin, Math.ceil(count / this.#questions.length))
    const chosen = new Set<CandidateRow>()
    for (const ranking of this.#rankings()) {
      for (const { doc } of ranking.slice(0, each)) {
        for (const document of [doc, this.#links.get(doc)?.previous]) {
          const row =
            document === undefined || document === null ? undefined : this.#rows.get(document)
          if (row) chosen.add(row)
        }
      }
    }
    return [...chosen]
  }

  /** The candidates with a text, best first; the others tell only what is around them. */
  rank(texts: ReadonlyMap<number, string>): Hit[] {
    const ranked = fuseQueries(this.#rankings(texts))
    return ranked.map(({ doc, score, parts }) => ({ document: doc, score, parts }))
  }

  /** Without texts: every candidate as if it were empty. */
  #rankings(texts?: ReadonlyMap<number, string>): Ranked[][] {
    const { corpus, byTerm, cosines } = this.#found
    return this.#questions.map((question, index) =>
      rank(
        {
          question: question.text,
          now: this.#context.now,
          terms: question.terms.map(({ term, hash, weight, word }) => ({
            term,
            weight,
            word,
            documentFrequency: byTerm.get(hash)?.documents.length ?? 0,
          })),
          corpusSize: corpus.size,
          meanLength: corpus.meanLength,
          dates: question.dates,
          embedderCoverage: question.embedderCoverage,
        },
        [...this.#rows.values()].map((row): RankCandidate => {
          const { document } = row
          const text = texts?.get(document)
          return {
            doc: document,
            rankable: row.rankable && (texts === undefined || text !== undefined),
            frequencies: this.#frequencies[index]?.get(document) ?? [],
            length: row.length,
            text: text ?? '',
            cosine: cosines[index]?.get(document) ?? null,
            sessionKey: row.session_key?.toString('hex') ?? null,
            previous: this.#links.get(document)?.previous ?? null,
            next: this.#links.get(document)?.next ?? null,
            storedBefore: this.#notes.get(document)?.previous ?? null,
            storedAfter: this.#notes.get(document)?.next ?? null,
            speaker: this.#speakers.get(document) ?? null,
            occurredAt: row.occurred_at,
            event: eventOf(row),
            importance: row.importance,
            feedback: row.feedback,
          }
        }),
      ),
    )
  }

  #frequenciesOf(question: PreparedQuestion): ReadonlyMap<number, Uint16Array> {
    const frequencies = new Map<number, Uint16Array>()
    for (const document of this.#rows.keys()) {
      frequencies.set(document, new Uint16Array(question.terms.length))
    }
    for (const [index, { hash }] of question.terms.entries()) {
      const postings = this.#found.byTerm.get(hash)
      if (!postings) continue
      for (const [at, document] of postings.documents.entries()) {
        const row = frequencies.get(document)
        if (row) row[index] = postings.frequencies[at] ?? 0
      }
    }
    return frequencies
  }
}

function eventOf(row: CandidateRow): RankPeriod | null {
  if (!row.event_from || !row.event_to || row.event_grain === null) return null
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by dates.ts alone, so the grain is one of its own
  const grain = (row.event_grain === 'weekend' ? 'day' : row.event_grain) as RankPeriod['grain']
  return { from: row.event_from, to: row.event_to, grain }
}
