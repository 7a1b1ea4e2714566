/** What a model reads of a call that failed. */
import { expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { errorMetaKey, toolError } from '../../src/mcp/tool-error.ts'
import { countTokens } from '../../src/pipeline/tokens.ts'

const textOf = (error: AppError) => {
  const [block] = toolError(error, 'r').content
  return block?.type === 'text' ? block.text : ''
}

test('a failure that passes says when to try again', () => {
  expect(textOf(new AppError('unavailable', 'Busy.', { retryAfterSeconds: 1.2 }))).toBe(
    'unavailable: Busy.\nThe same call may succeed in 2 s.\nrequest r',
  )
})

test('one that may have been done says to look first, not to try again', () => {
  const error = new AppError('unavailable', 'Look before you repeat it.', {
    details: { outcome: 'unknown' },
    retryAfterSeconds: 1,
  })
  expect(textOf(error)).toBe('unavailable: Look before you repeat it.\nrequest r')
  expect(toolError(error, 'r')._meta?.[errorMetaKey]).toMatchObject({ outcome: 'unknown' })
})

test('one that repeats what came with the call is bounded, whatever came', () => {
  const long = 'unheard of '.repeat(50_000)
  const issues = Array.from({ length: 500 }, () => ({ path: ['memories', 0, long], message: long }))
  const error = new AppError('invalid_input', `There is no plan ${long}.`, { details: { issues } })
  expect(countTokens(textOf(error))).toBeLessThan(2_000)
  expect(textOf(error)).toContain('There is no plan unheard of')
  expect(countTokens(JSON.stringify(toolError(error, 'r')))).toBeLessThan(5_000)
})
