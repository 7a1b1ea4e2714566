/** Keys that are for some tools only, over the protocol: what they list, call, read and hear of. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { changeFeed } from '../../src/mcp/subscriptions.ts'
import { allScopes } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { callTool, issueKey, sendMessage } from '../support/keys.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

const keyFor = async (...tools: string[]): Promise<string> =>
  (await issueKey(app, 'narrow', { scopes: [...allScopes], tools })).key

const listed = z.object({
  result: z.object({ tools: z.array(z.object({ name: z.string() })), cacheScope: z.string() }),
})
const inputs = {
  store: { content: 'x' },
  recall: {},
  forget: { ids: ['01890000-0000-7000-8000-000000000001'] },
  export: {},
} as const

test.each(Object.keys(inputs))('a key for %s alone calls no other tool', async (own) => {
  const key = await keyFor(own)
  for (const [name, input] of Object.entries(inputs)) {
    const answer = await callTool(app, key, name, input)
    const text = await answer.text()
    expect([name, answer.status]).toEqual([name, name === own ? 200 : 403])
    if (name !== own) expect(text).toContain('for other operations only')
  }
})

test('a key lists the tools that it is for, and no cache may share the list', async () => {
  const list = async (key: string) => {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' }
    const message = { method: 'tools/list', params: { _meta } }
    const text = await (await sendMessage(app, key, message, { headers })).text()
    const json = /^data: (?<json>\{.*)$/mu.exec(text)?.groups?.['json'] ?? text
    const { tools, cacheScope } = listed.parse(JSON.parse(json)).result
    expect(cacheScope).toBe('private')
    return tools.map(({ name }) => name)
  }
  expect(await list(await keyFor('forget', 'recall'))).toEqual(['recall', 'forget'])
  expect(await list(app.apiKey)).toEqual(['store', 'recall', 'forget', 'export'])
})

test('everything that shows memories is reading, so a key without recall gets none of it', async () => {
  const uri = 'memory://narrow/recent'
  const session = { name: 'session', value: '' }
  const messages = [
    { method: 'resources/list', params: {} },
    { method: 'resources/read', params: { uri } },
    { method: 'resources/subscribe', params: { uri } },
    { method: 'prompts/get', params: { name: 'continue', arguments: {} } },
    {
      method: 'completion/complete',
      params: { ref: { type: 'ref/prompt', name: 'continue' }, argument: session },
    },
    {
      method: 'completion/complete',
      params: {
        ref: { type: 'ref/resource', uri: 'memory://{namespace}/entities/{name}' },
        argument: { name: 'name', value: 'a' },
      },
    },
  ]
  const [writer, reader] = [await keyFor('store'), await keyFor('recall')]
  for (const message of messages) {
    const refused = await sendMessage(app, writer, message)
    expect([message.method, refused.status]).toEqual([message.method, 403])
    await refused.text()
    const served = await sendMessage(app, reader, message)
    expect([message.method, served.status]).toEqual([message.method, 200])
    // Outside a session there is nothing to subscribe with.
    const isServed = !(await served.text()).includes('"error"')
    expect([message.method, isServed]).toEqual([
      message.method,
      message.method !== 'resources/subscribe',
    ])
  }
})

test('what the protocol would let pass is refused where operations run', async () => {
  const { authenticator, execute, operations } = app.app
  const request = {
    channel: 'mcp-http',
    requestId: '01890000-0000-7000-8000-000000000000',
  } as const
  const writer = await authenticator.authenticate(await keyFor('store'), request)
  const refused = { code: 'insufficient_scope' }
  await expect(execute(operations.recall, writer, {})).rejects.toMatchObject(refused)
  const names = execute(operations.entityNames, writer, { prefix: 'a' })
  await expect(names).rejects.toMatchObject(refused)
  const reader = await authenticator.authenticate(await keyFor('recall'), request)
  await expect(execute(operations.entityNames, reader, { prefix: 'a' })).resolves.toBeDefined()
})

test('who may not recall hears of no change', async () => {
  const { authenticator, execute, operations } = app.app
  const request = {
    channel: 'mcp-http',
    requestId: '01890000-0000-7000-8000-000000000000',
  } as const
  const heard = { writer: 0, reader: 0 }
  const [writer, reader] = [
    await authenticator.authenticate(await keyFor('store'), request),
    await authenticator.authenticate(await keyFor('recall'), request),
  ]
  const ends = [
    changeFeed(app.app)(writer, () => heard.writer++),
    changeFeed(app.app)(reader, () => heard.reader++),
  ]
  await execute(operations.store, writer, { content: 'The kettle is on.' })
  for (const end of ends) end()
  expect(heard.reader).toBeGreaterThan(0)
  expect(heard.writer).toBe(0)
})
