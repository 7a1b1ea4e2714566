/** `search` and `fetch`: off unless asked for, in the shape that ChatGPT requires, and nothing but recall behind. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { dataNotice } from '../../src/memory/text.ts'
import { countTokens } from '../../src/pipeline/tokens.ts'
import { allScopes } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { connections, type Caller } from '../support/clients.ts'
import { callTool, issueKey } from '../support/keys.ts'

const tools = ['store', 'recall', 'forget', 'export']
const found = z.strictObject({ id: z.string(), title: z.string(), url: z.string().min(1) })
const searched = z.strictObject({ results: z.array(found) })
const fetched = found.extend({ text: z.string(), metadata: z.record(z.string(), z.string()) })

describe('where nobody asked for them', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await startTestApp()
  })
  afterAll(() => app.close())

  test.each(connections)('they are not there ($name)', async ({ open }) => {
    const caller = await open(app)
    expect(await caller.toolNames()).toEqual(tools)
    await expect(caller.call('search', { query: 'x' })).rejects.toMatchObject({ code: -32_602 })
    await caller.close()
  })

  test('a key that names them has them, and needs no other tool for it', async () => {
    const { key } = await issueKey(app, 'chat', {
      scopes: ['memory:read'],
      tools: ['search', 'fetch'],
    })
    const answer = await callTool(app, key, 'search', { query: 'anything' })
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('results')])
    for (const tool of ['recall', 'export', 'store']) {
      expect([tool, (await callTool(app, key, tool, {})).status]).toEqual([tool, 403])
    }
    const narrow = await issueKey(app, 'narrow', { scopes: [...allScopes], tools: ['recall'] })
    expect((await callTool(app, narrow.key, 'fetch', { id: 'x' })).status).toBe(403)
  })
})

describe.each(connections)('with the setting on, over $name', ({ open }) => {
  let app: TestApp
  let caller: Caller
  beforeAll(async () => {
    app = await startTestApp({ environment: { MINDGLUE_CONNECTOR_TOOLS: 'on' } })
    caller = await open(app)
    const memories = [
      {
        content: `The crane of the harbour is red. ${'Long. '.repeat(10_000)}`,
        speaker: 'Ada',
        occurred_at: '2026-03-01',
        source_url: 'https://example.org/crane',
      },
      ...Array.from({ length: 40 }, (_, index) => ({ content: `Harbour log ${index}: calm.` })),
    ]
    await caller.call('store', { memories })
  })
  afterAll(async () => {
    await caller.close()
    await app.close()
  })

  test('they come after the four', async () => {
    expect(await caller.toolNames()).toEqual([...tools, 'search', 'fetch'])
  })

  test('a search gives ids, titles and addresses, and one text that is the same as JSON', async () => {
    const answer = await caller.call('search', {
      query: 'What colour is the crane of the harbour?',
    })
    const { results } = searched.parse(answer.structured)
    expect(JSON.parse(answer.text)).toEqual(answer.structured)
    expect(results[0]?.title).toMatch(/^2026-03-01 · Ada · The crane of the harbour is red\./u)
    expect(results[0]?.url).toBe(`memory://default/${results[0]?.id}`)
    expect(results.length).toBe(20)
    expect(countTokens(answer.text)).toBeLessThanOrEqual(4_000)
    const { results: hits } = z.object({ results: z.array(z.object({ id: z.string() })) }).parse(
      (
        await caller.call('recall', {
          query: 'What colour is the crane of the harbour?',
          limit: 3,
        })
      ).structured,
    )
    expect(hits[0]?.id).toBe(results[0]?.id)
  })

  test('what was found is fetched as data, within the usual budget', async () => {
    const { results } = searched.parse(
      (await caller.call('search', { query: 'red crane' })).structured,
    )
    const answer = await caller.call('fetch', { id: results[0]?.id })
    const document = fetched.parse(answer.structured)
    expect(JSON.parse(answer.text)).toEqual(answer.structured)
    expect(document).toMatchObject({ id: results[0]?.id, url: results[0]?.url })
    expect(document.text.startsWith(dataNotice)).toBe(true)
    expect(document.text).toContain('The crane of the harbour is red. Long.')
    expect(document.metadata).toMatchObject({
      type: 'fact',
      source_url: 'https://example.org/crane',
      truncated: 'true',
    })
    expect(countTokens(answer.text)).toBeLessThanOrEqual(4_000)
    expect(countTokens(answer.text)).toBeGreaterThan(2_900)
  })

  test('what is not there is said, and what is no question or id is refused', async () => {
    const absent = await caller.call('fetch', { id: '01890000-0000-7000-8000-00000000dead' })
    expect([absent.isError, absent.text.split(':')[0]]).toEqual([true, 'not_found'])
    for (const [tool, input] of [
      ['fetch', { id: 'nothing' }],
      ['search', {}],
      ['search', { query: 'x', limit: 3 }],
    ] as const) {
      const refused = await caller.call(tool, input)
      expect([refused.isError, refused.text.split(':')[0]]).toEqual([true, 'invalid_input'])
    }
  })
})
