/**
 * Requests with the `Host` or the `Origin` of somebody else, to every route of every listener: a page that
 * a browser shows must reach none of them. `SEED=…` repeats a run.
 */
import { Agent, request as httpRequest } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRoutes } from '../../src/http/routes.ts'
import { createSidecar, type Sidecar } from '../../src/sidecar/listener.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { seededRandom, seedOf } from '../support/random.ts'
import { pick } from './mutations.ts'

const requests = 5000
const lanes = 8
const seed = seedOf(process.env)

interface Target {
  readonly port: number
  readonly method: string
  readonly path: string
}

let app: AccountsApp
let sidecar: Sidecar
let targets: readonly Target[]
const agent = new Agent({ keepAlive: true, maxSockets: lanes })

beforeAll(async () => {
  app = await startAccountsApp({
    MINDGLUE_ALLOWED_HOSTS: 'memory.example',
    MINDGLUE_ALLOWED_ORIGINS: 'https://app.example',
  })
  const { failedKeys, metrics, log } = app.app
  sidecar = await createSidecar({
    host: '127.0.0.1',
    port: 0,
    allowedHosts: ['memory.example'],
    metricsKey: undefined,
    failedKeys,
    metrics,
    log,
    readiness: () => app.app.readiness(),
  })
  const onProduct = (method: string, path: string) => ({ port: app.listener.port, method, path })
  const onSidecar = (method: string, path: string) => ({ port: sidecar.port, method, path })
  targets = [
    ...createRoutes(app.app.operations).map(({ method, path }) =>
      onProduct(method, path.replaceAll(/\{\w+\}/gu, '01890000-0000-7000-8000-000000000000')),
    ),
    ...['GET', 'POST', 'DELETE', 'OPTIONS'].map((method) => onProduct(method, '/mcp')),
    ...openTargets.map(([method, path]) => onProduct(method, path)),
    ...['/openapi.json', '/docs', '/.well-known/security.txt', '/', '/nothing'].flatMap((path) =>
      ['GET', 'HEAD', 'OPTIONS'].map((method) => onProduct(method, path)),
    ),
    ...['/health/live', '/health/ready', '/metrics', '/'].flatMap((path) =>
      ['GET', 'HEAD', 'POST'].map((method) => onSidecar(method, path)),
    ),
  ]
}, 120_000)
afterAll(async () => {
  agent.destroy()
  await sidecar.close()
  await app.close()
})

/** What people and programs reach without a key: accounts, the authorization server, and what both say of themselves. */
const openTargets: readonly (readonly [method: string, path: string])[] = [
  ...[
    'sign-up',
    'reset',
    'password',
    'password/change',
    'log-in',
    'log-out',
    'second-factor',
    'second-factor/confirm',
    'second-factor/remove',
    'invitations/accept',
    'namespaces',
    'token',
    'clients/revoke',
  ].map((name) => ['POST', `/account/${name}`] as const),
  ...['', '/clients', '/jwks'].map((name) => ['GET', `/account${name}`] as const),
  ...['register', 'token', 'revoke'].map((name) => ['POST', `/oauth/${name}`] as const),
  ...['authorize', 'jwks'].map((name) => ['GET', `/oauth/${name}`] as const),
  ...['consent/none', 'clients'].flatMap((name) =>
    ['GET', 'POST'].map((method) => [method, `/oauth/${name}`] as const),
  ),
  ...['/mcp', ''].map((path) => ['GET', `/.well-known/oauth-protected-resource${path}`] as const),
  ...['oauth-authorization-server', 'openid-configuration'].flatMap((name) =>
    ['GET', 'OPTIONS'].map((method) => [method, `/.well-known/${name}`] as const),
  ),
]

const own = ['localhost', '127.0.0.1', '[::1]', 'memory.example', 'app.example']

/** Names that are not ours, many of them made of ours. */
function foreignName(random: () => number): string {
  const ours = pick(random, own).replaceAll(/[[\]]/gu, '')
  const plain = ours.includes(':') ? 'localhost' : ours
  return pick(random, [
    'evil.example',
    'xn--lcalhost-r4a.example',
    `${plain}.evil.example`,
    `evil-${plain}`,
    `${plain}.`,
    `${plain}.nip.io`,
    `www.${plain}`,
    '0.0.0.0',
    '127.1',
    '2130706433',
    '0x7f000001',
    '127.0.0.1.nip.io',
    '10.0.0.1',
    '169.254.169.254',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[fe80::1]',
    'metadata.internal',
  ])
}

function foreignHost(random: () => number): string {
  const port = pick(random, ['', `:${app.listener.port}`, ':80', ':443', ':1'])
  return `${foreignName(random)}${port}`
}

function foreignOrigin(random: () => number): string {
  const name = foreignName(random)
  return pick(random, [
    `http://${name}`,
    `https://${name}`,
    `https://${name}:8443`,
    `http://localhost@${name}`,
    // Ours by name, and still not what a browser sends for a page of ours.
    'http://app.example',
    'https://app.example:8443',
    'https://app.example/',
    'HTTPS://app.example',
    'https://memory.example',
    'null',
    'file://',
    'chrome-extension://abcdefgh',
    'app.example',
    'https://app.example, https://evil.example',
  ])
}

function send({ port, method, path }: Target, names: Readonly<Record<string, string>>) {
  return new Promise<number>((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${app.apiKey}`,
      'content-type': 'application/json',
      host: 'localhost',
      ...names,
    }
    const sent = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent }, (reply) => {
      reply.resume()
      reply.on('end', () => resolve(reply.statusCode ?? 0))
      reply.on('error', reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}

test(`${requests} foreign names: each is answered with 403`, async () => {
  const wrong: object[] = []
  const asked = { host: new Set<Target>(), origin: new Set<Target>() }
  const done = { host: 0, origin: 0 }
  const run = async (lane: number): Promise<void> => {
    const random = seededRandom(seed + lane)
    for (let turn = lane; turn < requests; turn += lanes) {
      // Every target in turn, so that none is left out.
      const target = targets[Math.floor(turn / 2) % targets.length] ?? pick(random, targets)
      const kind = turn % 2 === 0 ? 'host' : 'origin'
      const names = { [kind]: kind === 'host' ? foreignHost(random) : foreignOrigin(random) }
      const status = await send(target, names)
      if (status !== 403) wrong.push({ status, ...names, ...target })
      asked[kind].add(target)
      done[kind] += 1
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)))
  expect({ seed, wrong: wrong.slice(0, 10) }).toEqual({ seed, wrong: [] })
  expect(done).toEqual({ host: requests / 2, origin: requests / 2 })
  expect(asked).toEqual({ host: new Set(targets), origin: new Set(targets) })
}, 120_000)

test('what was asked of accounts and of the authorization server is there under our own name', async () => {
  const missing: object[] = []
  for (const [method, path] of openTargets) {
    const status = await send({ port: app.listener.port, method, path }, {})
    if (status === 404) missing.push({ method, path, status })
  }
  expect(missing).toEqual([])
})

test('the same routes serve our own names', async () => {
  for (const host of ['localhost', 'memory.example', `127.0.0.1:${app.listener.port}`]) {
    for (const [port, path] of [
      [app.listener.port, '/memory'],
      [app.listener.port, '/docs'],
      [sidecar.port, '/health/live'],
    ] as const) {
      expect(await send({ port, path, method: 'GET' }, { host })).toBe(200)
    }
  }
  const target = { port: app.listener.port, path: '/memory', method: 'GET' }
  expect(await send(target, { origin: 'https://app.example' })).toBe(200)
})
