/**
 * Session ids, cursors, confirm tokens, request states, memory ids and subscription URIs in the hands of
 * another principal with a key of its own: none is served. `FULL=1` runs the size required.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { startTestApp, type TestApp } from '../support/app.ts'
import { meta, modern, modernHeaders } from '../support/endpoint.ts'
import { callTool, issueKey, sendMessage, structuredOf } from '../support/keys.ts'
import { seededRandom, seedOf } from '../support/random.ts'

const isFull = process.env['FULL'] === '1'
const size = isFull
  ? { attempts: 10_000, timeoutMs: 3_600_000 }
  : { attempts: 1000, timeoutMs: 600_000 }
const lanes = 6
const seed = seedOf(process.env)
const random = seededRandom(seed)

interface Owner {
  readonly name: string
  readonly namespaceName: string
  readonly key: string
  /** Stands in every memory of this principal, all of them private. */
  readonly canary: string
  readonly ids: readonly string[]
  readonly sessions: readonly string[]
  readonly cursors: { readonly recall: string; readonly export: string; readonly list: string }
  readonly confirmTokens: readonly string[]
  readonly requestStates: readonly string[]
}

let running: TestApp
let owners: readonly Owner[]
/** A second key of the first owner's agent: the same memories are its own, the sessions are not. */
let sibling: string

beforeAll(async () => {
  running = await startTestApp()
  const made: Owner[] = []
  for (const namespaceName of ['north', 'south']) {
    for (const agent of ['ada', 'bob']) made.push(await makeOwner(namespaceName, agent))
  }
  owners = made
  sibling = (await issueKey(running, 'north', { agent: 'ada' })).key
}, 120_000)
afterAll(() => running.close())

const stored = z.object({ results: z.array(z.object({ id: z.uuid() })) })
const paged = z.object({ next_cursor: z.string() })
const counted = z.object({ confirm_token: z.string() })
const forgetAll = { name: 'forget', arguments: { everything: true } }

async function makeOwner(namespaceName: string, agent: string): Promise<Owner> {
  const canary = `secret-of-${namespaceName}-${agent}`
  const scopes = ['memory:read', 'memory:write', 'memory:forget', 'memory:export'] as const
  const { key } = await issueKey(running, namespaceName, { agent, scopes: [...scopes] })
  const memories = Array.from({ length: 120 }, (_, item) => ({
    content: `Note ${item} holds ${canary}.`,
    access: 'private',
  }))
  const tool = async (name: string, input: object) =>
    await structuredOf(await callTool(running, key, name, input))
  const { results } = stored.parse(await tool('store', { memories }))
  const listed = await sendMessage(running, key, { method: 'resources/list', params: {} })
  const list = /"nextCursor":"(?<cursor>[^"]+)"/u.exec(await listed.text())?.groups?.['cursor']
  const confirmTokens: string[] = []
  const requestStates: string[] = []
  const sessions: string[] = []
  for (let index = 0; index < 5; index++) {
    confirmTokens.push(counted.parse(await tool('forget', { everything: true })).confirm_token)
    requestStates.push(await askedState(key))
    sessions.push(await openSession(key))
  }
  return {
    name: `${agent} of ${namespaceName}`,
    namespaceName,
    key,
    canary,
    ids: results.map(({ id }) => id),
    sessions,
    cursors: {
      recall: paged.parse(await tool('recall', { limit: 10 })).next_cursor,
      export: paged.parse(await tool('export', { limit: 10 })).next_cursor,
      list: list ?? '',
    },
    confirmTokens,
    requestStates,
  }
}

/** A 2026 client that can ask a person: the server gives it the question to carry. */
async function modernForget(key: string, more: object): Promise<string> {
  const params = {
    ...forgetAll,
    ...more,
    _meta: { ...meta, 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } },
  }
  const headers = modernHeaders('tools/call', 'forget')
  return await (
    await sendMessage(running, key, { method: 'tools/call', params }, { headers })
  ).text()
}

