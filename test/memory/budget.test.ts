/** What `max_tokens` and `detail` promise: no answer is over, whatever was stored, and nothing is left out unsaid. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { recallNotes } from '../../src/memory/budget.ts'
import { renderRecall } from '../../src/mcp/render.ts'
import { countTokens } from '../../src/pipeline/tokens.ts'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { seededRandom, seedOf } from '../support/random.ts'

const rounds = process.env['FULL'] === '1' ? 10_000 : 150
const seed = seedOf(process.env)
const random = seededRandom(seed)

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const store = (who: Principal, input: unknown) =>
  memory.execute(memory.operations.store, who, input)
const recall = (who: Principal, input: unknown) =>
  memory.execute(memory.operations.recall, who, input)

type Output = Awaited<ReturnType<typeof recall>>

/** Both forms of the answer, and what it says of itself, against its budget. */
function expectWithin(output: Output, maxTokens: number): void {
  const counts = [countTokens(JSON.stringify(output)), countTokens(renderRecall(output))]
  expect(Math.max(...counts), JSON.stringify(output).slice(0, 300)).toBeLessThanOrEqual(maxTokens)
  expect(output.tokens).toBeGreaterThanOrEqual(Math.max(...counts))
  expect(output.tokens).toBeLessThanOrEqual(maxTokens)
}

const pieces = [
  'the boat ',
  'Ünïcödé ',
  '我喜欢爬山',
  '🧠👩‍👩‍👧',
  'eyJhbGciOiJIUzI1NiJ9.',
  '\n\n\n',
  '"quoted" \\ {"a":[1]} ',
  '</memory-0a1b2c3d>',
  '\u0085\u202e',
  '0123456789',
  '!!!???;;;',
  'ราคา ',
]
const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1))
const oneOf = <T>(list: readonly [T, ...T[]]): T => list[between(0, list.length - 1)] ?? list[0]
function words(bytesMax: number): string {
  const aim = Math.floor(bytesMax ** random())
  let text = `boat ${between(1, 1e9)} `
  while (Buffer.byteLength(text) < aim) text += pieces[between(0, pieces.length - 1)] ?? ''
  return text
}
const label = () => (/^.{1,60}/su.exec(`l${words(180)}`)?.[0] ?? '').trim()

function randomMemory(): Record<string, unknown> {
  const long = random() < 0.1
  return {
    content: words(long ? 30_000 : 600),
    ...(random() < 0.2 && { raw_content: words(20_000) }),
    ...(random() < 0.3 && { tags: Array.from({ length: between(1, 32) }, label) }),
    ...(random() < 0.2 && { metadata: { note: words(8_000) } }),
    ...(random() < 0.5 && { session: oneOf(['a', 'b', label()]) }),
    ...(random() < 0.5 && { speaker: label() }),
    ...(random() < 0.1 && { source_url: `https://example.org/${'a1B'.repeat(between(1, 500))}` }),
  }
}

test(`no answer is over its budget, as text or JSON (seed ${seed})`, async () => {
  const who = await memory.principal({ namespaceName: 'random', profile: 'off' })
  const absent = '01890000-0000-7000-8000-000000000000'
  const ids: string[] = []
  for (let round = 0; round < rounds; round += 1) {
    if (round % 3 === 0) {
      const { results } = await store(who, { memories: Array.from({ length: 3 }, randomMemory) })
      ids.push(...results.map(({ id }) => id))
    }
    const maxTokens = oneOf([400, 500, 700, 1_000, 2_000, 4_000, between(400, 20_000)])
    const way = oneOf<object>([
      { query: 'Where is the boat?', neighbours: between(0, 3), explain: random() < 0.3 },
      { query: 'boat', limit: 100 },
      { limit: between(1, 100) },
      { session: 'a' },
      { ids: [absent, ...ids.slice(-between(1, 99))] },
      {
        ids: Array.from({ length: 100 }, (_, index) => absent.replace(/0{4}$/u, `${1000 + index}`)),
      },
    ])
    const detail = oneOf(['ids', 'brief', 'full'] as const)
    expectWithin(await recall(who, { ...way, max_tokens: maxTokens, detail }), maxTokens)
  }
}, 3_600_000)

describe('what an answer leaves out', () => {
  let ada: Principal
  const long = 'The harbour log of the year. '.repeat(400)
  beforeAll(async () => {
    ada = await memory.principal({ namespaceName: 'left-out' })
    const memories = Array.from({ length: 30 }, (_, index) => ({
      content: `Harbour note ${index}: the crane was oiled and the quay swept before noon.`,
      occurred_at: '2026-03-01',
    }))
    await store(ada, { memories })
    await store(ada, { content: `Harbour crane. ${long}`, occurred_at: '2026-03-01' })
  })

  test('is told with the best ids, which read', async () => {
    const asked = { query: 'harbour crane', limit: 20 }
    const all = await recall(ada, asked)
    expect(all).toMatchObject({ results: { length: 20 } })
    expect(all).not.toHaveProperty('left_out')
    const some = await recall(ada, { ...asked, max_tokens: 1_000 })
    expectWithin(some, 1_000)
    expect(some.results.length + (some.left_out ?? 0)).toBe(20)
    const best = all.results.map(({ id }) => id)
    const left = best.filter((id) => !some.results.some((result) => result.id === id))
    const { left_out_ids: named = [] } = some
    expect(named.length).toBeGreaterThan(0)
    expect(named).toEqual(left.slice(0, named.length))
    const read = await recall(ada, { ids: some.left_out_ids })
    expect(read.results.map(({ id }) => id)).toEqual(some.left_out_ids)
    expect(recallNotes(some).join('\n')).toContain(`${some.left_out} more did not fit`)
  })

  test('never is the best hit: it is cut, and says so', async () => {
    const [entry] = (await recall(ada, { query: `Harbour crane. ${long.slice(0, 600)}` })).results
    const cut = await recall(ada, { ids: [entry?.id], max_tokens: 500 })
    expectWithin(cut, 500)
    expect(cut.results[0]).toMatchObject({ id: entry?.id, truncated: true })
    expect(entry?.content.startsWith(cut.results[0]?.content ?? '-')).toBe(true)
    expect(cut.results[0]?.content.length).toBeGreaterThan(200)
  })

  test('of a listing comes with the next page: each memory once, none missing', async () => {
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await recall(ada, {
        limit: 25,
        max_tokens: 900,
        ...(cursor !== undefined && { cursor }),
      })
      expectWithin(page, 900)
      seen.push(...page.results.map(({ id }) => id), ...(page.left_out_ids ?? []))
      cursor = page.next_cursor
    } while (cursor !== undefined)
    expect(seen).toHaveLength(31)
    expect(new Set(seen).size).toBe(31)
  })

  test('is less with less detail', async () => {
    const counts: number[] = []
    for (const detail of ['ids', 'brief', 'full']) {
      const answer = await recall(ada, { query: 'harbour', limit: 20, max_tokens: 2_000, detail })
      counts.push((answer.hits ?? answer.results).length)
      const hits = z.array(z.object({ id: z.string(), version: z.int() }).loose())
      expect(hits.parse(answer.hits ?? answer.results)[0]).toHaveProperty('score')
    }
    expect(counts).toEqual(counts.toSorted((a, b) => b - a))
    expect(counts[0]).toBe(20)
    const [brief] = (await recall(ada, { query: 'oiled', detail: 'brief', limit: 1 })).hits ?? []
    expect(brief).toMatchObject({ occurred_at: '2026-03-01T00:00:00.000Z', source: { trust: 2 } })
    expect(brief).not.toHaveProperty('importance')
  })
})
