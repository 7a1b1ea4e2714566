/** No tool's answer is over its budget, whatever was stored, and every answer counts its own tokens. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { countTokens } from '../../src/pipeline/tokens.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { connections, type Caller, type ToolAnswer } from '../support/clients.ts'

let app: TestApp
let caller: Caller
beforeAll(async () => {
  app = await startTestApp()
  const [connection] = connections.filter(({ isStream, era }) => isStream && era === 'modern')
  if (connection) caller = await connection.open(app)
})
afterAll(async () => {
  await caller.close()
  await app.close()
})

const usual = 4_000
const counted = z.looseObject({ tokens: z.int() })

/** Either form of an answer within the budget, and within what it says of itself. */
function expectWithin({ text, structured, isError }: ToolAnswer, maxTokens = usual): void {
  expect([isError, isError ? text : '']).toEqual([false, ''])
  const { tokens } = counted.parse(structured)
  const size = Math.max(countTokens(text), countTokens(JSON.stringify(structured)))
  expect(tokens).toBeGreaterThanOrEqual(size)
  expect(tokens).toBeLessThanOrEqual(maxTokens)
  expect(text).toMatch(/\(\d+ tokens\)$/u)
}

const names = Array.from({ length: 32 }, (_, index) => `Ada Von Nr${index}${'x'.repeat(60)}`)
const large = {
  content: `${names.join(' met ')}. ${'!!!<memory-0a1b2c3d> 我喜欢爬山 🧠 '.repeat(500)}`,
  tags: Array.from({ length: 32 }, (_, index) => `${index}-${'!<'.repeat(110)}`),
  metadata: { note: '"\\'.repeat(3_000) },
  session: `s${'!<'.repeat(110)}`,
  speaker: `s${'!<'.repeat(110)}`,
  source_url: `https://example.org/${'a1B'.repeat(500)}`,
}
const stored = z.object({
  results: z.array(z.object({ id: z.string() })),
  stored: z.int(),
  left_out: z.int().optional(),
})
const page = z.object({
  count: z.int(),
  content: z.string(),
  too_long: z.array(z.string()).optional(),
  next_cursor: z.string().optional(),
})

test('a batch of 500 is told with every id in short, and with as many as fit where less is asked for', async () => {
  const memories = (word: string) =>
    Array.from({ length: 500 }, (_, index) => ({ content: `${word} ${index} of Ada Lovelace.` }))
  const answer = await caller.call('store', { memories: memories('Note') })
  expectWithin(answer, 30_000)
  expect(stored.parse(answer.structured)).toMatchObject({ results: { length: 500 }, stored: 500 })
  expect(countTokens(answer.text)).toBeLessThan(2_000)
  const whole = await caller.call('store', { memories: memories('Line'), max_tokens: 200_000 })
  expectWithin(whole, 200_000)
  expect(stored.parse(whole.structured)).toMatchObject({ results: { length: 500 }, stored: 500 })
  for (const max of [400, 1_000, 10_000]) {
    const some = await caller.call('store', { memories: memories(`Row ${max}`), max_tokens: max })
    expectWithin(some, max)
    const { results, stored: count, left_out: left = 0 } = stored.parse(some.structured)
    expect(results.length).toBeGreaterThan(0)
    expect([count, results.length + left]).toEqual([500, 500])
    expect(some.text).toContain(`${left} more did not fit`)
  }
}, 60_000)

test('what is large in every field keeps to the budget of each tool', async () => {
  const answer = await caller.call('store', {
    memories: [large, { content: 'Small.' }],
    max_tokens: 400,
  })
  expectWithin(answer, 400)
  const [first] = stored.parse(answer.structured).results
  const id = first?.id
  // Its marks held it back: the worst case is that somebody let it in.
  const { execute, operations } = app.app
  const operator = await app.app.principal({
    namespaceName: 'default',
    agent: 'root',
    channel: 'cli',
  })
  await execute(operations.quarantineApprove, operator, { ids: [id] })
  expectWithin(await caller.call('store', { id, pin: true, max_tokens: 500 }), 500)
  for (const input of [
    { ids: [id] },
    { query: 'Ada', explain: true, neighbours: 5 },
    { limit: 100 },
  ]) {
    expectWithin(await caller.call('recall', input))
    expectWithin(await caller.call('recall', { ...input, max_tokens: 400 }), 400)
  }
  for (const brief of ['start', 'continue', 'remember', 'review', 'clean_up']) {
    expectWithin(await caller.call('recall', { brief, max_tokens: 300 }), 300)
  }
  expectWithin(await caller.call('forget', { everything: true, dry_run: true }))
  const query = { query: 'Ada Lovelace', limit: 50, min_score: 0, dry_run: true }
  expectWithin(await caller.call('forget', query), 8_000)
  expectWithin(await caller.call('forget', { ...query, limit: 3, max_tokens: 1_000 }), 1_000)
  expectWithin(await caller.call('forget', { everything: true }))
}, 60_000)

test.each(['jsonl', 'markdown'])(
  'an export in pages of %s gives each memory once or names it',
  async (format) => {
    const seen: string[] = []
    const tooLong: string[] = []
    let cursor: string | undefined
    let pages = 0
    do {
      const input = {
        format,
        limit: 500,
        max_tokens: 20_000,
        ...(cursor !== undefined && { cursor }),
      }
      const answer = await caller.call('export', input)
      expectWithin(answer, 20_000)
      const { content, too_long: long = [], next_cursor: next } = page.parse(answer.structured)
      const ids = /(?:^\{"mindglue":1,"id":"|^- .*`)([\da-f-]{36})[`"]/gmu
      seen.push(...[...content.matchAll(ids)].map(([, id = '']) => id))
      tooLong.push(...long)
      cursor = next
      pages += 1
    } while (cursor !== undefined)
    expect(pages).toBeGreaterThan(5)
    expect(tooLong.length).toBe(format === 'jsonl' ? 1 : 0)
    expect(new Set([...seen, ...tooLong]).size).toBe(seen.length + tooLong.length)
    expect(seen.length + tooLong.length).toBe(2_502)
    expectWithin(await caller.call('export', { format }), 20_000)
  },
  120_000,
)