async function askedState(key: string): Promise<string> {
  const text = await modernForget(key, {})
  const state = /"requestState":"(?<state>[^"]+)"/u.exec(text)?.groups?.['state']
  if (state === undefined) throw new Error(`no question was asked: ${text.slice(0, 500)}`)
  return state
}

async function openSession(key: string): Promise<string> {
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'test', version: '1.0.0' },
  }
  const response = await sendMessage(running, key, { method: 'initialize', params })
  await response.text()
  return response.headers.get('mcp-session-id') ?? ''
}

function one<T>(items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('nothing to choose from')
  return item
}

const accepted = { confirm: { action: 'accept', content: { confirm: true } } }

/** A thief's request with something of the owner's. Resolves with what was wrong about the answer. */
type Theft = (thief: string, owner: Owner) => Promise<string | undefined>

const inSession =
  (method: string): Theft =>
  async (thief, owner) => {
    const headers = {
      'mcp-session-id': one(owner.sessions),
      'mcp-protocol-version': '2025-11-25',
    }
    const response = await sendMessage(
      running,
      thief,
      { method: 'tools/list', params: {} },
      { headers, method },
    )
    const { status } = response
    await response.body?.cancel()
    return status === 404 ? undefined : `status ${status}`
  }

/** A tool call that must fail, as `code` says. */
const refusedTool =
  (name: string, code: string, inputOf: (owner: Owner) => object): Theft =>
  async (thief, owner) => {
    const response = await callTool(running, thief, name, inputOf(owner))
    const text = await response.text()
    const isRefused = text.includes('"isError":true') && text.includes(`"code":"${code}"`)
    return isRefused && !text.includes(owner.canary) ? undefined : text.slice(0, 300)
  }

/** An answer that must say nothing of what the owner keeps. */
const silent =
  (method: string, paramsOf: (owner: Owner) => object): Theft =>
  async (thief, owner) => {
    const response = await sendMessage(running, thief, { method, params: paramsOf(owner) })
    const text = await response.text()
    const isRefused = text.includes('"error":') && !text.includes(owner.canary)
    return isRefused ? undefined : text.slice(0, 300)
  }

const thefts: readonly (readonly [string, Theft])[] = [
  ['a session, to call', inSession('POST')],
  ['a session, to listen', inSession('GET')],
  ['a session, to end it', inSession('DELETE')],
  [
    'a cursor of recall',
    refusedTool('recall', 'invalid_input', ({ cursors }) => ({
      cursor: cursors.recall,
      limit: 10,
    })),
  ],
  [
    'a cursor of export',
    refusedTool('export', 'invalid_input', ({ cursors }) => ({
      cursor: cursors.export,
      limit: 10,
    })),
  ],
  ['a cursor of resources', silent('resources/list', ({ cursors }) => ({ cursor: cursors.list }))],
  [
    'a confirm token',
    refusedTool('forget', 'not_found', (owner) => ({ confirm_token: one(owner.confirmTokens) })),
  ],
  [
    'a confirm token with its filter',
    refusedTool('forget', 'not_found', (owner) => ({
      confirm_token: one(owner.confirmTokens),
      everything: true,
    })),
  ],
  [
    'an answered question',
    async (thief, owner) => {
      const requestState = one(owner.requestStates)
      const text = await modernForget(thief, { requestState, inputResponses: accepted })
      return text.includes('"error":') ? undefined : text.slice(0, 300)
    },
  ],
  [
    'a memory, to read',
    silent('resources/read', (owner) => ({
      uri: `memory://${owner.namespaceName}/${one(owner.ids)}`,
    })),
  ],
  [
    'a memory, by its id',
    async (thief, owner) => {
      const response = await callTool(running, thief, 'recall', { ids: [one(owner.ids)] })
      const text = await response.text()
      return text.includes('Not there') && !text.includes(owner.canary)
        ? undefined
        : text.slice(0, 300)
    },
  ],
  [
    'a memory, to forget',
    async (thief, owner) => {
      const answer = await structuredOf(
        await callTool(running, thief, 'forget', { ids: [one(owner.ids)] }),
      )
      const { memories, missing } = z.object({ memories: z.int(), missing: z.int() }).parse(answer)
      return memories === 0 && missing === 1 ? undefined : JSON.stringify(answer)
    },
  ],
  [
    'a subscription, in a session',
    async (thief, owner) => {
      const headers = {
        'mcp-session-id': await openSession(thief),
        'mcp-protocol-version': '2025-11-25',
      }
      const uri = `memory://${owner.namespaceName}/${one(owner.ids)}`
      const message = { method: 'resources/subscribe', params: { uri } }
      const text = await (await sendMessage(running, thief, message, { headers })).text()
      await sendMessage(running, thief, {}, { headers, method: 'DELETE' })
      return text.includes('"error":') ? undefined : text.slice(0, 300)
    },
  ],
  [
    'a subscription, by listening',
    async (thief, owner) => {
      const uri = `memory://${owner.namespaceName}/${one(owner.ids)}`
      const params = { notifications: { resourceSubscriptions: [uri] }, _meta: meta }
      const headers = { ...modernHeaders('subscriptions/listen'), 'mcp-protocol-version': modern }
      const response = await sendMessage(
        running,
        thief,
        { method: 'subscriptions/listen', params },
        { headers },
      )
      const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader()
      const first = await reader?.read()
      const text = new TextDecoder().decode(first?.value)
      await reader?.cancel()
      return response.status === 200 && !text.includes(uri) ? undefined : text.slice(0, 300)
    },
  ],
]

