/** The HTTP listener with a mount that says who asked: limits, names, keys, draining. */
import { connect } from 'node:net'
import { request as httpRequest } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createListener, type Listener, type ListenerOptions } from '../../src/http/listener.ts'
import { AppError } from '../../src/errors.ts'
import { testAuthenticator } from '../support/authenticator.ts'
import { until } from '../support/until.ts'

const apiKey = 'a-key-that-is-long-enough-for-a-test'
const head = `POST /echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${apiKey}`
const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()))
})

/** A listener whose one path answers with the agent and the length of the body. */
async function listen(
  changes: Partial<ListenerOptions> & { apiKey?: string | undefined } = {},
): Promise<Listener> {
  const { apiKey: key = apiKey, ...options } = changes
  const listener = await createListener({
    host: '127.0.0.1',
    port: 0,
    hosts: [],
    origins: [],
    bodyBytesMax: 1024 * 1024,
    drainSeconds: 1,
    authenticator: testAuthenticator('apiKey' in changes ? changes.apiKey : key),
    mounts: [
      {
        path: '/echo',
        handle: async (request, principal) =>
          Response.json({
            agent: principal.agent,
            requestId: principal.requestId,
            length: (await request.text()).length,
          }),
        close: () => Promise.resolve(),
      },
    ],
    ...options,
  })
  open.push(listener)
  return listener
}

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Sends headers as they are given: fetch would refuse to set Host and Origin. */
function send(
  listener: Listener,
  { path = '/echo', method = 'POST', headers = {}, body = '' }: Partial<Sent> = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      `${listener.origin}${path}`,
      { method, agent: false, headers: { authorization: `Bearer ${apiKey}`, ...headers } },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => (text += part))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

interface Sent {
  readonly path: string
  readonly method: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** Writes bytes as they are and reads until the server ends the connection, or has answered once. */
function raw(listener: Listener, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(listener.port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.on('data', (part: Buffer) => {
      text += part.toString()
      socket.end()
    })
    socket.on('close', () => resolve(text))
    socket.on('error', () => resolve(text))
  })
}

function json(reply: Reply): Record<string, unknown> {
  return z.record(z.string(), z.unknown()).parse(JSON.parse(reply.body))
}

