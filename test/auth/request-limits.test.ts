/** Limits of a running server: how refusals look, who is counted, and wrong keys of one address. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createFailedKeys } from '../../src/auth/failed-keys.ts'
import { keyIssueOperation } from '../../src/auth/key-operations.ts'
import { hasLimits } from '../../src/auth/open-limits.ts'
import { createRateLimiter } from '../../src/auth/rate-limit.ts'
import { rateLimitFields } from '../../src/auth/request-limits.ts'
import { loadConfig } from '../../src/config.ts'
import { errorMetaKey } from '../../src/mcp/tool-error.ts'
import { createApiKey } from '../../src/auth/api-keys.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { callTool, issueKey, sendMessage } from '../support/keys.ts'

const requests = 6
const wrongKeys = 4

let running: TestApp
beforeAll(async () => {
  running = await startTestApp({
    environment: {
      MINDGLUE_LIMITS: 'on',
      MINDGLUE_PLAN_REQUESTS: `free=${requests}`,
      MINDGLUE_PLAN_MEMORIES: 'free=100',
      MINDGLUE_PLAN_MEGABYTES: 'free=1',
      MINDGLUE_FAILED_KEYS_PER_MINUTE: `${wrongKeys}`,
      MINDGLUE_BEHIND_PROXY: '127.0.0.1',
    },
  })
})
afterAll(() => running.close())

const refusal = z.object({
  result: z.object({
    isError: z.literal(true),
    content: z.array(z.object({ text: z.string() })),
    _meta: z.record(z.string(), z.unknown()),
  }),
})
const limitMeta = z.object({
  code: z.literal('rate_limited'),
  retryable: z.literal(true),
  retry_after_seconds: z.int().min(1).max(60),
})

/** Calls until the limit is used up; gives the last answer that was served and the refusal. */
async function exhaust(key: string, calls: number) {
  let served: Response | undefined
  for (let call = 0; call < calls; call++) {
    served = await callTool(running, key, 'recall')
    expect(await served.text()).not.toContain('"isError":true')
  }
  const refused = await callTool(running, key, 'recall')
  const text = await refused.text()
  const json = /^data: (?<json>\{.*)$/mu.exec(text)?.groups?.['json'] ?? text
  return { served, refused, body: refusal.parse(JSON.parse(json)) }
}

describe('the limit of a plan', () => {
  test('is counted for the namespace, over all of its keys', async () => {
    const first = await issueKey(running, 'shared-limit', { agent: 'ada' })
    const second = await issueKey(running, 'shared-limit', { agent: 'bob' })
    for (let call = 0; call < requests; call++) {
      const { key } = call % 2 === 0 ? first : second
      expect(await (await callTool(running, key, 'recall')).text()).not.toContain('isError":true')
    }
    expect(await (await callTool(running, second.key, 'recall')).text()).toContain('rate_limited')
    const other = await issueKey(running, 'another-limit')
    expect(await (await callTool(running, other.key, 'recall')).text()).not.toContain(
      'rate_limited',
    )
  })

  test('over MCP a refusal is a tool error that says how long to wait', async () => {
    const { key } = await issueKey(running, 'waiting')
    const { served, refused, body } = await exhaust(key, requests)
    expect(refused.status).toBe(200)
    const meta = limitMeta.parse(body.result._meta[errorMetaKey])
    expect(body.result.content[0]?.text).toContain(`Wait ${meta.retry_after_seconds} s`)
    expect(served?.headers.get('ratelimit-policy')).toBe(`"namespace";q=${requests};w=60`)
    expect(served?.headers.get('ratelimit')).toMatch(/^"namespace";r=0;t=\d+$/u)
    expect(refused.headers.get('ratelimit')).toBe(`"namespace";r=0;t=${meta.retry_after_seconds}`)
  })

  test('a page of an allowed origin may read how much is left', async () => {
    const headers = { origin: 'http://localhost:5173' }
    const message = { method: 'tools/list', params: {} }
    const response = await sendMessage(running, running.apiKey, message, { headers })
    const exposed = response.headers.get('access-control-expose-headers') ?? ''
    expect(exposed.split(/, ?/u)).toEqual(
      expect.arrayContaining(['ratelimit', 'ratelimit-policy', 'retry-after']),
    )
  })

  test('refusals are audited once a minute, not each', async () => {
    const { key } = await issueKey(running, 'audited')
    await exhaust(key, requests)
    for (let call = 0; call < 10; call++) await (await callTool(running, key, 'recall')).text()
    const { app } = running
    const operator = await app.principal({
      namespaceName: 'audited',
      agent: 'operator',
      channel: 'cli',
    })
    const { events } = await app.execute(app.operations.auditQuery, operator, { action: 'recall' })
    const refused = events.filter(({ outcome }) => outcome === 'rate_limited')
    expect([refused.length, events.length]).toEqual([1, requests + 1])
  })

  test('what is refused for want of a scope counts too', async () => {
    const { key } = await issueKey(running, 'scoped', { scopes: ['memory:read'] })
    for (let call = 0; call < requests; call++) {
      expect((await callTool(running, key, 'export')).status).toBe(403)
    }
    const refused = await callTool(running, key, 'export')
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(refused.headers.get('ratelimit')).toBe(
      `"namespace";r=0;t=${refused.headers.get('retry-after')}`,
    )
    expect(await refused.json()).toMatchObject({ code: 'rate_limited', retryable: true })
  })

  test('does not bind the operator at the command line', async () => {
    const { app } = running
    const operator = await app.principal({
      namespaceName: 'operated',
      agent: 'operator',
      channel: 'cli',
    })
    for (let call = 0; call < 3 * requests; call++) {
      await app.execute(app.operations.recall, operator, {})
    }
  })
})

test('a key with a limit of its own keeps both, and is told of the tighter', async () => {
  const { key } = await issueKey(running, 'tight-key', { requests_per_minute: 2 })
  const wide = await issueKey(running, 'tight-key')
  const { refused } = await exhaust(key, 2)
  expect(refused.headers.get('ratelimit-policy')).toBe(
    `"namespace";q=${requests};w=60, "key";q=2;w=60`,
  )
  expect(refused.headers.get('ratelimit')).toMatch(/^"key";r=0;t=\d+$/u)
  const other = await callTool(running, wide.key, 'recall')
  expect(await other.text()).not.toContain('rate_limited')
  expect(other.headers.get('ratelimit')).toMatch(new RegExp(`^"namespace";r=${requests - 3};`, 'u'))
})

test('a key is not issued with a limit that the processes cannot share without Redis', async () => {
  const { app } = running
  const operator = await app.principal({ namespaceName: 'few', agent: 'ada', channel: 'cli' })
  const issue = keyIssueOperation({ requestsPerMinuteLeast: 8 })
  const issued = (requestsPerMinute: number) =>
    app.execute(issue, operator, { agent: 'ada', requests_per_minute: requestsPerMinute })
  await expect(issued(7)).rejects.toMatchObject({
    code: 'invalid_input',
    publicMessage: expect.stringContaining('allow 8 or more, or set REDIS_URL') as unknown,
  })
  expect(await issued(8)).toHaveProperty('key')
})

describe('wrong keys of one address', () => {
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
  const recall = { method: 'tools/call', params: { name: 'recall', arguments: {} } }
  const status = async (key: string, address: string) => {
    const response = await sendMessage(running, key, recall, from(address))
    await response.text()
    return response.status
  }

  test('are answered with 429 before they are looked at; other addresses are not', async () => {
    const known = await issueKey(running, 'addresses')
    const fresh = await issueKey(running, 'addresses')
    const address = '198.51.100.7'
    expect(await status(known.key, address)).toBe(200)
    expect(await status(running.apiKey, address)).toBe(200)
    const statuses: number[] = []
    for (let attempt = 0; attempt < wrongKeys + 3; attempt++) {
      const wrong = attempt % 2 === 0 ? createApiKey(known.id) : 'guess-of-the-configured-key'
      statuses.push(await status(wrong, address))
    }
    expect(statuses.slice(0, wrongKeys)).toEqual(Array.from({ length: wrongKeys }, () => 401))
    expect(statuses.slice(-2)).toEqual([429, 429])
    const refused = await sendMessage(running, createApiKey(known.id), recall, from(address))
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ code: 'rate_limited' })

    // A key that nobody has shown here waits as well: its answer would tell the guesser.
    expect(await status(fresh.key, address)).toBe(429)
    // Whoever was right a moment ago goes on.
    expect(await status(known.key, address)).toBe(200)
    expect(await status(running.apiKey, address)).toBe(200)
    expect(await status(fresh.key, '198.51.100.8')).toBe(200)
  })

  test('hide from a guesser even that the guess was right', async () => {
    const address = '198.51.100.9'
    for (let attempt = 0; attempt < wrongKeys; attempt++) {
      expect(await status('guess-of-the-configured-key', address)).toBe(401)
    }
    expect(await status(running.apiKey, address)).toBe(429)
  })

  const counting = (perMinute: number) => {
    const failed = createFailedKeys(
      createRateLimiter({ scripts: undefined, replicas: 1 }),
      perMinute,
    )
    const isRefused = (address: string | undefined) => {
      try {
        failed.refuse(address)
        return false
      } catch {
        return true
      }
    }
    return { failed, isRefused }
  }

  test('that is not known are counted together, ten times as wide', async () => {
    const { failed, isRefused } = counting(2)
    for (let wrong = 0; wrong < 20; wrong++) {
      expect(isRefused(undefined)).toBe(false)
      await failed.count(undefined)
    }
    expect(isRefused(undefined)).toBe(true)
    expect(isRefused('198.51.100.10')).toBe(false)
  })

  test('a network of IPv6 is one address, two networks are two', async () => {
    const { failed, isRefused } = counting(1)
    await failed.count('2001:db8:1:2::a')
    expect(isRefused('2001:db8:1:2:ffff::b')).toBe(true)
    expect(isRefused('2001:0db8:0001:0002::c')).toBe(true)
    expect(isRefused('2001:db8:1:3::a')).toBe(false)
  })
})

