/** One memory has one id, wherever it is met: tools, resources, REST, the audit log, an export and its import. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { allScopes } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { connections } from '../support/clients.ts'
import { issueKey } from '../support/keys.ts'
import { restClient } from '../support/rest.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

const results = z.object({ results: z.array(z.looseObject({ id: z.string() })) })
const idsOf = (output: unknown): string[] => results.parse(output).results.map(({ id }) => id)
const uriPattern = /memory:\/\/default\/(?<id>[\da-f-]{36})/u

test.each(connections)('$name: an id is the same everywhere', async ({ open }) => {
  const caller = await open(app)
  const { client, name } = caller
  const tool = async (which: string, input: object): Promise<unknown> =>
    (await caller.call(which, input)).structured
  const content = `The quay bell of ${name} rings at nine.`
  const session = `bell ${name}`
  const [id = ''] = idsOf(await tool('store', { content, session }))
  expect(id).toMatch(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/u)

  for (const change of [
    { tags: ['bell'] },
    { retire: 'it broke' },
    { restore_version: 1 },
    { pin: true },
    { feedback: 'helpful' },
    { content: `${content} Twice.` },
  ]) {
    expect([change, idsOf(await tool('store', { id, ...change }))]).toEqual([change, [id]])
  }
  expect(idsOf(await tool('store', { content: `${content} Twice.`, session }))).toEqual([id])

  for (const way of [{ query: `quay bell ${name}`, session }, { session }, { ids: [id] }]) {
    expect([way, idsOf(await tool('recall', way))]).toEqual([way, [id]])
  }
  const history = idsOf(await tool('recall', { ids: [id], include_history: true }))
  expect(new Set(history)).toEqual(new Set([id]))
  expect(
    await tool('forget', { query: `quay bell ${name}`, session, dry_run: true }),
  ).toMatchObject({ matches: [{ id }] })

  const listed = await client.listResources({})
  const uris = listed.resources.map(({ uri }) => uriPattern.exec(uri)?.groups?.['id'])
  expect(uris).toContain(id)
  for (const uri of [`memory://default/${id}`, `memory://default/${id}/history`]) {
    expect(JSON.stringify(await client.readResource({ uri }))).toContain(id)
  }

  const { content: lines } = z.object({ content: z.string() }).parse(await tool('export', {}))
  const exported = lines
    .trimEnd()
    .split('\n')
    .map((line) => z.looseObject({ id: z.string() }).parse(JSON.parse(line)))
  expect(exported.filter((line) => line.id === id)).toHaveLength(5)
  const as = { agent: 'operator', channel: 'cli' } as const
  const { execute, operations } = app.app
  const elsewhere = await app.app.principal({ namespaceName: `brought ${name}`, ...as })
  const own = exported.filter((line) => line.id === id)
  await execute(operations.import, elsewhere, { lines: own, own: true })
  expect(idsOf(await execute(operations.recall, elsewhere, { ids: [id] }))).toEqual([id])

  const { key } = await issueKey(app, 'default', { scopes: [...allScopes] })
  const rest = restClient(app, key)
  expect((await rest('GET', `/memory/${id}`)).body).toMatchObject({ id, version: 5 })
  expect(idsOf((await rest('GET', `/memory/${id}/history`)).body)).toHaveLength(5)
  const made = await rest('POST', '/memory', { content: `${content} Thrice.` })
  expect(made.headers['location']).toBe(`/memory/${idsOf(made.body)[0]}`)
  expect(JSON.stringify((await rest('GET', '/audit?action=pin')).body)).toContain(id)

  expect(await tool('forget', { ids: [id] })).toMatchObject({ status: 'forgotten', versions: 5 })
  expect((await rest('GET', `/memory/${id}`)).status).toBe(404)
  await caller.close()
})
