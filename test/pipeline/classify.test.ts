/** The type of a memory whose caller named none. */
import { expect, test } from 'vitest'
import { classify } from '../../src/pipeline/classify.ts'

test.each([
  ['We decided to use Postgres for storage', 'decision'],
  ['Decision: drop support for Node 18', 'decision'],
  ['TODO: renew the certificate', 'task'],
  ['Remind me to call Anna tomorrow', 'task'],
  ['I need to send the invoice by Friday', 'task'],
  ['I prefer dark mode', 'preference'],
  ["Anna's favourite colour is green", 'preference'],
  ['Always use tabs in this repository', 'preference'],
  ['To deploy, run `npm run build` and then push', 'procedure'],
  ['1. Stop the server\n2. Copy the files', 'procedure'],
  ['See the docs: https://example.com/docs', 'reference'],
  ['Melanie ran a charity race last Saturday', 'event'],
  ['The API rate limit is 100 requests per minute', 'fact'],
  ['My sister lives in Oslo and her name is Ida', 'fact'],
  ['How do I reset my password?', 'note'],
  ['hello there', 'note'],
  ['', 'note'],
])('%s → %s', (text, type) => {
  expect(classify(text)).toBe(type)
})

test('a huge or hostile text stays fast', () => {
  for (const text of [
    'we decided '.repeat(6000),
    'the '.repeat(16_000),
    'a'.repeat(65_536),
    '1.\n'.repeat(20_000),
  ]) {
    const start = performance.now()
    classify(text)
    expect(performance.now() - start).toBeLessThan(300)
  }
})
