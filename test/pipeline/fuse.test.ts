// The ranking's promises, on small pools built through the real analyzer.
import { describe, expect, test } from 'vitest'
import { linkNotes } from '../../src/memory/session-links.ts'
import { questionDates, resolveDates } from '../../src/pipeline/dates.ts'
import { fuseQueries, rank } from '../../src/pipeline/fuse.ts'
import type { RankCandidate, Ranked, RankRequest } from '../../src/pipeline/fuse.ts'
import { selectCandidates, spreadToNeighbours } from '../../src/pipeline/ranking-candidates.ts'
import { embedStatic, knownShare } from '../../src/pipeline/static-embedder.ts'
import { analyze, analyzeQuestion } from '../../src/pipeline/terms.ts'

interface Line {
  readonly text: string
  readonly speaker?: string
  readonly session?: string
  readonly at?: string
  readonly importance?: number
  readonly rankable?: boolean
}

const now = new Date('2025-06-01T12:00:00Z')

/** Builds the pool as the recall operation would: every line is a candidate. */
function pool(question: string, lines: readonly Line[]): [RankRequest, RankCandidate[]] {
  const terms = [...analyzeQuestion(question)]
  const analyzed = lines.map((line) => analyze(line.text))
  const vector = embedStatic(question)
  const sessionOf = (at: number): string | null => lines[at]?.session ?? null
  const beside = (at: number, other: number): number | null =>
    sessionOf(at) !== null && sessionOf(at) === sessionOf(other) ? other + 1 : null
  const occurredAt = (line: Line): Date => new Date(line.at ?? '2025-01-01T10:00:00Z')
  const notes = linkNotes(
    lines.map((line, at) => ({
      id: String.fromCodePoint(97 + at),
      document: at + 1,
      session_key: line.session === undefined ? null : Buffer.from(line.session),
      occurred_at: occurredAt(line),
      owner_agent: 'ada',
      trust: 2,
    })),
  )
  const candidates = lines.map((line, at): RankCandidate => {
    const date = resolveDates(line.text, occurredAt(line))
    return {
      doc: at + 1,
      rankable: line.rankable ?? true,
      frequencies: terms.map(([term]) => analyzed[at]?.frequencies.get(term) ?? 0),
      length: analyzed[at]?.length ?? 0,
      text: line.text,
      cosine: cosine(vector, embedStatic(line.text)),
      sessionKey: sessionOf(at),
      previous: beside(at, at - 1),
      next: beside(at, at + 1),
      storedBefore: notes.get(at + 1)?.previous ?? null,
      storedAfter: notes.get(at + 1)?.next ?? null,
      speaker: line.speaker ?? null,
      occurredAt: occurredAt(line),
      event: date && { ...date, grain: date.grain === 'weekend' ? 'day' : date.grain },
      importance: line.importance ?? 0.5,
    }
  })
  const request: RankRequest = {
    question,
    now,
    terms: terms.map(([term, { weight, word }]) => ({
      term,
      weight,
      word,
      documentFrequency: analyzed.filter((document) => document.frequencies.has(term)).length,
    })),
    corpusSize: lines.length,
    meanLength: analyzed.reduce((sum, { length }) => sum + length, 0) / Math.max(1, lines.length),
    dates: questionDates(question, now),
    embedderCoverage: knownShare(question),
  }
  return [request, candidates]
}

function cosine(a: Float32Array | null, b: Float32Array | null): number | null {
  return a && b ? a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0) : null
}

/** The texts, best first. */
function ask(question: string, lines: readonly Line[]): string[] {
  return rank(...pool(question, lines)).map(({ doc }) => lines[doc - 1]?.text ?? '')
}

const filler: Line[] = [
  { text: 'The kitchen tap drips again.' },
  { text: 'Bought two tickets for the concert.' },
  { text: 'The train was late because of snow.' },
]