test('each handle works for its owner, so that its theft would be worth something', async () => {
  for (const owner of owners) {
    const { key, cursors, sessions } = owner
    const page = await callTool(running, key, 'recall', { cursor: cursors.recall, limit: 10 })
    expect(await page.text()).toContain(owner.canary)
    const lines = await callTool(running, key, 'export', { cursor: cursors.export, limit: 10 })
    expect(await lines.text()).toContain(owner.canary)
    const headers = { 'mcp-session-id': sessions[0] ?? '', 'mcp-protocol-version': '2025-11-25' }
    const message = { method: 'tools/list', params: {} }
    expect((await sendMessage(running, key, message, { headers })).status).toBe(200)
    expect(cursors.list).not.toBe('')
  }
})

test(
  `of ${size.attempts} stolen handles none is served (seed ${seed})`,
  { timeout: size.timeoutMs },
  async () => {
    const served: string[] = []
    let made = 0
    const lane = async (): Promise<void> => {
      while (made < size.attempts) {
        const [what, steal] = thefts[made++ % thefts.length] ?? one(thefts)
        const owner = one(owners)
        const thief = one(owners.filter((other) => other !== owner))
        const wrong = await steal(thief.key, owner)
        if (wrong !== undefined)
          served.push(`${thief.name} with ${what} of ${owner.name}: ${wrong}`)
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    expect(served).toEqual([])
  },
)

test('another key of the same agent does not take over its sessions', async () => {
  const [owner] = owners
  if (owner === undefined) throw new Error('no owner')
  for (const method of ['POST', 'GET', 'DELETE']) {
    expect(await inSession(method)(sibling, owner)).toBeUndefined()
  }
})

test('after all of it the owners still have every memory, and their handles work', async () => {
  for (const owner of owners) {
    const asked = await callTool(running, owner.key, 'forget', { everything: true, dry_run: true })
    expect(await structuredOf(asked)).toMatchObject({ memories: owner.ids.length })
    const [confirm_token] = owner.confirmTokens
    const confirmed = await callTool(running, owner.key, 'forget', { confirm_token })
    expect(await structuredOf(confirmed)).toMatchObject({
      status: 'forgotten',
      memories: owner.ids.length,
    })
  }
})
