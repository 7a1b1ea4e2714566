/** `mindglue serve` from start to SIGTERM, and what it refuses to start on. */
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { testEngine } from '../support/database.ts'
import {
  addressesOf,
  freshStore,
  startProgram,
  type Served,
  type Store,
  type Variables,
} from '../support/serve.ts'
import { until } from '../support/until.ts'

// Each test starts whole processes, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 90_000 })

let store: Store
const running: Served[] = []

beforeAll(async () => {
  store = await freshStore()
})
afterEach(async () => {
  for (const { process: child, ended } of running.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
})
afterAll(() => store.remove())

function start(args: readonly string[], more: Variables = {}): Served {
  const ports = { MINDGLUE_HTTP_PORT: '0', MINDGLUE_SIDECAR_PORT: '0' }
  const served = startProgram(args, { ...store.environment, ...ports, ...more })
  running.push(served)
  return served
}

/** What serves: beside HTTP the daemon, and on PostgreSQL the process that a client launches. */
const commands = testEngine === 'embedded' ? ['serve', 'daemon'] : ['serve', 'stdio']

const apiKey = 'correct-horse-battery-staple'

async function call(url: string, method: string, params: object, key = apiKey): Promise<Response> {
  return await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })
}

const store1 = { name: 'store', arguments: { content: 'Ada prefers tea in the afternoon.' } }

describe('a server', () => {
  test('migrates, serves MCP with health and metrics, and drains on SIGTERM', async () => {
    const served = start(['serve'], { MINDGLUE_API_KEY: apiKey })
    const { mcp, sidecar } = await addressesOf(served)

    expect((await call(mcp, 'tools/list', {}, 'wrong-key-wrong-key-wrong')).status).toBe(401)
    const stored = await call(mcp, 'tools/call', store1)
    expect(stored.status).toBe(200)
    expect(await stored.text()).toContain('Stored 1')

    const ready = await fetch(`${sidecar}/health/ready`)
    expect(ready.status).toBe(200)
    expect(await ready.json()).toMatchObject({
      status: 'ready',
      checks: expect.arrayContaining([
        { name: 'database', ok: true },
        { name: 'migrations', ok: true },
      ]) as unknown,
    })
    const metrics = await (await fetch(`${sidecar}/metrics`)).text()
    expect(metrics).toMatch(
      /mindglue_requests_total\{operation="store",transport="mcp-http",outcome="ok",namespace="default"\} 1/u,
    )

    served.process.kill('SIGTERM')
    expect(await served.ended).toBe(0)
    await expect(fetch(`${sidecar}/health/live`)).rejects.toThrow()
    for (const text of [served.stdout(), served.stderr(), metrics]) {
      expect(text).not.toMatch(/prefers tea|correct-horse/u)
    }
  })

  test('finds what an earlier one stored', async () => {
    const served = start(['serve'], { MINDGLUE_API_KEY: apiKey })
    const { mcp } = await addressesOf(served)
    const recall = { name: 'recall', arguments: { query: 'What does Ada drink?' } }
    expect(await (await call(mcp, 'tools/call', recall)).text()).toContain('tea')
    served.process.kill('SIGTERM')
    expect(await served.ended).toBe(0)
  })

  test('does not start when Redis is named and gone', async () => {
    const served = start(['serve'], { REDIS_URL: 'redis://:pa55word@127.0.0.1:1' })
    expect(await served.ended).toBe(1)
    expect(served.stderr()).toContain('REDIS_URL is set and no Redis answers there')
    expect(served.stderr()).not.toContain('pa55word')
  })

  describe('with an embedder that cannot be used', () => {
    const remote = {
      MINDGLUE_EMBEDDER: 'openai',
      MINDGLUE_EMBEDDER_MODEL: 'm',
      MINDGLUE_EMBEDDER_DIMENSION: '4',
      MINDGLUE_EMBEDDER_KEY: 'pa55word-of-the-embedder',
    }
    const refusal = async (command: string, settings: Variables): Promise<string> => {
      const served = start([command], settings)
      expect(await served.ended).toBe(1)
      expect(served.stderr()).not.toContain('pa55word')
      return served.stderr()
    }

    test.each(commands)('%s does not start when nobody answers', async (command) => {
      const text = await refusal(command, {
        ...remote,
        MINDGLUE_EMBEDDER_URL: 'http://127.0.0.1:1/v1',
      })
      expect(text).toMatch(/cannot be used.*cannot be reached.*Check MINDGLUE_EMBEDDER_URL/u)
    })

    test.each([
      [
        'refuses the key',
        401,
        [],
        /status 401\. Check MINDGLUE_EMBEDDER_URL, MINDGLUE_EMBEDDER_KEY/u,
      ],
      [
        'has another dimension',
        200,
        [1, 2, 3],
        /makes vectors of 3 numbers, not 4; set MINDGLUE_/u,
      ],
    ])('serve does not start when the endpoint %s', async (_how, status, embedding, message) => {
      const endpoint = createHttpServer((_request, response) => {
        response.writeHead(status).end(JSON.stringify({ data: [{ index: 0, embedding }] }))
      })
      await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve))
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a listening TCP server has one
      const { port } = endpoint.address() as AddressInfo
      const url = `http://127.0.0.1:${String(port)}/v1`
      expect(await refusal('serve', { ...remote, MINDGLUE_EMBEDDER_URL: url })).toMatch(message)
      await new Promise((resolve) => endpoint.close(resolve))
    })

    test.each(commands)('%s says which package the local model needs', async (command) => {
      const text = await refusal(command, { MINDGLUE_EMBEDDER: 'multilingual' })
      expect(text).toContain('npm install @huggingface/transformers')
    })

    test.runIf(testEngine === 'postgres')('a command that embeds nothing works', async () => {
      const settings = { ...remote, MINDGLUE_EMBEDDER_URL: 'http://127.0.0.1:1/v1' }
      expect(await start(['export', '-'], settings).ended).toBe(0)
    })
  })

  test('does not start on a port in use', async () => {
    const occupant = createServer()
    await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve))
    const address = occupant.address()
    const port = typeof address === 'object' ? String(address?.port) : ''
    const served = start(['serve', '--port', port])
    expect(await served.ended).toBe(1)
    expect(served.stderr()).toContain(`Cannot listen on 127.0.0.1:${port}`)
    await new Promise((resolve) => occupant.close(resolve))
  })
})

