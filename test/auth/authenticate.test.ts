/** Issued keys against a running server: who they are, what they may do, and how they end. */
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createApp } from '../../src/app.ts'
import { createApiKey } from '../../src/auth/api-keys.ts'
import { findApiKey, insertApiKey, revokeApiKey } from '../../src/auth/api-keys.sql.ts'
import { createAuthenticator } from '../../src/auth/authenticate.ts'
import { writeKeyUses } from '../../src/auth/issued-keys.ts'
import type { Principal, Scope } from '../../src/principal.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { testEngine } from '../support/database.ts'
import { callTool, issueKey, sendMessage, structuredOf } from '../support/keys.ts'
import { until } from '../support/until.ts'

/** What the issue promises of a revocation. */
const promisedMs = 5000
const redisUrl = process.env['TEST_REDIS_URL']

let running: TestApp
beforeAll(async () => {
  running = await startTestApp(
    redisUrl === undefined ? {} : { environment: { REDIS_URL: redisUrl } },
  )
})
afterAll(() => running.close())

const statusOf = async (key: string): Promise<number> => {
  const response = await callTool(running, key, 'recall')
  await response.text()
  return response.status
}
const operatorOf = (namespaceName: string): Promise<Principal> =>
  running.app.principal({ namespaceName, agent: 'operator', channel: 'cli' })
const listKeys = async (namespaceName: string) => {
  const { execute, operations } = running.app
  return (await execute(operations.keyList, await operatorOf(namespaceName), {})).keys
}
const revoke = async (namespaceName: string, id: string) => {
  const { execute, operations } = running.app
  return await execute(operations.keyRevoke, await operatorOf(namespaceName), { id })
}
const rotate = async (namespaceName: string, id: string, grace?: number) => {
  const { execute, operations } = running.app
  const input = { id, ...(grace !== undefined && { grace_seconds: grace }) }
  return await execute(operations.keyRotate, await operatorOf(namespaceName), input)
}

describe('a key', () => {
  test('acts as its agent in its namespace, whatever the server is configured for', async () => {
    const { key, agent } = await issueKey(running, 'workshop', { agent: 'clara' })
    expect(agent).toBe('clara')
    const content = 'The lathe is booked on Tuesdays.'
    await structuredOf(await callTool(running, key, 'store', { content, access: 'private' }))
    const seen = z.object({ results: z.array(z.object({ owner_agent: z.string() })) })
    const own = seen.parse(await structuredOf(await callTool(running, key, 'recall')))
    expect(own.results.map((memory) => memory.owner_agent)).toEqual(['clara'])
    const configured = await structuredOf(await callTool(running, running.apiKey, 'recall'))
    expect(seen.parse(configured).results).toEqual([])
    const other = await issueKey(running, 'workshop', { agent: 'dan' })
    const neighbour = await structuredOf(await callTool(running, other.key, 'recall'))
    expect(seen.parse(neighbour).results).toEqual([])
  })

  test('is shown once: nothing that is stored or listed holds it', async () => {
    const { key, id } = await issueKey(running, 'once', { label: 'CI', tools: ['recall'] })
    const [listed] = await listKeys('once')
    expect(listed).toMatchObject({ id, label: 'CI', tools: ['recall'], state: 'active' })
    expect(key.startsWith(listed?.key_start ?? 'none')).toBe(true)
    expect(JSON.stringify(listed)).not.toContain(key.slice(27))
    const row = await running.app.scope.withDirectory((sql) => findApiKey(sql, id))
    expect(inspect(row, { depth: 5 })).not.toContain(key.slice(27))
    expect(row?.secret_hash).toHaveLength(32)
  })

  test('brings its limits, tools and scopes along', async () => {
    const { key, id } = await issueKey(running, 'limits', {
      scopes: ['admin', 'memory:read', 'memory:read'],
      tools: ['recall', 'store'],
      requests_per_minute: 30,
    })
    const request = {
      channel: 'mcp-http',
      requestId: '01890000-0000-7000-8000-000000000000',
    } as const
    const principal = await running.app.authenticator.authenticate(key, request)
    expect(principal).toMatchObject({ namespaceName: 'limits', agent: 'ada', channel: 'mcp-http' })
    expect([...principal.scopes]).toEqual(['memory:read', 'admin'])
    expect(principal.credential).toEqual({
      kind: 'api-key',
      id,
      requestsPerMinute: 30,
      tools: new Set(['recall', 'store']),
    })
  })

  test('acts under any name but that of the jobs of the server', async () => {
    const refused = issueKey(running, 'names', { agent: 'mindglue' })
    await expect(refused).rejects.toMatchObject({ code: 'invalid_input' })
    expect((await issueKey(running, 'names', { agent: 'Mindglue' })).agent).toBe('Mindglue')
  })

  test('expires within the years that can be stored', async () => {
    const late = issueKey(running, 'late', { expires_at: '9999-12-31T23:59:59-12:00' })
    await expect(late).rejects.toMatchObject({ code: 'invalid_input' })
  })

  test('is in the audit log of its namespace from its issue to its end', async () => {
    const { id } = await issueKey(running, 'logged')
    await rotate('logged', id)
    await revoke('logged', id)
    const { execute, operations } = running.app
    const { events } = await execute(operations.auditQuery, await operatorOf('logged'), {})
    const own = events.filter((event) => event.resource_ids.includes(id))
    expect(own.map(({ action }) => action)).toEqual(['key.revoke', 'key.rotate', 'key.issue'])
  })

  test('tells when it was last used', async () => {
    const { key, id } = await issueKey(running, 'used')
    const lastUse = async () => (await listKeys('used')).find((listed) => listed.id === id)
    expect((await lastUse())?.last_used_at).toBeNull()
    await statusOf(key)
    await writeKeyUses(running.app.scope, running.app.authenticator)
    const usedAt = Date.parse((await lastUse())?.last_used_at ?? '')
    expect(Math.abs(Date.now() - usedAt)).toBeLessThan(60_000)
  })
})

