/** `mindglue api-keys` as a person runs it, with a server beside it: each run is a process of its own. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { z } from 'zod'
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
vi.setConfig({ testTimeout: 120_000 })

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

const ports = { MINDGLUE_HTTP_PORT: '0', MINDGLUE_SIDECAR_PORT: '0' }

function start(args: readonly string[], more: Variables = {}): Served {
  const served = startProgram(args, { ...store.environment, ...ports, ...more })
  running.push(served)
  return served
}

async function apiKeys(args: readonly string[], stdin?: string) {
  // The daemon that a local command starts must agree with the server's settings.
  const served = start(['api-keys', ...args])
  if (stdin !== undefined) served.process.stdin?.end(stdin)
  const code = await served.ended
  return { code, stdout: served.stdout(), stderr: served.stderr() }
}

async function status(mcp: string, key: string): Promise<number> {
  const response = await fetch(mcp, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'recall', arguments: {} },
    }),
  })
  await response.text()
  return response.status
}

const issued = z.object({ id: z.uuid(), key: z.string(), scopes: z.array(z.string()) })

test('a key is issued, serves, is listed and rotated, and ends when it is revoked', async () => {
  const { mcp } = await addressesOf(start(['serve']))
  const issue = await apiKeys(['issue', 'research', '--label', 'laptop', '--json'])
  expect(issue.stderr).toBe('')
  const { id, key, scopes } = issued.parse(JSON.parse(issue.stdout))
  expect(scopes).toEqual(['memory:read', 'memory:write', 'memory:forget'])
  expect(await status(mcp, key)).toBe(200)

  const list = await apiKeys(['list'])
  expect(list.stdout).toMatch(/^id +state +agent +label/u)
  expect(list.stdout).toMatch(new RegExp(`^${id} +active +research +laptop`, 'mu'))
  expect(list.stdout).not.toContain(key.slice(27))

  const rotated = await apiKeys(['rotate', id, '--grace', '1'])
  const second = /^mgk_\S+$/mu.exec(rotated.stdout)?.[0] ?? ''
  expect(rotated.stdout).toContain('shown once')
  expect([await status(mcp, key), await status(mcp, second)]).toEqual([200, 200])

  // Whoever found the key pastes it whole, where no list of processes shows it.
  const revoked = await apiKeys(['revoke', '-'], `${second}\n`)
  expect(revoked).toMatchObject({ code: 0, stderr: '' })
  expect(revoked.stdout).toContain(`Revoked ${id}`)
  await until(async () => (await status(mcp, second)) === 401, { timeoutMs: 5000 })
  expect(await status(mcp, key)).toBe(401)
})

test('what was typed wrong is told, and no key is made', async () => {
  const scope = await apiKeys(['issue', 'x', '--scope', 'memory:reed'])
  expect(scope).toMatchObject({ code: 2, stdout: '' })
  expect(scope.stderr).toContain('memory:read')
  const unknown = await apiKeys(['revoke', '01890000-0000-7000-8000-000000000000'])
  expect(unknown).toMatchObject({ code: 1, stdout: '' })
  expect(unknown.stderr).toContain('There is no such key in this namespace')
})
