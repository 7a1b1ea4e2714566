/**
 * Requests with the `Host` or the `Origin` of somebody else, to every route of every listener: a page that
 * a browser shows must reach none of them. `SEED=…` repeats a run.
 */
import { Agent, request as httpRequest } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRoutes } from '../../src/http/routes.ts'
import { createSidecar, type Sidecar } from '../../src/sidecar/listener.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
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

let app: TestApp
let sidecar: Sidecar
let targets: readonly Target[]
const agent = new Agent({ keepAlive: true, maxSockets: lanes })

beforeAll(async () => {
  app = await startTestApp({
    environment: {
      MINDGLUE_ALLOWED_HOSTS: 'memory.example',
      MINDGLUE_ALLOWED_ORIGINS: 'https://app.example',
    },
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
      onProduct(method, path.replace('{id}', '01890000-0000-7000-8000-000000000000')),
    ),
    ...['GET', 'POST', 'DELETE', 'OPTIONS'].map((method) => onProduct(method, '/mcp')),
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
  const asked = new Set<Target>()
  let done = 0
  const run = async (lane: number): Promise<void> => {
    const random = seededRandom(seed + lane)
    for (let turn = lane; turn < requests; turn += lanes) {
      // Every target in turn, so that none is left out.
      const target = targets[Math.floor(turn / 2) % targets.length] ?? pick(random, targets)
      const isHost = turn % 2 === 0
      const names = isHost ? { host: foreignHost(random) } : { origin: foreignOrigin(random) }
      const status = await send(target, names)
      if (status !== 403) wrong.push({ status, ...names, ...target })
      asked.add(target)
      done += 1
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)))
  expect({ seed, wrong: wrong.slice(0, 10) }).toEqual({ seed, wrong: [] })
  expect(done).toBe(requests)
  expect(asked.size).toBe(targets.length)
}, 120_000)

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