describe('what is refused', () => {
  const challengeOf = async (credential: string | undefined) => {
    const response = await callTool(running, credential, 'recall')
    const body = await response.text()
    return { status: response.status, challenge: response.headers.get('www-authenticate'), body }
  }

  test('no credentials: 401 without an error code; wrong ones: invalid_token', async () => {
    const none = await challengeOf(undefined)
    expect(none).toMatchObject({ status: 401, challenge: 'Bearer realm="MindGlue"' })
    const { id, key } = await issueKey(running, 'refused')
    const wrong = [createApiKey(id), key.slice(0, -1), `${key}0`, 'mgk_', 'something-else']
    for (const credential of wrong) {
      const reply = await challengeOf(credential)
      expect(reply.status).toBe(401)
      expect(reply.challenge).toBe('Bearer realm="MindGlue", error="invalid_token"')
      if (credential.length > 20) expect(reply.body).not.toContain(credential.slice(10))
    }
    expect((await challengeOf(createApiKey(id))).body).not.toContain(id)
  })

  test('a mistyped key says so, since that is no secret', async () => {
    const { key } = await issueKey(running, 'refused')
    expect((await challengeOf(key.slice(0, -1))).body).toContain('mistyped or cut off')
  })

  test.each([
    ['forget', 'memory:forget', ['memory:read', 'memory:write']],
    ['export', 'memory:export', ['memory:read', 'memory:write', 'memory:forget']],
    ['store', 'memory:write', ['memory:read']],
    ['recall', 'memory:read', ['memory:write']],
  ] as const)(
    '%s without %s: 403 with a challenge, before anything runs, and audited',
    async (tool, needed, scopes: readonly Scope[]) => {
      const { key } = await issueKey(running, `scope-${tool}`, { scopes: [...scopes] })
      const response = await callTool(running, key, tool, { everything: true, content: 'x' })
      expect(response.status).toBe(403)
      expect(response.headers.get('www-authenticate')).toBe(
        `Bearer realm="MindGlue", error="insufficient_scope", scope="${needed}"`,
      )
      expect(await response.json()).toMatchObject({ code: 'insufficient_scope', status: 403 })
      const { execute, operations } = running.app
      const operator = await operatorOf(`scope-${tool}`)
      const { events } = await execute(operations.auditQuery, operator, { action: tool })
      expect(events.map(({ outcome }) => outcome)).toEqual(['insufficient_scope'])
    },
  )

  test('reading resources, completing and listening without memory:read: 403', async () => {
    const { key } = await issueKey(running, 'blind', { scopes: ['memory:write'] })
    for (const [method, params] of [
      ['resources/list', {}],
      ['resources/read', { uri: 'memory://blind/recent' }],
      ['resources/subscribe', { uri: 'memory://blind/recent' }],
      ['subscriptions/listen', { notifications: { resourcesListChanged: true } }],
      ['completion/complete', {}],
    ] as const) {
      const response = await sendMessage(running, key, { method, params })
      expect([method, response.status]).toEqual([method, 403])
    }
    expect((await sendMessage(running, key, { method: 'tools/list', params: {} })).status).toBe(200)
  })

  test('keys of another namespace can be neither seen nor changed, as if they were not there', async () => {
    const { key, id } = await issueKey(running, 'mine')
    const absent = '01890000-0000-7000-8000-000000000000'
    const failures = await Promise.all(
      [id, absent].map((wanted) => revoke('not-mine', wanted).catch((error: unknown) => error)),
    )
    expect(failures[0]).toMatchObject({ code: 'not_found' })
    expect(failures[0]).toEqual(failures[1])
    await expect(rotate('not-mine', id)).rejects.toMatchObject({ code: 'not_found' })
    expect(await listKeys('not-mine')).toEqual([])
    expect(await statusOf(key)).toBe(200)
  })

  test('whoever is no administrator manages no keys, in the database either', async () => {
    const { id } = await issueKey(running, 'ruled')
    const { app } = running
    const agent = await app.principal({ namespaceName: 'ruled', agent: 'eve', channel: 'stdio' })
    const refused = { code: 'insufficient_scope' }
    const { keyIssue, keyList, keyRotate, keyRevoke } = app.operations
    await expect(app.execute(keyIssue, agent, { agent: 'eve' })).rejects.toMatchObject(refused)
    await expect(app.execute(keyList, agent, {})).rejects.toMatchObject(refused)
    await expect(app.execute(keyRotate, agent, { id })).rejects.toMatchObject(refused)
    await expect(app.execute(keyRevoke, agent, { id })).rejects.toMatchObject(refused)
    await app.scope.withNamespace(agent, {}, async (tx) => {
      expect(await revokeApiKey(tx, id)).toBeUndefined()
      const forged = { id: '01890000-0000-7000-8000-000000000000', agent: 'eve', label: '' }
      const rest = { scopes: 'admin', tools: null, requestsPerMinute: null }
      const secretHash = Buffer.alloc(32)
      const made = await insertApiKey(tx, { ...forged, ...rest, secretHash, expiresAt: null })
      expect(made).toBeUndefined()
    })
    expect((await listKeys('ruled')).map((listed) => listed.state)).toEqual(['active'])
  })

  test.runIf(testEngine === 'postgres')(
    'the table itself is closed to the application',
    async () => {
      const { scope } = running.app
      for (const read of [
        () => scope.withDirectory((sql) => sql`select id from mindglue.api_keys`),
        () => scope.withDirectory((sql) => sql`update mindglue.api_keys set scopes = 'admin'`),
      ]) {
        await expect(read()).rejects.toMatchObject({ cause: { sqlState: '42501' } })
      }
    },
  )
})

