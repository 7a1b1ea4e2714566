/** What a search may cost, whatever is asked of however much. */
import { expect, test } from 'vitest'
import { lexicalScores } from '../../src/memory/bm25.ts'
import type { TermPostings } from '../../src/memory/postings.sql.ts'
import { mostPerTerm } from '../../src/memory/search.ts'
import { analyzeQuestion } from '../../src/pipeline/terms.ts'

test('a search reads a bounded number of postings in all, and a usual question as many as ever', () => {
  const longest = Array.from({ length: 400 }, (_, index) => `word${index}`).join(' ')
  const terms = 5 * analyzeQuestion(longest).size
  expect(terms * mostPerTerm(terms)).toBeLessThanOrEqual(1_500_000)
  const usual = [
    'When did Caroline go to the LGBTQ support group?',
    'What fields would Caroline be likely to pursue in her educaton?',
    'How long ago was the 18th birthday of the friend whom Melanie met at the pottery workshop?',
  ]
  for (const question of usual) expect(mostPerTerm(analyzeQuestion(question).size)).toBe(50_000)
})

test('scoring many postings lets other requests in', async () => {
  const count = 60_000
  const postings: TermPostings = {
    term: 1n,
    documents: Int32Array.from({ length: count }, (_, index) => index),
    frequencies: new Uint16Array(count).fill(1),
    lengths: new Uint16Array(count).fill(10),
  }
  let turns = 0
  let isDone = false
  const turn = (): void => {
    turns += 1
    if (!isDone) setImmediate(turn)
  }
  setImmediate(turn)
  const terms = Array.from({ length: 10 }, () => ({ postings, weight: 1 }))
  const scores = await lexicalScores(terms, { size: count, meanLength: 10 })
  isDone = true
  expect(scores.size).toBe(count)
  expect(turns).toBeGreaterThanOrEqual(4)
})
