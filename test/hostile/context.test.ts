/** A context that the database does not accept: no rows, and an error that says so, on every way in. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { App } from '../../src/app.ts'
import type { OwnerDatabase } from '../../src/database/database.ts'
import { openPostgres, type PostgresDatabase } from '../../src/database/postgres.ts'
import { contextPads, createScope } from '../../src/database/scope.ts'
import { createExecute } from '../../src/execute.ts'
import type { Principal } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { testEngine } from '../support/database.ts'
import { connections } from '../support/clients.ts'
import { interceptDatabase } from '../support/intercept.ts'

const canary = `canary${randomBytes(6).toString('hex')}`

/** Tool calls that read or write memories; `id` is of one that is there. */
const calls = (id: string): readonly (readonly [tool: string, input: object])[] => [
  ['store', { content: 'Another note.' }],
  ['recall', {}],
  ['recall', { query: 'What is in the note?' }],
  ['recall', { ids: [id] }],
  ['forget', { ids: [id] }],
  ['export', {}],
]
const requests = (id: string): readonly (readonly [method: string, params: object])[] => [
  ...calls(id).map(([name, input]) => ['tools/call', { name, arguments: input }] as const),
  ['resources/list', {}],
  ['resources/read', { uri: `memory://default/${id}` }],
]

let running: TestApp
let id: string

const ada = (): Promise<Principal> =>
  running.app.principal({ namespaceName: 'default', agent: 'ada', channel: 'stdio' })

/** Which execute the protocol is given: the application's own, or one whose context is never set. */
let isContextAbsent = false

beforeAll(async () => {
  running = await startTestApp({
    host: (app) => {
      const contextless = executeWithout(app)
      return {
        ...app,
        execute: (...call) => (isContextAbsent ? contextless : app.execute)(...call),
      }
    },
  })
  const { execute, operations } = running.app
  const { results } = await execute(operations.store, await ada(), { content: canary })
  id = results[0]?.id ?? ''
})
afterAll(() => running.close())
afterEach(async () => {
  vi.useRealTimers()
  isContextAbsent = false
  await asOwner((owner) => setKey(owner, running.app.secret('context')))
})

/** The application's operations in transactions whose context was never set. */
function executeWithout(app: App): App['execute'] {
  const database = interceptDatabase(app.database, () => (statement) => ({
    ...statement,
    text: statement.text.replace("'mindglue.context'", "'mindglue.nothing'"),
  }))
  const scope = createScope(database, app.secret('context'))
  return createExecute({ ...app, scope, onChange: () => undefined })
}

async function asOwner(work: (owner: OwnerDatabase) => Promise<void>): Promise<void> {
  const { embedded, config } = running.app
  if (embedded) return await work(embedded)
  const owner: PostgresDatabase = await openPostgres({
    url: config.migrationDatabaseUrl ?? '',
    poolMax: 1,
  })
  try {
    await work(owner)
  } finally {
    await owner.close()
  }
}

function setKey(owner: OwnerDatabase, key: Uint8Array): Promise<void> {
  const { inner, outer } = contextPads(key)
  return owner.ownerTransaction(
    async (sql) =>
      void (await sql`update mindglue.context_keys set inner_pad = ${inner}, outer_pad = ${outer}`),
  )
}

type Fault = readonly [what: string, make: () => Promise<void>, code: RegExp]

const expired: Fault = [
  'that has expired, since the clock of this process is an hour behind',
  () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 })
    return Promise.resolve()
  },
  /unauthenticated/u,
]

const faults: readonly Fault[] = [
  [
    'signed with a key that the database does not know',
    () => asOwner((owner) => setKey(owner, randomBytes(32))),
    /unauthenticated/u,
  ],
  // The embedded engine reads the same clock as the program.
  ...(testEngine === 'embedded' ? [] : [expired]),
  [
    'that is absent',
    () => {
      isContextAbsent = true
      return Promise.resolve()
    },
    /not_found|conflict/u,
  ],
]

describe.each(faults)('a context %s', (_what, make, code) => {
  test('is answered over HTTP with a typed error and never with a 5xx', async () => {
    await make()
    for (const [method, params] of requests(id)) {
      const response = await fetch(running.url, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${running.apiKey}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      })
      const text = await response.text()
      expect([method, response.status < 500]).toEqual([method, true])
      expect(text).toMatch(code)
      expect(text).not.toMatch(/"internal"|stack|SQLSTATE/u)
      expect(text).not.toContain(canary)
    }
  })

  test.each(connections)('is an error of the tool for a client, $name', async ({ open }) => {
    const caller = await open(running)
    try {
      await make()
      for (const [tool, input] of calls(id)) {
        const answer = await caller.call(tool, input)
        expect(answer).toMatchObject({
          isError: true,
          text: expect.stringMatching(code) as unknown,
        })
        expect(JSON.stringify(answer)).not.toContain(canary)
      }
    } finally {
      await caller.close()
    }
  })

  test('changes nothing', async () => {
    await make()
    const { operations } = running.app
    const who = await ada()
    const execute = isContextAbsent ? executeWithout(running.app) : running.app.execute
    const refused = { code: expect.stringMatching(code) as unknown }
    await expect(execute(operations.store, who, { content: 'Never there.' })).rejects.toMatchObject(
      refused,
    )
    await expect(execute(operations.forget, who, { ids: [id] })).rejects.toMatchObject(refused)
  })
})

test('the same requests are answered once the context is accepted again', async () => {
  const { execute, operations } = running.app
  const { results } = await execute(operations.recall, await ada(), {})
  expect(results.map(({ content }) => content)).toEqual([canary])
})
