/** HTTPS: certificates that change while they serve, what is refused, and plain HTTP beyond loopback. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createEntrance } from '../../src/http/entrance.ts'
import { createListener, type Listener, type ListenerOptions } from '../../src/http/listener.ts'
import type { TlsOptions } from '../../src/http/tls.ts'
import { testAuthenticator } from '../support/authenticator.ts'
import { until } from '../support/until.ts'

const apiKey = 'a-key-that-is-long-enough-for-a-test'
let directory: string
const open: Listener[] = []
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'mindglue-https-'))
  for (const name of ['first', 'second']) makePair(name)
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const file = (name: string): string => join(directory, name)

function openssl(...given: readonly string[]): void {
  execFileSync('openssl', given, { stdio: 'ignore' })
}

/** A certificate of its own authority, with its key. */
function makePair(name: string): void {
  // prettier-ignore
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`))
}

function options(changes: Partial<ListenerOptions> = {}): ListenerOptions {
  return {
    host: '127.0.0.1',
    port: 0,
    hosts: [],
    origins: [],
    bodyBytesMax: 1024,
    drainSeconds: 1,
    authenticator: testAuthenticator(apiKey),
    mounts: [
      {
        path: '/echo',
        handle: () => Promise.resolve(new Response('here')),
        close: () => Promise.resolve(),
      },
    ],
    ...changes,
  }
}

/** A listener whose certificate files begin as the first pair, and what it was told of them. */
async function serve(name: string) {
  const files = { certificateFile: file(`${name}.served.crt`), keyFile: file(`${name}.served.key`) }
  put('first', files)
  const told = { served: 0, refused: [] as string[] }
  const tls: TlsOptions = {
    ...files,
    checkEveryMs: 20,
    onCertificate: () => (told.served += 1),
    onRefused: (error) => told.refused.push(error.publicMessage),
  }
  const listener = await createListener(options({ tls }))
  open.push(listener)
  return { listener, files, told }
}

function put(name: string, { certificateFile, keyFile }: TlsOptions): void {
  copyFileSync(file(`${name}.key`), keyFile)
  copyFileSync(file(`${name}.crt`), certificateFile)
}

/** Who the server says it is to a new connection. */
function nameOf({ port }: Listener): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.end()
    })
    socket.on('error', reject)
  })
}

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly localPort: number
}

function get({ origin }: Listener, more: { ca: string; agent?: Agent }): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${apiKey}` }
    const sent = httpsRequest(`${origin}/echo`, { headers, ...more }, (reply) => {
      const localPort = reply.socket.localPort ?? 0
      reply.resume()
      reply.on('end', () =>
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, localPort }),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

describe('a certificate', () => {
  test('serves HTTPS that a client verifies in full, and says so for a year', async () => {
    const { listener, told } = await serve('verified')
    expect(listener.origin).toMatch(/^https:/u)
    const reply = await get(listener, { ca: readFileSync(file('first.crt'), 'utf8') })
    expect(reply.status).toBe(200)
    expect(reply.headers['strict-transport-security']).toBe('max-age=31536000')
    expect(told.served).toBe(1)
    await expect(fetch(listener.origin.replace('https', 'http'))).rejects.toThrow()
  })

  test('that changes serves new connections, while open ones go on', async () => {
    const { listener, files, told } = await serve('changed')
    const ca = `${readFileSync(file('first.crt'), 'utf8')}${readFileSync(file('second.crt'), 'utf8')}`
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const before = await get(listener, { ca, agent })
    expect(await nameOf(listener)).toBe('first')
    put('second', files)
    await until(async () => (await nameOf(listener)) === 'second', { what: 'the new certificate' })
    expect(told.served).toBe(2)
    const after = await get(listener, { ca, agent })
    expect(after).toMatchObject({ status: 200, localPort: before.localPort })
    agent.destroy()
  })

  test('that cannot be used is refused, and the one before goes on until a good one comes', async () => {
    const { listener, files, told } = await serve('broken')
    copyFileSync(file('second.crt'), files.certificateFile)
    await until(() => told.refused.length === 1, { what: 'a refusal of half a pair' })
    expect(told.refused[0]).toContain('is not that of the certificate')
    writeFileSync(files.certificateFile, 'no certificate')
    await until(() => told.refused.length === 2, { what: 'a refusal of garbage' })
    rmSync(files.keyFile)
    await until(() => told.refused.length === 3, { what: 'a refusal of nothing' })
    expect(await nameOf(listener)).toBe('first')
    put('second', files)
    await until(async () => (await nameOf(listener)) === 'second', { what: 'the good pair' })
  })

  test('is not served with TLS 1.1', async () => {
    const { listener } = await serve('old')
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } as const
    const attempt = new Promise((resolve, reject) => {
      const { port } = listener
      const ciphers = 'DEFAULT@SECLEVEL=0'
      const more = { rejectUnauthorized: false, ciphers, ...old }
      connect({ port, host: '127.0.0.1', ...more }, () => resolve('connected')).on('error', reject)
    })
    await expect(attempt).rejects.toThrow(/version|alert|protocol/iu)
  })

  test.each([
    ['of another key', 'first.crt', 'second.key', /not that of the certificate/u],
    ['that is none', 'first.key', 'first.key', /no certificate in PEM/u],
    ['without a key', 'first.crt', 'first.crt', /no private key in PEM/u],
    ['that is not there', 'gone.crt', 'first.key', /cannot be read/u],
  ])('%s stops the start and says why', async (_what, crt, key, message) => {
    const tls = { certificateFile: file(crt), keyFile: file(key) }
    const start = createListener(options({ tls }))
    await expect(start).rejects.toMatchObject({ code: 'misconfigured' })
    await expect(start).rejects.toThrow(message)
  })
})