describe('a pepper', () => {
  test('makes keys worthless that somebody wrote into the database', async () => {
    const { key } = await issueKey(running, 'pepper')
    const authenticator = createAuthenticator({
      configuredKey: undefined,
      configuredPrincipal: () => Promise.reject(new Error('nobody')),
      pepper: 'a-pepper-of-43-characters-or-more-as-configured',
      find: (id) => running.app.scope.withDirectory((sql) => findApiKey(sql, id)),
    })
    const request = { channel: 'mcp-http', requestId: '' } as const
    await expect(authenticator.authenticate(key, request)).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  })
})

describe('rotation', () => {
  test('two secrets are valid during the grace period, and never a third', async () => {
    const first = await issueKey(running, 'rotation')
    const second = await rotate('rotation', first.id)
    const day = Date.parse(second.previous_valid_until ?? '') - Date.now()
    expect(Math.abs(day - 86_400_000)).toBeLessThan(60_000)
    expect([await statusOf(first.key), await statusOf(second.key)]).toEqual([200, 200])
    expect((await listKeys('rotation'))[0]?.state).toBe('rotating')
    const third = await rotate('rotation', first.id, 3600)
    const keys = [first.key, second.key, third.key]
    expect(await Promise.all(keys.map(statusOf))).toEqual([401, 200, 200])
  })

  test('without grace the secret of before is dead at once', async () => {
    const first = await issueKey(running, 'no-grace')
    expect(await statusOf(first.key)).toBe(200)
    const second = await rotate('no-grace', first.id, 0)
    expect(second.previous_valid_until).toBeNull()
    expect([await statusOf(first.key), await statusOf(second.key)]).toEqual([401, 200])
  })

  test('the grace period ends by itself', async () => {
    const first = await issueKey(running, 'short-grace')
    const second = await rotate('short-grace', first.id, 1)
    expect(await statusOf(first.key)).toBe(200)
    await until(async () => (await statusOf(first.key)) === 401, { timeoutMs: 1000 + promisedMs })
    expect(await statusOf(second.key)).toBe(200)
  })

  test('a grace period beyond seven days is refused', async () => {
    const { id } = await issueKey(running, 'long-grace')
    await expect(rotate('long-grace', id, 7 * 86_400 + 1)).rejects.toMatchObject({
      code: 'invalid_input',
    })
  })

  test('a revoked key cannot be rotated back to life', async () => {
    const { id } = await issueKey(running, 'revoked')
    await revoke('revoked', id)
    await expect(rotate('revoked', id)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('the end of a key', () => {
  test('a key is refused once it has expired', async () => {
    const expires_at = new Date(Date.now() + 1500).toISOString()
    const { key } = await issueKey(running, 'expiring', { expires_at })
    expect(await statusOf(key)).toBe(200)
    await until(async () => (await statusOf(key)) === 401, { timeoutMs: 1500 + promisedMs })
    expect((await listKeys('expiring'))[0]?.state).toBe('expired')
    await expect(issueKey(running, 'expiring', { expires_at })).rejects.toMatchObject({
      code: 'invalid_input',
    })
  })

  test('a revoked key is refused by the process that revoked it at once', async () => {
    const { key, id } = await issueKey(running, 'ending')
    expect(await statusOf(key)).toBe(200)
    const { revoked_at } = await revoke('ending', id)
    expect(await statusOf(key)).toBe(401)
    expect((await revoke('ending', id)).revoked_at).toBe(revoked_at)
  })

  test('a stream that a key opened ends within five seconds after its revocation', async () => {
    const { key, id } = await issueKey(running, 'streaming')
    const initialize = {
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'test', version: '1.0.0' },
      },
    }
    const opened = await sendMessage(running, key, initialize)
    await opened.text()
    const headers = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
    const stream = await sendMessage(running, key, {}, { headers, method: 'GET' })
    expect(stream.status).toBe(200)
    const ended = stream.text()
    await revoke('streaming', id)
    const started = performance.now()
    await ended
    expect(performance.now() - started).toBeLessThan(promisedMs)
  })

  test.runIf(testEngine === 'postgres').each([
    ['with Redis', redisUrl, 1000],
    ['without Redis', undefined, promisedMs],
  ] as const)(
    'a revoked key is refused by every process within five seconds, %s',
    async (_, redis, limitMs) => {
      const { config } = running.app
      const others = await Promise.all(
        [1, 2].map(() => createApp({ ...config, redisUrl: redis, databasePoolMax: 2 })),
      )
      try {
        const { key, id } = await issueKey(running, 'everywhere')
        const request = { channel: 'mcp-http', requestId: '' } as const
        const isAccepted = (other: (typeof others)[number]) =>
          other.authenticator.authenticate(key, request).then(
            () => true,
            () => false,
          )
        expect(await Promise.all(others.map(isAccepted))).toEqual([true, true])
        await revoke('everywhere', id)
        const options = { timeoutMs: limitMs, intervalMs: 25, what: 'the refusal everywhere' }
        await until(
          async () => !(await Promise.all(others.map(isAccepted))).includes(true),
          options,
        )
      } finally {
        await Promise.all(others.map((other) => other.close()))
      }
    },
  )
})
