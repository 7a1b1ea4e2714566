/** Changing a memory through the one tool `store`, with both official clients over both transports. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { errorMetaKey } from '../../src/mcp/tool-error.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { connections, type Caller } from '../support/clients.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

const stored = z.object({ results: z.array(z.object({ id: z.string(), version: z.int() })) })
const read = z.object({
  results: z.array(z.object({ content: z.string(), version: z.int(), recorded_at: z.string() })),
})

describe.each(connections)('$name', ({ open }) => {
  let caller: Caller
  beforeAll(async () => {
    caller = await open(app)
  })
  afterAll(() => caller.close())

  /** Calls `store`; the tool's answer fits its schema, or the client would refuse it. */
  async function store(input: object) {
    const answer = await caller.call('store', input)
    expect(answer.isError, answer.text).toBe(false)
    return { text: answer.text, ...stored.parse(answer.structured).results[0] }
  }
  const versions = async (input: object) =>
    read
      .parse((await caller.call('recall', input)).structured)
      .results.map(({ version }) => version)

  test('with an id, store makes a version, retires, restores and pins, and the text says so', async () => {
    const { id = '' } = await store({ content: `The relay is in rack two of ${caller.name}.` })
    const edited = await store({ id, content: `The relay is in rack five of ${caller.name}.` })
    expect(edited).toMatchObject({ id, version: 2 })
    expect(edited.text).toContain('edited')
    const text = async (input: object) => (await caller.call('recall', input)).text
    expect(await text({ query: `rack of ${caller.name}`, limit: 1 })).toContain('rack five')
    expect(await text({ ids: [id], include_history: true })).toContain('rack two')

    expect((await store({ id, retire: 'decommissioned' })).text).toContain('retired')
    expect(await text({ ids: [id] })).toContain(`Not there: ${id}`)
    expect(await text({ ids: [id], include_history: true })).toContain('RETIRED, true until')
    expect((await store({ id, restore_version: 1 })).text).toContain('restored')
    expect((await store({ id, pin: true })).text).toContain('pinned')
    expect(await text({ ids: [id] })).toMatch(/version 4 · pinned(.|\n)*rack two/u)
    expect(await versions({ ids: [id], include_history: true })).toEqual([4, 3, 2, 1])

    const forgotten = await caller.call('forget', { ids: [id] })
    expect(forgotten.structured).toMatchObject({ memories: 1, versions: 4 })
  })

  test.each([
    ['an old version', { expected_version: 7, content: 'Changed.' }, 'conflict'],
    ['a version that is not there', { restore_version: 9 }, 'not_found'],
    ['nothing to change', {}, 'invalid_input'],
    ['two changes at once', { pin: true, content: 'Changed.' }, 'invalid_input'],
    ['an unknown field', { retire: 'x', colour: 'red' }, 'invalid_input'],
  ])('%s is an error result that says what to do', async (what, change, code) => {
    const { id } = await store({ content: `Unchanged by ${what} of ${caller.name}.` })
    const answer = await caller.call('store', { id, ...change })
    expect(answer.isError).toBe(true)
    expect(answer.meta?.[errorMetaKey]).toMatchObject({ code, retryable: false })
  })

  test.each([{ retire: 'x' }, { restore_version: 1 }, { pin: true }])(
    '%j without an id asks for it',
    async (change) => {
      const answer = await caller.call('store', change)
      expect(answer.text).toContain('- id:')
    },
  )
})