describe('beyond loopback', () => {
  test('nothing is served without a certificate or a proxy in front', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
      await expect(createListener(options({ host }))).rejects.toThrow(/only HTTPS is served/u)
    }
  })

  const proxies = ['10.1.0.0/16']
  /** An answer to a plain request that comes from this address. */
  const from = async (remoteAddress: string, headers: Readonly<Record<string, string>> = {}) => {
    const entrance = createEntrance(options({ proxies }), 'proxied')
    const request = new Request('http://localhost/echo', {
      headers: { host: 'localhost', authorization: `Bearer ${apiKey}`, ...headers },
    })
    return await entrance.fetch(request, { incoming: { socket: { remoteAddress } } })
  }

  test('plain HTTP is taken from the named proxies and from this machine, from nobody else', async () => {
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      expect((await from(address)).status).toBe(200)
    }
    for (const address of ['10.2.0.1', '192.0.2.7', '2001:db8::1', '::ffff:192.0.2.7']) {
      const reply = await from(address, { 'x-forwarded-proto': 'https' })
      expect(reply.status).toBe(403)
      expect(reply.headers.get('strict-transport-security')).toBeNull()
    }
  })

  test('what came to the proxy over plain HTTP is refused, what came over HTTPS is told to stay so', async () => {
    const proto = (value: string) => from('10.1.2.3', { 'x-forwarded-proto': value })
    expect((await proto('http')).status).toBe(403)
    // The proxy adds what it saw to what the client claims.
    expect((await proto('https, http')).status).toBe(403)
    expect((await proto('http, HTTPS')).status).toBe(200)
    expect((await proto('nonsense')).status).toBe(403)
    const encrypted = await proto('https')
    expect(encrypted.status).toBe(200)
    expect(encrypted.headers.get('strict-transport-security')).toBe('max-age=31536000')
    expect(
      (await from('127.0.0.1', { 'x-forwarded-proto': 'https' })).headers.get(
        'strict-transport-security',
      ),
    ).toBeNull()
  })
})