describe('plain notes', () => {
  test('the note that holds the rare words of the question comes first', () => {
    const lines = [...filler, { text: 'The boiler is serviced by Ostrander Heating.' }]
    expect(ask('Who services the boiler?', lines)[0]).toContain('Ostrander')
  })

  test('a note in other words is found by its meaning', () => {
    const lines = [...filler, { text: 'My physician advised less salt.' }]
    expect(ask('doctor recommendation', lines)[0]).toContain('physician')
  })

  test('without a usable embedder the order is that of BM25, whatever the cosine says', () => {
    const lines = [
      { text: 'Die Waschmaschine steht im Keller neben dem Regal.' },
      { text: 'Das Fahrrad steht in der Garage.' },
      { text: 'Der Schlüssel für den Keller hängt im Flur.' },
    ]
    const [request, candidates] = pool('Wo hängt der Schlüssel für den Keller?', lines)
    const misled = candidates.map((entry) => ({ ...entry, cosine: entry.doc === 2 ? 0.99 : 0.1 }))
    const docs = rank({ ...request, embedderCoverage: 0.3 }, misled).map(({ doc }) => doc)
    expect(docs).toEqual([3, 1, 2])
  })

  test('of two equal notes the more important one comes first, then the newer one', () => {
    const lines = [
      { text: 'The alarm code is changed.', at: '2025-01-01T00:00:00Z' },
      { text: 'The alarm code is changed.', at: '2025-03-01T00:00:00Z' },
      { text: 'The alarm code is changed.', at: '2025-02-01T00:00:00Z', importance: 0.9 },
    ]
    expect(rank(...pool('alarm code', lines)).map(({ doc }) => doc)).toEqual([3, 2, 1])
  })

  test('a question for the latest prefers the newer note', () => {
    const lines = [
      { text: 'The project uses framework Aspen.', at: '2025-04-01T00:00:00Z' },
      { text: 'The project uses framework Birch.', at: '2024-04-01T00:00:00Z' },
      ...filler,
    ]
    expect(ask('Which framework does the project currently use?', lines)[0]).toContain('Aspen')
    expect(ask('Which framework did the project use originally?', lines)[0]).toContain('Birch')
  })

  describe('stored in one go', () => {
    const question = 'Welche Zahnärzte haben wir in Leipzig verglichen?'
    const others: Line[] = [
      { text: 'Das Fahrrad steht in der Garage.', at: '2025-01-02T10:00:00Z' },
      { text: 'Die Katze schläft auf dem Sofa.', at: '2025-01-03T10:00:00Z' },
    ]
    const told: Line[] = [
      { text: 'Wir haben Zahnärzte in Leipzig verglichen.' },
      { text: 'Am Ende wurde es Doktor Ostrander.' },
    ]

    test.each([
      ['after', [...others, ...told]],
      ['before', [...told.toReversed(), ...others]],
    ])('an answer in other words is found %s the note that holds the words', (_, lines) => {
      expect(ask(question, lines).slice(0, 2)).toEqual(told.map(({ text }) => text))
    })

    test('a note with half of the words comes before the neighbour of one with all of them', () => {
      const half = { text: 'Die Zahnärzte in Bremen haben geschlossen.' }
      expect(ask(question, [half, ...others, ...told])[1]).toBe(half.text)
    })
  })

  test('a long word counts as one word, however many of its forms are found', () => {
    const lines = [
      { text: 'Die Krankenversicherung ist teuer.', at: '2025-01-02T10:00:00Z' },
      { text: 'Das Haus in Ulm ist von 1987.', at: '2025-01-01T10:00:00Z' },
    ]
    expect(ask('Was war 1987 in Ulm mit der Krankenversicherung?', lines)[0]).toContain('1987')
  })
})

describe('conversations', () => {
  const talk: Line[] = [
    { text: 'Good morning! Did you sleep well?', speaker: 'Ilse', session: 'a' },
    { text: 'Not really, the storm kept me up.', speaker: 'Marek', session: 'a' },
    { text: 'What do you call your new parrot?', speaker: 'Ilse', session: 'a' },
    { text: 'Admiral. He already whistles at the postman.', speaker: 'Marek', session: 'a' },
    { text: 'We repainted the garden fence in blue.', speaker: 'Marek', session: 'b' },
    { text: 'We repainted the garden bench in red.', speaker: 'Ilse', session: 'b' },
  ]

  test('an answer is found through the question before it', () => {
    const found = ask("What is the name of Marek's parrot?", talk)
    expect(found.indexOf('Admiral. He already whistles at the postman.')).toBeLessThan(2)
    const apart = talk.map(({ text }) => ({ text }))
    expect(ask("What is the name of Marek's parrot?", apart)[0]).not.toContain('Admiral')
  })

  test('the speaker named in the question comes before others who say the same', () => {
    expect(ask('What did Ilse repaint in the garden?', talk)[0]).toContain('bench')
    expect(ask('What did Marek repaint in the garden?', talk)[0]).toContain('fence')
  })

  test('a short form of the name is enough, and "I" is the user of an assistant', () => {
    const lines: Line[] = [
      { text: 'My favourite tea is mint.', speaker: 'Wilhelmina', session: 'a' },
      { text: 'My favourite tea is sencha.', speaker: 'user', session: 'b' },
    ]
    expect(ask('Which tea does Wil like?', lines)[0]).toContain('mint')
    expect(ask('Which tea do I like?', lines)[0]).toContain('sencha')
  })

  test('being addressed by name does not count as holding the name', () => {
    const lines: Line[] = [
      { text: 'Marek, Marek, Marek! Hi Marek!', speaker: 'Ilse', session: 'a' },
      { text: 'I started fencing lessons.', speaker: 'Marek', session: 'a' },
      { text: 'Nice weather.', speaker: 'Ilse', session: 'a' },
    ]
    expect(ask('What lessons does Marek take?', lines)[0]).toContain('fencing')
  })

  test('a question when something happened prefers the turn that dates it', () => {
    const lines: Line[] = [
      { text: 'The pottery class was fun, really fun!', speaker: 'Ilse', session: 'a' },
      { text: 'I joined a pottery class last Tuesday.', speaker: 'Ilse', session: 'a' },
      { text: 'How is your pottery class?', speaker: 'Marek', session: 'a' },
    ]
    expect(ask('When did Ilse join the pottery class?', lines)[0]).toContain('last Tuesday')
  })

  test('a date in the question prefers the session of that time', () => {
    const lines: Line[] = [
      { text: 'We went hiking in the hills.', session: 'a', at: '2025-02-10T09:00:00Z' },
      { text: 'We went hiking by the lake.', session: 'b', at: '2025-04-12T09:00:00Z' },
      { text: 'We went hiking in the woods.', session: 'c', at: '2025-05-20T09:00:00Z' },
    ]
    expect(ask('Where did they go hiking in April 2025?', lines)[0]).toContain('lake')
  })

  test('a neighbour that is not rankable informs the others but is not returned', () => {
    const [request, candidates] = pool(
      "What is the name of Marek's parrot?",
      talk.map((line, at) => ({ ...line, rankable: at !== 2 })),
    )
    const found = rank(request, candidates)
    expect(found.map(({ doc }) => doc)).not.toContain(3)
    expect(found[0]?.doc).toBe(4)
  })
})

