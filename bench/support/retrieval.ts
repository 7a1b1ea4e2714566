/** Retrieval figures and the plain BM25 that every table shows beside ours. */
import { stemmer } from 'stemmer'
import { englishStopWords } from '../../src/pipeline/stop-words.ts'

export interface Judged {
  /** Ids in ranked order. */
  readonly ranked: readonly string[]
  readonly evidence: readonly string[]
  readonly group: string
}

export interface Figures {
  readonly questions: number
  readonly recall5: number
  readonly recall10: number
  readonly recall20: number
  readonly hit10: number
  readonly reciprocalRank: number
}

/** Means over questions: recall@k is the share of evidence among the first k. */
export function figures(judged: readonly Judged[]): Figures {
  const mean = (value: (entry: Judged) => number) =>
    judged.reduce((sum, entry) => sum + value(entry), 0) / Math.max(1, judged.length)
  const recall = (k: number) => (entry: Judged) => {
    const first = new Set(entry.ranked.slice(0, k))
    return entry.evidence.filter((id) => first.has(id)).length / entry.evidence.length
  }
  return {
    questions: judged.length,
    recall5: mean(recall(5)),
    recall10: mean(recall(10)),
    recall20: mean(recall(20)),
    hit10: mean((entry) => (recall(10)(entry) > 0 ? 1 : 0)),
    reciprocalRank: mean((entry) => {
      const rank = entry.ranked.findIndex((id) => entry.evidence.includes(id))
      return rank === -1 ? 0 : 1 / (rank + 1)
    }),
  }
}

const k1 = 0.9
const b = 0.4

/** Textbook BM25 (k1 0.9, b 0.4) over words given by `split`; returns ids, best first. */
export function plainBm25(
  documents: readonly { readonly id: string; readonly text: string }[],
  split: (text: string) => readonly string[],
): (question: string) => string[] {
  const postings = new Map<string, Map<number, number>>()
  const lengths = documents.map(({ text }, index) => {
    const words = split(text)
    for (const word of words) {
      const list = postings.get(word) ?? new Map<number, number>()
      postings.set(word, list.set(index, (list.get(index) ?? 0) + 1))
    }
    return words.length
  })
  const mean = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length)
  return (question) => {
    const scores = new Map<number, number>()
    for (const word of new Set(split(question))) {
      const list = postings.get(word)
      if (!list) continue
      const idf = Math.log(1 + (documents.length - list.size + 0.5) / (list.size + 0.5))
      for (const [index, frequency] of list) {
        const norm = 1 - b + (b * (lengths[index] ?? 0)) / mean
        const part = (idf * frequency * (k1 + 1)) / (frequency + k1 * norm)
        scores.set(index, (scores.get(index) ?? 0) + part)
      }
    }
    return [...scores].toSorted((x, y) => y[1] - x[1]).map(([index]) => documents[index]?.id ?? '')
  }
}

/** English words as an English search engine takes them: no stop words, Porter stems. */
export function englishWords(text: string): string[] {
  const words = text.toLowerCase().match(/[a-z0-9]+/gu) ?? []
  return words.filter((word) => !englishStopWords.has(word)).map((word) => stemmer(word))
}

/** One row a group, the last one over all. */
export function printTable(
  title: string,
  systems: Readonly<Record<string, readonly Judged[]>>,
): void {
  const head = ['system', 'group', 'questions', 'r@5', 'r@10', 'r@20', 'hit@10', 'MRR']
  const rows = Object.entries(systems).flatMap(([system, judged]) => {
    const groups = [...new Set(judged.map((entry) => entry.group))].toSorted()
    return [...groups, 'all'].map((group) => {
      const f = figures(group === 'all' ? judged : judged.filter((e) => e.group === group))
      const share = [f.recall5, f.recall10, f.recall20, f.hit10, f.reciprocalRank]
      return [system, group, `${f.questions}`, ...share.map((value) => value.toFixed(3))]
    })
  })
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  process.stdout.write(`\n${title}\n${line(head)}${line(head.map(() => '---'))}`)
  for (const row of rows) process.stdout.write(line(row))
}