describe.runIf(testEngine === 'embedded')('on the embedded engine', () => {
  test('it is the daemon: local clients attach to it, and a second one is refused', async () => {
    const { sidecar } = await addressesOf(start(['serve']))
    const clients = async () =>
      /^mindglue_daemon_connections (\d+)$/mu.exec(
        await (await fetch(`${sidecar}/metrics`)).text(),
      )?.[1]
    expect(await clients()).toBe('0')
    const client = start(['stdio'])
    await until(async () => (await clients()) === '1', { timeoutMs: 60_000 })
    client.process.kill('SIGTERM')
    await until(async () => (await clients()) === '0', { timeoutMs: 60_000 })

    const second = start(['serve'])
    expect(await second.ended).toBe(1)
    expect(second.stderr()).toContain('mindglue daemon stop')
  })
})

describe.runIf(testEngine === 'postgres')('on PostgreSQL', () => {
  test.each([['serve'], ['stdio'], ['export', '-']])(
    '%s does not work with the rights of a superuser',
    async (...args) => {
      const admin = store.environment['MIGRATION_DATABASE_URL'] ?? ''
      const served = start(args, { DATABASE_URL: admin })
      expect(await served.ended).toBe(1)
      expect(served.stderr()).toContain('is a superuser: row-level security does not bind it')
    },
  )

  test('migrate says what is pending, applies it once, and doctor then finds nothing', async () => {
    const fresh = await freshStore()
    try {
      const run = async (...args: string[]) => {
        const served = startProgram(args, fresh.environment)
        running.push(served)
        return { code: await served.ended, text: served.stdout() + served.stderr() }
      }
      expect(await run('migrate', '--pending')).toMatchObject({
        code: 0,
        text: expect.stringMatching(/0001_roles[\s\S]*pending/u) as unknown,
      })
      expect(await run('migrate')).toMatchObject({
        code: 0,
        text: expect.stringContaining('Applied') as unknown,
      })
      expect((await run('migrate')).text).toContain('Up to date.')
      const doctor = await run('doctor')
      expect(doctor.text).not.toContain('problem')
      expect(doctor).toMatchObject({
        code: 0,
        text: expect.stringContaining('pgvector') as unknown,
      })
    } finally {
      await fresh.remove()
    }
  })
})
