/** Progress, cancellation and the end of the input, over streams with the real operations behind a gate. */
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ExecuteOptions } from '../../src/execute.ts'
import type { McpHost } from '../../src/mcp/host.ts'
import { serveMcpStream } from '../../src/mcp/stdio.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { until } from '../support/until.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

interface Gate {
  readonly entered: ExecuteOptions[]
  open(): void
}

/** The application with every operation held until the gate opens. */
function gated(): { host: McpHost; gate: Gate } {
  const entered: ExecuteOptions[] = []
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const host: McpHost = {
    ...app.app,
    execute: async (operation, principal, input, options = {}) => {
      entered.push(options)
      await Promise.race([
        opened,
        new Promise<void>((resolve) => {
          options.signal?.addEventListener('abort', () => resolve())
        }),
      ])
      return app.app.execute(operation, principal, input, options)
    },
  }
  return { host, gate: { entered, open } }
}

const frame = z.looseObject({ id: z.number().nullish(), method: z.string().optional() })

/** A bare client: these tests look at every line. */
async function connect(host: McpHost) {
  const toServer = new PassThrough()
  const fromServer = new PassThrough()
  let text = ''
  fromServer.on('data', (part: Buffer) => (text += part.toString()))
  const session = await serveMcpStream(
    host,
    { input: toServer, output: fromServer },
    { namespaceName: 'default', agent: 'tester' },
  )
  const frames = () =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => frame.parse(JSON.parse(line)))
  return {
    session,
    toServer,
    send: (message: object) =>
      toServer.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`),
    frames,
    answerTo: (id: number) => until(() => frames().find((one) => one.id === id)),
  }
}

const eras = [
  {
    era: 'legacy',
    initialize: {
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'bare', version: '1.0.0' },
      },
    },
    meta: {},
  },
  {
    era: 'modern',
    initialize: undefined,
    meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
]

describe.each(eras)('$era', ({ era, initialize, meta }) => {
  async function start(host: McpHost) {
    const client = await connect(host)
    if (initialize !== undefined) {
      client.send(initialize)
      await client.answerTo(1)
      client.send({ method: 'notifications/initialized' })
    }
    const call = (id: number, name: string, input: object, extra: object = {}) =>
      client.send({
        id,
        method: 'tools/call',
        params: { name, arguments: input, _meta: { ...meta, ...extra } },
      })
    return { ...client, call }
  }

  test('progress rises, belongs to its token and stops with the answer', async () => {
    const { host, gate } = gated()
    const client = await start(host)
    client.call(2, 'recall', { limit: 1 }, { progressToken: 'mine' })
    const options = await until(() => gate.entered[0])
    for (const done of [1, 2, 2, 3, 2, 1]) options.onProgress?.(done, 3)
    gate.open()
    await client.answerTo(2)
    options.onProgress?.(9, 9)
    const progress = client
      .frames()
      .filter(({ method }) => method === 'notifications/progress')
      .map(({ params }) =>
        z.object({ progressToken: z.string(), progress: z.number() }).parse(params),
      )
    expect(progress.map((one) => one.progressToken)).toEqual(progress.map(() => 'mine'))
    const values = progress.map((one) => one.progress)
    expect(values).toEqual([...new Set(values)].toSorted((a, b) => a - b))
    expect(values.at(-1)).toBe(3)
    await client.session.close()
  })

  test('without a token nothing is reported', async () => {
    const { host, gate } = gated()
    const client = await start(host)
    client.call(2, 'recall', { limit: 1 })
    const options = await until(() => gate.entered[0])
    options.onProgress?.(1, 2)
    gate.open()
    await client.answerTo(2)
    expect(client.frames().filter(({ method }) => method !== undefined)).toEqual([])
    await client.session.close()
  })

  test('a cancelled store stores nothing and gets no answer', async () => {
    const { host, gate } = gated()
    const client = await start(host)
    const content = `Cancelled in the ${era} era.`
    client.call(2, 'store', { content })
    const options = await until(() => gate.entered[0])
    client.send({ method: 'notifications/cancelled', params: { requestId: 2, _meta: meta } })
    await until(() => options.signal?.aborted)
    gate.open()
    client.call(3, 'recall', { query: content })
    const answer = await client.answerTo(3)
    expect(JSON.stringify(answer)).not.toContain('Cancelled in the')
    expect(client.frames().some(({ id }) => id === 2)).toBe(false)
    await client.session.close()
  })

  test('what was asked before the input ended is answered, then the session is over', async () => {
    const { host, gate } = gated()
    const client = await start(host)
    client.call(2, 'store', { content: `Asked before the end, ${era}.` })
    await until(() => gate.entered[0])
    client.toServer.end()
    gate.open()
    expect(await client.answerTo(2)).toHaveProperty('result')
    await client.session.closed
  })

  test('closing a session aborts what runs in it', async () => {
    const { host, gate } = gated()
    const client = await start(host)
    client.call(2, 'recall', { limit: 1 })
    const options = await until(() => gate.entered[0])
    await client.session.close()
    await client.session.closed
    await until(() => options.signal?.aborted)
  })
})

test('lines that are no requests do not stop a session', async () => {
  const client = await connect(app.app)
  for (const line of ['', 'garbage', '[]', '{"jsonrpc":"2.0","method":"no/such"}', 'null']) {
    client.toServer.write(`${line}\n`)
  }
  const [legacy] = eras
  client.send(legacy?.initialize ?? {})
  expect(await client.answerTo(1)).toHaveProperty('result.serverInfo.name', 'mindglue')
  client.send({ id: 2, method: 'no/such' })
  expect(await client.answerTo(2)).toHaveProperty('error.code', -32_601)
  await client.session.close()
})
