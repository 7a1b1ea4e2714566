/** What `export` and `import` promise: everything the caller may read, and exactly that comes back. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import type { Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

const versionLine = z.looseObject({ id: z.uuid() })

async function exportAll(principal: Principal, limit = 7): Promise<string[]> {
  const lines: string[] = []
  let cursor: string | undefined
  do {
    const page = await memory.execute(memory.operations.export, principal, {
      limit,
      ...(cursor !== undefined && { cursor }),
    })
    lines.push(...page.content.split('\n').filter((line) => line !== ''))
    cursor = page.next_cursor
  } while (cursor !== undefined)
  return lines
}

const store = (principal: Principal, input: unknown) =>
  memory.execute(memory.operations.store, principal, input)

test('pages give every memory once, and an import elsewhere gives the same lines', async () => {
  const from = await memory.principal({ namespaceName: 'from' })
  const memories = Array.from({ length: 40 }, (_, index) => ({
    content: `Line ${index}\twith a tab, a "quote" and 🧠.`,
    tags: [`t${index % 3}`],
    metadata: { index },
    session: 'export',
    occurred_at: '2026-02-03T04:05:06.789Z',
    ...(index % 5 === 0 && { access: 'private', allowed_agents: ['bob'] }),
  }))
  await store(from, { memories })
  const lines = await exportAll(from)
  expect(lines).toHaveLength(40)

  const changes = { namespaceName: 'to', channel: 'cli', scopes: ['admin'] } as const
  const to = await memory.principal(changes)
  const imported = await memory.execute(memory.operations.import, to, {
    lines: lines.map((line) => JSON.parse(line) as unknown),
    own: true,
  })
  expect(imported).toEqual({ imported: 40, skipped: 0 })
  expect(await exportAll(to)).toEqual(lines)
  const found = await memory.execute(memory.operations.recall, to, { query: 'Line 17', limit: 1 })
  expect(found.results[0]?.content).toContain('Line 17')
})

test('importing the same lines again changes nothing', async () => {
  const cli = await memory.principal({ namespaceName: 'again', channel: 'cli', scopes: ['admin'] })
  await store(cli, { content: 'Only once.' })
  const lines = (await exportAll(cli)).map((line) => JSON.parse(line) as unknown)
  const again = await memory.execute(memory.operations.import, cli, { lines })
  expect(again).toEqual({ imported: 0, skipped: 1 })
})

test('an agent’s export holds no private memory of another agent', async () => {
  const ada = await memory.principal({ namespaceName: 'mine', agent: 'ada' })
  const bob = await memory.principal({ namespaceName: 'mine', agent: 'bob' })
  await store(ada, { content: 'For everyone.' })
  await store(ada, { content: 'For Ada alone.', access: 'private' })
  expect((await exportAll(bob)).join('\n')).not.toContain('For Ada alone.')
  expect(await exportAll(ada)).toHaveLength(2)
})

test('Markdown keeps a memory that is Markdown inside its own block', async () => {
  const principal = await memory.principal({ namespaceName: 'markdown' })
  await store(principal, { content: '# Heading\n- **not** a new entry' })
  const page = await memory.execute(memory.operations.export, principal, { format: 'markdown' })
  expect(page.content).toContain('    # Heading\n    - **not** a new entry')
})

test('a cursor of one format is refused by the other', async () => {
  const principal = await memory.principal({ namespaceName: 'from' })
  const { next_cursor: cursor } = await memory.execute(memory.operations.export, principal, {
    limit: 1,
  })
  await expect(
    memory.execute(memory.operations.export, principal, { format: 'markdown', cursor }),
  ).rejects.toMatchObject({ code: 'invalid_input' })
})

test('history gives every version of a memory, newest first, and only the current one is recalled', async () => {
  const cli = await memory.principal({
    namespaceName: 'versions',
    channel: 'cli',
    scopes: ['admin'],
  })
  await store(cli, { content: 'The standup is at nine.' })
  const [line = ''] = await exportAll(cli)
  const old = versionLine.parse(JSON.parse(line))
  const newer = { ...old, version: 2, content: 'The standup is at ten.' }
  const other = await memory.principal({
    namespaceName: 'versions-copy',
    channel: 'cli',
    scopes: ['admin'],
  })
  await memory.execute(memory.operations.import, other, {
    lines: [{ ...old, is_current: false }, newer],
  })
  const recall = (input: object) => memory.execute(memory.operations.recall, other, input)
  const { results } = await recall({ ids: [old.id], include_history: true })
  expect(results.map(({ version, is_current: current }) => [version, current])).toEqual([
    [2, true],
    [1, false],
  ])
  const asked = await recall({ query: 'When is the standup?' })
  expect(asked.results.map((result) => result.content)).toEqual(['The standup is at ten.'])
})