describe('names', () => {
  test.each(['evil.example', 'localhost.evil.example', 'user@localhost', '127.0.0.1.nip.io'])(
    'a request for the host %j is refused',
    async (host) => {
      const reply = await send(await listen(), { headers: { host } })
      expect([400, 403]).toContain(reply.status)
    },
  )

  test('a request that names no host is refused', async () => {
    expect(await raw(await listen(), 'GET /echo HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 40[03]/u)
    expect(await raw(await listen(), 'GET /echo HTTP/1.1\r\nHost:\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 40[03]/u,
    )
  })

  test.each(['localhost', 'LOCALHOST:80', '127.0.0.1:1', '[::1]:8080'])(
    'a request for the loopback host %j is served',
    async (host) => {
      expect((await send(await listen(), { headers: { host } })).status).toBe(200)
    },
  )

  test('a configured host is served, with its port only when the setting names one', async () => {
    const listener = await listen({ hosts: ['memory.example', 'other.example:8443'] })
    const status = async (host: string) => (await send(listener, { headers: { host } })).status
    expect(await status('memory.example:9999')).toBe(200)
    expect(await status('other.example:8443')).toBe(200)
    expect(await status('other.example')).toBe(403)
  })

  test.each(['https://evil.example', 'null', 'http://localhost.evil.example', 'file://', 'x'])(
    'a request from the origin %j is refused on every path',
    async (origin) => {
      const listener = await listen()
      for (const path of ['/echo', '/nothing-here']) {
        expect((await send(listener, { path, headers: { origin } })).status).toBe(403)
      }
    },
  )

  test('loopback origins, configured origins and requests without an origin are served', async () => {
    const listener = await listen({ origins: ['https://app.example'] })
    for (const origin of ['http://localhost:5173', 'http://[::1]:1', 'https://app.example']) {
      const reply = await send(listener, { headers: { origin } })
      expect(reply.status).toBe(200)
      expect(reply.headers['access-control-allow-origin']).toBe(origin)
    }
    expect((await send(listener)).headers['access-control-allow-origin']).toBeUndefined()
    expect((await send(listener, { headers: { origin: 'http://app.example' } })).status).toBe(403)
  })

  test('a browser may ask before it calls, without a key', async () => {
    const headers = {
      origin: 'http://localhost:5173',
      authorization: undefined,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,mcp-session-id',
    }
    const reply = await send(await listen(), { method: 'OPTIONS', headers: definedOnly(headers) })
    expect(reply.status).toBe(204)
    expect(reply.headers['access-control-allow-headers']).toContain('authorization')
  })
})

function definedOnly(headers: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  )
}

describe('the key', () => {
  test('the address for vulnerabilities is told without a key', async () => {
    const listener = await listen()
    const reply = await send(listener, { path: '/.well-known/security.txt', method: 'GET' })
    expect(reply.status).toBe(200)
    expect(reply.body).toContain('Contact: mailto:security@mindglue.ai')
    const expires = Date.parse(/^Expires: (.+)$/mu.exec(reply.body)?.[1] ?? '')
    expect(expires).toBeGreaterThan(Date.now())
  })

  test('without a key the answer is 401 and a challenge that names no error', async () => {
    const reply = await send(await listen(), { headers: { authorization: '' } })
    expect(reply.status).toBe(401)
    expect(reply.headers['www-authenticate']).toContain('Bearer realm="MindGlue"')
    expect(reply.headers['content-type']).toBe('application/problem+json')
  })

  test.each(['Bearer wrong', `Bearer ${apiKey}x`, `Bearer ${apiKey} x`, `Basic ${apiKey}`, apiKey])(
    'the credentials %j are refused as invalid',
    async (authorization) => {
      const reply = await send(await listen(), { headers: { authorization } })
      expect(reply.status).toBe(401)
      expect(reply.headers['www-authenticate']).toContain('error="invalid_token"')
      expect(reply.body).not.toContain(apiKey)
    },
  )

  test('a key in the query is not a credential', async () => {
    const path = `/echo?access_token=${apiKey}&key=${apiKey}`
    const reply = await send(await listen(), { path, headers: { authorization: '' } })
    expect(reply.status).toBe(401)
  })

  test('the scheme may be written in any case', async () => {
    const headers = { authorization: `bEaReR ${apiKey}` }
    expect((await send(await listen(), { headers })).status).toBe(200)
  })

  test('without a configured key the server refuses to listen beyond loopback', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
      await expect(listen({ host, apiKey: undefined })).rejects.toMatchObject({
        code: 'misconfigured',
      })
    }
    const anyone = await listen({ apiKey: undefined })
    expect((await send(anyone, { headers: { authorization: '' } })).status).toBe(200)
  })

  test.each([
    ['forwarded', 'for=192.0.2.7'],
    ['x-forwarded-for', '192.0.2.7'],
    ['x-forwarded-host', 'localhost'],
    ['X-Forwarded-Proto', 'https'],
    ['x-real-ip', '192.0.2.7'],
    ['via', '1.1 edge'],
  ])(
    'without a key nothing is served through a proxy that says so with %s',
    async (name, value) => {
      const anyone = await listen({ apiKey: undefined })
      const refused = await send(anyone, { headers: { authorization: '', [name]: value } })
      expect(refused.status).toBe(403)
      expect(refused.body).toContain('MINDGLUE_API_KEY')
      const keyed = await listen()
      expect((await send(keyed, { headers: { [name]: value } })).status).toBe(200)
    },
  )

  test('a wrong key is refused even where none is asked for', async () => {
    const anyone = await listen({ apiKey: undefined })
    expect((await send(anyone, { headers: { authorization: 'Bearer stale' } })).status).toBe(401)
  })
})

