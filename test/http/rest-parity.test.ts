/** Every operation by three ways, in namespaces of their own: called, over MCP, over REST. The answers agree. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { toAppError } from '../../src/errors.ts'
import type { Route } from '../../src/http/route.ts'
import { createRoutes } from '../../src/http/routes.ts'
import { allScopes } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { callTool, issueKey, sendMessage } from '../support/keys.ts'
import { acceptAndLetIn, newAccount } from '../support/programs.ts'
import { restClient } from '../support/rest.ts'
import { administrationSteps, invitedIn, email } from './parity-administration.ts'
import { memorySteps, type Input, type Seen, type Step } from './parity-steps.ts'

const steps = [...memorySteps, ...administrationSteps]
const tools = ['store', 'recall', 'forget', 'export', 'grant_create', 'grant_list', 'grant_revoke']

let app: TestApp
let routes: readonly Route[]
beforeAll(async () => {
  app = await startTestApp()
  routes = createRoutes(app.app.operations)
}, 120_000)
afterAll(() => app.close())

type Outcome = { readonly output: unknown } | { readonly code: string }
interface Way {
  readonly name: 'called' | 'mcp' | 'rest'
  readonly seen: Seen & Map<string, unknown>
  takes(step: Step): boolean
  /** What this way makes of the operation's output, where it is not the same by design. */
  shows(step: Step, output: unknown): unknown
  run(step: Step, input: Input): Promise<Outcome>
}

/** The first is what the others are compared with. */
async function waysOf(): Promise<readonly Way[]> {
  const way = async (name: Way['name'], narrow: { tools?: string[] } = {}) => {
    const namespaceName = `parity-${name}`
    const { key } = await issueKey(app, namespaceName, { scopes: [...allScopes], ...narrow })
    const seen = Object.assign(new Map<string, unknown>(), { namespaceName })
    const plain = { name, seen, takes: () => true, shows: (_: Step, output: unknown) => output }
    return { key, plain }
  }
  const called = await way('called')
  // Tools that not everybody has are there for a key that names them.
  const overMcp = await way('mcp', { tools })
  const overRest = await way('rest')
  return [
    { ...called.plain, run: (step, input) => callPlainly(step, input, called.key) },
    {
      ...overMcp.plain,
      takes: ({ tool }) => tool !== undefined,
      shows: ({ asTool }, output) => asTool?.shown(output) ?? output,
      run: (step, input) => callOverMcp(step, input, overMcp.key),
    },
    {
      ...overRest.plain,
      shows: ({ shown }, output) => shown?.(output) ?? output,
      run: (step, input) => callOverRest(step, input, overRest.key),
    },
  ]
}

function routeOf({ route: wanted }: Step): Route {
  const found = routes.find(({ id }) => id === wanted)
  if (found === undefined) throw new Error(`there is no route ${wanted}`)
  return found
}

async function callPlainly(step: Step, input: Input, key: string): Promise<Outcome> {
  const { execute, authenticator } = app.app
  const request = { channel: 'rest' as const, requestId: randomUUID() }
  const principal = await authenticator.authenticate(key, request)
  try {
    return { output: await execute(routeOf(step).operation, principal, input) }
  } catch (error) {
    return { code: toAppError(error).code }
  }
}

async function callOverMcp({ tool = '', asTool }: Step, input: Input, key: string) {
  const response = await callTool(app, key, tool, asTool?.input(input) ?? input)
  const { result } = toolReply.parse(jsonOf(await response.text()))
  const failure = result._meta?.['io.github.mindglue/error']
  return failure ? { code: failure.code } : { output: result.structuredContent }
}

async function callOverRest(step: Step, input: Input, key: string): Promise<Outcome> {
  const { method, path, fields } = routeOf(step)
  const inPath = (_: string, name: string) =>
    encodeURIComponent(String(input[name] ?? input['ids']))
  const address = path.replaceAll(/\{(\w+)\}/gu, inPath)
  const given = Object.fromEntries(Object.entries(input).filter(([name]) => name in fields))
  const isQuery = method === 'GET' || method === 'DELETE'
  const send = restClient(app, key)
  const reply = await (isQuery
    ? send(method, `${address}?${queryOf(given)}`)
    : send(method, address, given))
  const { code, details } = problem.parse(reply.body)
  if (code === 'confirmation_required') return { output: { status: code, ...details } }
  return reply.status < 300 ? { output: reply.body } : { code: code ?? '' }
}

