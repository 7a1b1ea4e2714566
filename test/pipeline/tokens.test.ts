/** The token counter: what it says of kinds of text, and that parts never count less than their whole. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { countTokens, firstTokens } from '../../src/pipeline/tokens.ts'

test.each([
  ['', 0],
  ['tea', 1],
  ['Where is the blue boat?', 6],
  ['internationalization', 4],
  ['2026-03-01 09:30', 9],
  ['camelCaseName', 3],
  ['a\nb\n\n\nc', 5],
  ['我喜欢爬山', 5],
  ['🧠🧠', 6],
])('%j counts %i', (text, tokens) => {
  expect(countTokens(text)).toBe(tokens)
})

const loneSurrogate = /\p{Surrogate}/u
const anything = fc.string({ unit: 'binary', maxLength: 40 })

test('two texts joined by a line break or a comma count at most what they count apart', () => {
  fc.assert(
    fc.property(anything, anything, fc.constantFrom('\n', ',', '},{'), (one, other, glue) => {
      const apart = countTokens(one) + countTokens(glue) + countTokens(other)
      return countTokens(one + glue + other) <= apart
    }),
    { numRuns: 2_000 },
  )
})

test('the beginning of a text keeps within its tokens, splits no character and is the longest such', () => {
  fc.assert(
    fc.property(anything, fc.nat(30), (text, tokens) => {
      const first = firstTokens(text, tokens)
      expect(text.startsWith(first)).toBe(true)
      expect(countTokens(first)).toBeLessThanOrEqual(tokens)
      if (!loneSurrogate.test(text)) expect(first).not.toMatch(loneSurrogate)
      const next = /^./su.exec(text.slice(first.length))?.[0]
      if (next !== undefined) expect(countTokens(first + next)).toBeGreaterThan(tokens)
    }),
    { numRuns: 500 },
  )
})