describe('limits', () => {
  test('a body above the limit is refused, with or without a declared length', async () => {
    const listener = await listen()
    const body = 'x'.repeat(5 * 1024 * 1024)
    const declared = await send(listener, { body })
    expect(declared.status).toBe(413)
    expect(json(declared)).toMatchObject({ code: 'payload_too_large', retryable: false })
    const chunked = await fetch(`${listener.origin}/echo`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}` },
      body: new Blob([body]).stream(),
      duplex: 'half',
    })
    expect(chunked.status).toBe(413)
  })

  test('a refused body is read to its end, so that the client sees the answer', async () => {
    const listener = await listen()
    const length = 2 * 1024 * 1024
    let answer = ''
    const socket = connect(listener.port, '127.0.0.1')
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.on('data', (part: Buffer) => (answer += part.toString()))
    socket.write(`${head}\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`)
    // Another request and its answer pass in the meantime: an early answer would be here by now.
    await send(listener)
    expect(answer).toBe('')
    socket.write(Buffer.alloc(length, 'x'))
    await closed
    expect(answer).toMatch(/^HTTP\/1\.1 413/u)
  })

  test.each([{}, { 'transfer-encoding': 'chunked' }])(
    'a body at the limit is served, sent with %j',
    async (headers) => {
      const listener = await listen({ bodyBytesMax: 1000 })
      expect(json(await send(listener, { headers, body: 'x'.repeat(1000) }))['length']).toBe(1000)
    },
  )

  test('a client that gives up in the middle of its body does not disturb the next', async () => {
    let failures = 0
    const listener = await listen({ onUnexpectedError: () => (failures += 1) })
    const socket = connect(listener.port, '127.0.0.1')
    socket.write(`${head}\r\nContent-Length: 500\r\n\r\nhello`)
    // Another request and its answer pass in the meantime: the half body has arrived by now.
    await send(listener)
    socket.destroy()
    await until(() => failures === 1)
    expect((await send(listener)).status).toBe(200)
  })

  test('headers beyond 16 KiB are refused', async () => {
    const reply = await send(await listen(), { headers: { 'x-long': 'x'.repeat(20_000) } })
    expect(reply.status).toBe(431)
  })

  test('garbage instead of HTTP ends the connection and nothing else', async () => {
    const listener = await listen()
    expect(await raw(listener, '\u0000garbage\r\n\r\n')).toMatch(/^HTTP\/1\.1 400/u)
    expect((await send(listener)).status).toBe(200)
  })
})

describe('answers', () => {
  test('every answer carries the id that the principal was given', async () => {
    const listener = await listen()
    const reply = await send(listener)
    expect(reply.headers['x-request-id']).toBe(json(reply)['requestId'])
    const refused = await send(listener, { headers: { authorization: 'Bearer wrong' } })
    expect(json(refused)['request_id']).toBe(refused.headers['x-request-id'])
  })

  test('an unknown path is a problem document', async () => {
    const reply = await send(await listen(), { path: '/nothing-here' })
    expect(reply.status).toBe(404)
    expect(json(reply)).toMatchObject({ status: 404, code: 'not_found' })
  })

  test('a failure inside is 500 with a request id, without its text', async () => {
    const seen: unknown[] = []
    const broken = {
      path: '/broken',
      handle: () => Promise.reject(new Error('secret detail at /srv/app.ts:7')),
      close: () => Promise.resolve(),
    }
    const listener = await listen({
      mounts: [broken],
      onUnexpectedError: (error) => seen.push(error),
    })
    const reply = await send(listener, { path: '/broken' })
    expect(reply.status).toBe(500)
    expect(reply.body).not.toContain('secret detail')
    expect(seen).toHaveLength(1)
  })

  test('an overloaded dependency tells when to try again', async () => {
    const busy = {
      path: '/busy',
      handle: () =>
        Promise.reject(new AppError('unavailable', 'Try again.', { retryAfterSeconds: 2 })),
      close: () => Promise.resolve(),
    }
    const reply = await send(await listen({ mounts: [busy] }), { path: '/busy' })
    expect(reply.status).toBe(503)
    expect(reply.headers['retry-after']).toBe('2')
  })
})

describe('closing', () => {
  test('a running request is answered, then the port is free', async () => {
    let release: () => void = () => undefined
    let entered: () => void = () => undefined
    const running = new Promise<void>((resolve) => (entered = resolve))
    const slow = {
      path: '/slow',
      handle: async () => {
        entered()
        await new Promise<void>((resolve) => (release = resolve))
        return new Response('done')
      },
      close: () => Promise.resolve(),
    }
    const listener = await listen({ mounts: [slow], drainSeconds: 10 })
    const reply = send(listener, { path: '/slow' })
    await running
    const closing = listener.close()
    release()
    expect((await reply).body).toBe('done')
    await closing
    await expect(send(listener)).rejects.toThrow(/ECONNREFUSED/u)
  })

  test('a request that never ends is cut after the drain time', async () => {
    let entered: () => void = () => undefined
    const running = new Promise<void>((resolve) => (entered = resolve))
    const stuck = {
      path: '/stuck',
      handle: () => {
        entered()
        return new Promise<Response>(() => undefined)
      },
      close: () => Promise.resolve(),
    }
    const listener = await listen({ mounts: [stuck], drainSeconds: 0 })
    const reply = send(listener, { path: '/stuck' })
    const cut = expect(reply).rejects.toThrow(/socket hang up|ECONNRESET/u)
    await running
    await listener.close()
    await cut
  })
})
