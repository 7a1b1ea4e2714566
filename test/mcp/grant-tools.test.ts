/** Grants over the protocol: for an administrator's key that names the tools, and for nobody else. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { allScopes } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { callTool, issueKey, sendMessage } from '../support/keys.ts'

const tools = ['grant_create', 'grant_list', 'grant_revoke']

let app: TestApp
let admin: string
beforeAll(async () => {
  app = await startTestApp()
  admin = (await issueKey(app, 'home', { scopes: [...allScopes], tools })).key
  await issueKey(app, 'guest', { scopes: [...allScopes] })
})
afterAll(() => app.close())

const envelope = z.object({
  result: z.object({ isError: z.boolean().optional(), structuredContent: z.unknown() }),
})
async function call(key: string, tool: string, input: object): Promise<unknown> {
  const response = await callTool(app, key, tool, input)
  const text = await response.text()
  const json = /^data: (?<json>\{.*)$/mu.exec(text)?.groups?.['json'] ?? text
  return envelope.parse(JSON.parse(json)).result.structuredContent
}

test('a grant is made, listed and revoked', async () => {
  const made = z
    .object({ id: z.uuid(), to: z.literal('guest'), tokens: z.int() })
    .parse(await call(admin, 'grant_create', { to: 'guest', tag: 'open' }))
  const list = z.object({ grants: z.array(z.object({ id: z.string(), state: z.string() })) })
  const before = list.parse(await call(admin, 'grant_list', {}))
  expect(before.grants).toMatchObject([{ id: made.id, state: 'active' }])
  await call(admin, 'grant_revoke', { id: made.id })
  const after = list.parse(await call(admin, 'grant_list', {}))
  expect(after.grants).toMatchObject([{ id: made.id, state: 'revoked' }])
})

test.each([
  ['an administrator whose key names none', { scopes: [...allScopes] }],
  ['a key that names them and is no administrator', { scopes: ['memory:read'], tools }],
  ['an administrator whose key names others', { scopes: [...allScopes], tools: ['recall'] }],
] as const)('%s grants nothing', async (_, { scopes, ...narrow }) => {
  const given = { scopes: [...scopes], ...('tools' in narrow && { tools: [...narrow.tools] }) }
  const { key } = await issueKey(app, 'home', given)
  for (const tool of tools) {
    const response = await callTool(app, key, tool, { to: 'guest' })
    const text = await response.text()
    expect([tool, response.status === 403 || text.includes('-32602')]).toEqual([tool, true])
  }
  const listed = await sendMessage(app, key, { method: 'tools/list', params: {} })
  const text = await listed.text()
  if (!('tools' in narrow) || narrow.tools[0] === 'recall') expect(text).not.toContain('grant_')
})

test('a list of many grants keeps within its tokens', async () => {
  for (let index = 0; index < 60; index += 1) {
    await call(admin, 'grant_create', { to: 'guest', tag: `${index} ${'naïve Ω '.repeat(15)}` })
  }
  const { grants, tokens } = z
    .object({ grants: z.array(z.object({ id: z.string() })), tokens: z.int() })
    .parse(await call(admin, 'grant_list', { limit: 500 }))
  expect(tokens).toBeLessThanOrEqual(20_000)
  expect(grants.length).toBeGreaterThan(10)
})
