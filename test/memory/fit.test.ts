/** A page that ends early says where it goes on, and that is of its tokens too. */
import { v7 as uuidv7 } from 'uuid'
import { expect, test } from 'vitest'
import { fitWhole, type BudgetHit } from '../../src/memory/budget.ts'

test('a cursor that counts for more than that of the last memory takes its room from the memories', () => {
  const at = '2026-03-01T00:00:00.000Z'
  const hits = Array.from({ length: 12 }, (_, index) => ({
    id: uuidv7(),
    version: 1,
    content: `Harbour note ${index}: the crane was oiled and the quay swept before noon.`,
    type: 'fact' as const,
    occurred_at: at,
    recorded_at: at,
  }))
  const last = hits.at(-1)
  const long = 'aB'.repeat(150)
  const cursorAfter = ({ id }: BudgetHit) => (id === last?.id ? 'short' : long)
  const maxTokens = 700
  const { hits: shown, frame } = fitWhole(hits, {}, { maxTokens, cursorAfter })
  expect(shown.length).toBeGreaterThan(1)
  expect(frame).toMatchObject({ next_cursor: long })
  expect(frame.tokens).toBeLessThanOrEqual(maxTokens)
})