const toolList = z.object({
  result: z.object({ tools: z.array(z.object({ name: z.string() })) }),
})
const toolReply = z.object({
  result: z.object({
    structuredContent: z.unknown().optional(),
    _meta: z.record(z.string(), z.object({ code: z.string() })).optional(),
  }),
})
const problem = z.looseObject({
  code: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
})

function jsonOf(text: string): unknown {
  return JSON.parse(/^data: (?<json>\{.*)$/mu.exec(text)?.groups?.['json'] ?? text)
}

function queryOf(input: Input): string {
  const pairs = Object.entries(input).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map(
      (item) => [name, String(item)] as [string, string],
    ),
  )
  return new URLSearchParams(pairs).toString()
}

/** In each namespace the person who was invited accepts and lets a program in, which are no operations. */
async function letInEverywhere(ways: readonly Way[]): Promise<void> {
  const account = await newAccount(app, email)
  for (const { seen } of ways.filter((way) => way.seen.has('invite'))) {
    await acceptAndLetIn(app, account, seen.namespaceName, invitedIn(seen))
  }
}

/** Without what differs from namespace to namespace and from moment to moment. */
function comparable(outcome: Outcome): unknown {
  const names = new Map<string, string>()
  const numbered = (text: string): string => {
    if (!names.has(text)) names.set(text, `#${names.size}`)
    return names.get(text) ?? ''
  }
  const text = JSON.stringify(outcome)
    .replaceAll(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/gu, numbered)
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/gu, 'time')
    .replaceAll(/"(?<name>next_cursor|confirm_token|key|key_start)":"[^"]*"/gu, '"$<name>":"…"')
    // Of an invitation.
    .replaceAll(/"code":"[\w-]{27}"/gu, '"code":"…"')
    // Age counts a little, and so does the time between two memories of one request.
    .replaceAll(/"score":[\d.]+/gu, '"score":0')
    // Ids count, and each way has its own; a tool counts every answer.
    .replaceAll(/"tokens":\d+,?/gu, '')
    .replaceAll(',}', '}')
    .replaceAll(/\bparity-\w+/gu, 'parity')
    .replaceAll(/"channel":"[^"]*"/gu, '"channel":"…"')
  return JSON.parse(text)
}

test('every operation answers the same when it is called, over MCP and over REST', async () => {
  const ways = await waysOf()
  for (const step of steps) {
    if (step.route === 'listClients') await letInEverywhere(ways)
    let expected: Outcome | undefined
    for (const way of ways.filter((each) => each.takes(step))) {
      const outcome = await way.run(step, step.input(way.seen))
      const about = { step: step.name, way: way.name }
      if ('output' in outcome) way.seen.set(step.name, outcome.output)
      // Two refusals are alike whatever the operation does.
      expect({ ...about, outcome }).toHaveProperty([
        'outcome',
        step.isRefused === true ? 'code' : 'output',
      ])
      expected ??= outcome
      const shown = 'code' in expected ? expected : { output: way.shows(step, expected.output) }
      expect({ ...about, outcome: comparable(outcome) }).toEqual({
        ...about,
        outcome: comparable(shown),
      })
    }
  }
}, 120_000)

test('no route is left without a step, nor an operation without a route but for the import', () => {
  const driven = new Set(
    steps.filter(({ isRefused }) => isRefused !== true).map(({ route }) => route),
  )
  expect(routes.filter(({ id }) => !driven.has(id)).map(({ id }) => id)).toEqual([])
  const routed = new Set(routes.map(({ operation }) => operation.name))
  const others = Object.values(app.app.operations).filter(({ name }) => !routed.has(name))
  expect(others.map(({ name }) => name)).toEqual(['import'])
})

test('what a tool reaches is asked of the tool as well', async () => {
  const { key } = await issueKey(app, 'parity-tools', { scopes: [...allScopes], tools })
  const listed = await sendMessage(app, key, { method: 'tools/list', params: {} })
  const there = toolList.parse(jsonOf(await listed.text())).result.tools.map(({ name }) => name)
  expect(there).toEqual(tools)
  expect(new Set(steps.flatMap(({ tool }) => tool ?? []))).toEqual(new Set(tools))
  // Parts of a tool say so; of these, names alone are completed in place of being called for.
  const parts = routes.filter(({ id, operation: { tool } }) => tool && id !== 'listEntities')
  for (const { id, operation } of parts) {
    const own = steps.filter(({ route }) => route === id)
    expect({ id, tools: own.map(({ tool }) => tool) }).toEqual({
      id,
      tools: own.map(() => operation.tool),
    })
  }
})