test('a key keeps to its own limit where plans bound nothing', async () => {
  const free = await startTestApp({ environment: { MINDGLUE_LIMITS: 'off' } })
  try {
    const { key } = await issueKey(free, 'default', { requests_per_minute: 2 })
    const recall = async (credential: string) => {
      const answer = await callTool(free, credential, 'recall')
      return { policy: answer.headers.get('ratelimit-policy'), text: await answer.text() }
    }
    for (let call = 0; call < 2; call++) {
      const { policy, text } = await recall(key)
      expect(policy).toBe('"key";q=2;w=60')
      expect(text).not.toContain('rate_limited')
    }
    expect((await recall(key)).text).toContain('rate_limited')
    const { policy, text } = await recall(free.apiKey)
    expect([policy, text.includes('rate_limited')]).toEqual([null, false])
  } finally {
    await free.close()
  }
}, 120_000)

test('opening sessions counts against the limit of the plan', async () => {
  const { key } = await issueKey(running, 'opening')
  const initialize = {
    method: 'initialize',
    params: {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1.0.0' },
    },
  }
  const statuses: number[] = []
  for (let opened = 0; opened <= requests; opened++) {
    const answer = await sendMessage(running, key, initialize)
    await answer.text()
    statuses.push(answer.status)
  }
  expect(statuses).toEqual([...Array.from({ length: requests }, () => 200), 429])
})

test('the embedded database has no limit by default, PostgreSQL has', () => {
  expect(hasLimits(loadConfig({}))).toBe(false)
  expect(hasLimits(loadConfig({ MINDGLUE_LIMITS: 'on' }))).toBe(true)
  const DATABASE_URL = 'postgres://mindglue_app:x@127.0.0.1/mindglue'
  expect(hasLimits(loadConfig({ DATABASE_URL }))).toBe(true)
  expect(hasLimits(loadConfig({ DATABASE_URL, MINDGLUE_LIMITS: 'off' }))).toBe(false)
})

test('the fields are structured fields of the draft', () => {
  expect(rateLimitFields([])).toEqual({})
  const standing = { id: '', remaining: 3, resetMs: 1, requests: 60 }
  expect(
    rateLimitFields([
      { ...standing, name: 'namespace' },
      { ...standing, name: 'key', requests: 30, resetMs: 12_001 },
    ]),
  ).toEqual({
    'ratelimit-policy': '"namespace";q=60;w=60, "key";q=30;w=60',
    ratelimit: '"key";r=3;t=13',
  })
})