describe('scores', () => {
  test('lie between 0 and 1, fall along the list and are the calibrated sum of their parts', () => {
    const found = rank(...pool('Who services the boiler?', [...filler, { text: 'The boiler.' }]))
    for (const { score } of found) expect(score > 0 && score < 1).toBe(true)
    const scores = found.map(({ score }) => score)
    expect(scores).toEqual(scores.toSorted((a, b) => b - a))
    const sums = found.map(({ parts }) => Object.values(parts).reduce((sum, part) => sum + part, 0))
    expect(sums).toEqual(sums.toSorted((a, b) => b - a))
  })

  test('a question that nothing answers scores lower than one that is answered', () => {
    const lines = [...filler, { text: 'The boiler is serviced by Ostrander Heating.' }]
    const answered = rank(...pool('Who services the boiler?', lines))[0]?.score ?? 0
    const open = rank(...pool('What is the capital of Mongolia?', lines))[0]?.score ?? 1
    expect(open).toBeLessThan(answered / 2)
  })

  test.each([
    ['no candidates', 'boiler', []],
    ['one memory', 'boiler', [{ text: 'boiler' }]],
    ['an empty memory', 'boiler', [{ text: '' }, { text: '?' }]],
    ['an empty question', '', filler],
    ['a question of stop words', 'to be or not to be', filler],
    ['a question of signs', '?!…', filler],
    ['only a name', 'Marek', [{ text: 'Hello.', speaker: 'Marek', session: 'a' }]],
    ['a script without spaces', '锅炉在哪里?', [{ text: '锅炉在地下室。' }, { text: '你好' }]],
  ])('are finite for %s', (_, question, lines: Line[]) => {
    const found = rank(...pool(question, lines))
    expect(found).toHaveLength(lines.length)
    for (const { score } of found) expect(score >= 0 && score <= 1).toBe(true)
  })
})

describe('several questions', () => {
  const entry = (doc: number, score: number): Ranked => ({ doc, score, parts: {} })

  test('a memory keeps its best score and gains when another question finds it too', () => {
    const fused = fuseQueries([
      [entry(1, 0.6), entry(2, 0.6), entry(3, 0.1)],
      [entry(4, 0.55), entry(2, 0.4), entry(3, 0.1)],
    ])
    expect(fused.map(({ doc }) => doc)).toEqual([2, 1, 4, 3])
    expect(fused[1]?.score).toBeCloseTo(0.6)
    for (const { score } of fused) expect(score).toBeLessThan(1)
  })

  test('one question is passed through, none gives nothing', () => {
    const only = [entry(1, 0.6), entry(2, 0.2)]
    expect(fuseQueries([only])).toEqual(only)
    expect(fuseQueries([])).toEqual([])
  })
})

describe('candidates', () => {
  test('the documents around a match are read with it', () => {
    const lexical = spreadToNeighbours(new Map([[10, 5]]))
    expect(lexical).toEqual([10, 11, 9, 12])
  })

  test('vectors fill what words leave, and never more than the limit is read', () => {
    const words = Array.from({ length: 500 }, (_, at) => at)
    const vectors = Array.from({ length: 500 }, (_, at) => 1000 + at)
    const both = selectCandidates(words, vectors, 300)
    expect(both).toHaveLength(300)
    expect(both.filter((doc) => doc >= 1000)).toHaveLength(100)
    expect(selectCandidates([1, 2], vectors, 300)).toHaveLength(300)
    expect(selectCandidates(words, [], 300)).toHaveLength(300)
    expect(selectCandidates([], [])).toEqual([])
  })
})
