/** Late interaction: words close in meaning count, rare words count more. */
import { expect, test } from 'vitest'
import { lateInteraction } from '../../src/pipeline/late-interaction.ts'

function score(question: string, memory: string): number {
  const prepared = lateInteraction.prepare(question)
  return prepared ? lateInteraction.score(prepared, memory) : Number.NaN
}

test('a memory with another word of like meaning beats one without', () => {
  expect(score('Which pets does she own?', 'Her cat and dog sleep all day')).toBeGreaterThan(
    score('Which pets does she own?', 'The meeting was moved to Tuesday') + 0.1,
  )
})

test('the same stem counts as the same word', () => {
  expect(score('painting', 'painted')).toBeCloseTo(score('painting', 'painting'), 5)
})

test('names and words of other languages match only themselves', () => {
  expect(score('Zorbulix', 'Zorbulix arrived')).toBeGreaterThan(0.5)
  expect(score('Zorbulix', 'Quantrix arrived')).toBe(0)
  expect(score('велосипед', 'новый велосипед')).toBeGreaterThan(0.5)
})

test('a rare word matters more than a common one', () => {
  expect(score('new violin', 'a violin')).toBeGreaterThan(score('new violin', 'a new plan'))
})

test('ids made once score as the text does', () => {
  const question = lateInteraction.prepare('Where did they hike?')
  const memory = 'We walked through the mountains near Oslo'
  if (!question) throw new Error('the question has content words')
  expect(lateInteraction.score(question, lateInteraction.tokenIds(memory))).toBe(
    lateInteraction.score(question, memory),
  )
})

test('no content word, no score; an empty memory scores nothing', () => {
  expect(lateInteraction.prepare('who is it?')).toBeNull()
  expect(score('violin', '')).toBe(0)
})

test('words to ignore, such as the speaker, do not count', () => {
  const question = lateInteraction.prepare('What did Anna cook?', new Set(['anna']))
  if (!question) throw new Error('the question has content words')
  expect(lateInteraction.score(question, 'Anna slept')).toBeLessThan(0.2)
})

test('a huge memory is cut to 256 ids', () => {
  const words = Array.from({ length: 30_000 }, (_, index) => `w${index.toString(36)}`).join(' ')
  expect(lateInteraction.tokenIds(words)).toHaveLength(256)
})
