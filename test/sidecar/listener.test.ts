/** The sidecar: what health and metrics answer, to whom, and what a hostile request gets. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, test } from 'vitest'
import { createFailedKeys } from '../../src/auth/failed-keys.ts'
import { createRateLimiter } from '../../src/auth/rate-limit.ts'
import { createReadiness, type Check } from '../../src/sidecar/health.ts'
import { createSidecar, type Sidecar, type SidecarOptions } from '../../src/sidecar/listener.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

const open: Sidecar[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((sidecar) => sidecar.close()))
})

const perMinute = (keys: number) =>
  createFailedKeys(createRateLimiter({ scripts: undefined, replicas: 1 }), keys)

async function start(options: Partial<SidecarOptions> = {}): Promise<Sidecar> {
  const sidecar = await createSidecar({
    host: '127.0.0.1',
    port: 0,
    allowedHosts: [],
    metricsKey: undefined,
    failedKeys: perMinute(100),
    metrics: createMetrics({ version: '1.2.3', namespaces: [] }),
    log: createLog({ level: 'silent' }),
    readiness: () => Promise.resolve([{ name: 'database', ok: true }]),
    ...options,
  })
  open.push(sidecar)
  return sidecar
}

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A plain request, since fetch forbids setting `Host`. */
function get(
  { port }: Sidecar,
  path: string,
  { headers = {}, method = 'GET', host = '127.0.0.1' } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host, port, path, method, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('end', () => {
        const { statusCode: status = 0, headers: answered } = response
        resolve({ status, headers: answered, body })
      })
    })
    request.on('error', reject)
    request.end()
  })
}

describe('health', () => {
  test('a running process is alive even when a dependency is not', async () => {
    const sidecar = await start({ readiness: () => Promise.reject(new Error('down')) })
    expect(await get(sidecar, '/health/live')).toMatchObject({ status: 200 })
  })

  test('ready names every dependency', async () => {
    const checks: Check[] = [
      { name: 'database', ok: true },
      { name: 'migrations', ok: true },
    ]
    const sidecar = await start({ readiness: () => Promise.resolve(checks) })
    const { status, body } = await get(sidecar, '/health/ready?from=probe')
    expect(status).toBe(200)
    expect(JSON.parse(body)).toEqual({ status: 'ready', checks })
  })

  test('one failing dependency makes it 503 and is named', async () => {
    const checks: Check[] = [
      { name: 'database', ok: true },
      { name: 'redis', ok: false, detail: 'no answer' },
    ]
    const sidecar = await start({ readiness: () => Promise.resolve(checks) })
    const { status, body } = await get(sidecar, '/health/ready')
    expect(status).toBe(503)
    expect(JSON.parse(body)).toEqual({ status: 'not ready', checks })
  })

  test('a draining process is alive and not ready', async () => {
    const sidecar = await start()
    sidecar.drain()
    expect(await get(sidecar, '/health/ready')).toMatchObject({
      status: 503,
      body: expect.stringContaining('draining') as unknown,
    })
    expect(await get(sidecar, '/health/live')).toMatchObject({ status: 200 })
  })

  test('a check that throws gives 503 without its text', async () => {
    const readiness = () => Promise.reject(new Error('postgres://app:pw@db'))
    const { status, body } = await get(await start({ readiness }), '/health/ready')
    expect(status).toBe(503)
    expect(body).not.toContain('postgres')
  })

  test('a check that hangs fails in bounded time', async () => {
    const readiness = createReadiness(() => new Promise(() => undefined), 20)
    expect(await readiness()).toEqual({
      status: 'not ready',
      checks: [{ name: 'checks', ok: false, detail: 'no answer in 20 ms' }],
    })
  })

  test('probes at the same time share one run of the checks', async () => {
    let runs = 0
    const readiness = createReadiness(async () => {
      runs++
      return []
    })
    await Promise.all([readiness(), readiness(), readiness()])
    expect(runs).toBe(1)
    await readiness()
    expect(runs).toBe(2)
  })
})

describe('metrics', () => {
  test('on loopback are open', async () => {
    const { status, body } = await get(await start(), '/metrics')
    expect(status).toBe(200)
    expect(body).toContain('mindglue_build_info{version="1.2.3"} 1')
  })

  const metricsKey = 'correct-horse-battery-staple'
  const beyond = async (failedKeys = perMinute(100)) => {
    const sidecar = await start({ host: '0.0.0.0', metricsKey, failedKeys })
    const asked = (authorization: string) =>
      get(sidecar, '/metrics', { headers: { authorization } })
    return { sidecar, asked }
  }

  test('beyond loopback ask for their own key, and health does not', async () => {
    const { sidecar, asked } = await beyond()
    expect(await get(sidecar, '/metrics')).toMatchObject({ status: 401 })
    expect(await asked('Bearer wrong')).toMatchObject({ status: 401 })
    expect(await asked(`Basic ${metricsKey}`)).toMatchObject({ status: 401 })
    expect(await asked(`Bearer ${metricsKey}`)).toMatchObject({ status: 200 })
    expect(await get(sidecar, '/health/live')).toMatchObject({ status: 200 })
  })

  test('are not guessed at for long: beyond the limit right and wrong keys look alike', async () => {
    const failedKeys = perMinute(3)
    const { sidecar, asked } = await beyond(failedKeys)
    // What sends no key guesses nothing.
    for (let turn = 0; turn < 5; turn++) await get(sidecar, '/metrics')
    const statuses: number[] = []
    for (let turn = 0; turn < 5; turn++) statuses.push((await asked(`Bearer guess-${turn}`)).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
    const right = await asked(`Bearer ${metricsKey}`)
    expect(right.status).toBe(429)
    expect(Number(right.headers['retry-after'])).toBeGreaterThan(0)
    expect(await get(sidecar, '/health/live')).toMatchObject({ status: 200 })
    // The main listener counts for the same address.
    expect(() => failedKeys.refuse('127.0.0.1')).toThrow('Too many wrong keys')
  })

  test('beyond loopback without a key the sidecar does not start', async () => {
    await expect(start({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'misconfigured' })
  })
})

describe('refusals', () => {
  test.each(['evil.example', 'evil.example:80', 'localhost.evil.example', '169.254.1.1'])(
    'Host %j is refused on every path',
    async (host) => {
      const sidecar = await start()
      for (const path of ['/health/live', '/health/ready', '/metrics', '/']) {
        expect(await get(sidecar, path, { headers: { host } })).toMatchObject({ status: 403 })
      }
    },
  )

  test('a configured name and the address that was called are accepted as Host', async () => {
    const sidecar = await start({
      host: '0.0.0.0',
      metricsKey: 'correct-horse-battery-staple',
      allowedHosts: ['mindglue'],
    })
    const named = await get(sidecar, '/health/live', { headers: { host: 'mindglue:7338' } })
    expect(named.status).toBe(200)
    const address = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find((entry) => entry.family === 'IPv4' && !entry.internal)?.address
    if (address === undefined) return
    expect(await get(sidecar, '/health/live', { host: address })).toMatchObject({ status: 200 })
  })

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is refused', async (method) => {
    expect(await get(await start(), '/health/live', { method })).toMatchObject({ status: 405 })
  })

  test('an unknown path says which ones exist', async () => {
    const { status, body } = await get(await start(), '/etc/passwd')
    expect(status).toBe(404)
    expect(body).toContain('/health/ready')
  })

  test('a port in use is a clear refusal', async () => {
    const { port } = await start()
    await expect(start({ port })).rejects.toMatchObject({
      code: 'misconfigured',
      publicMessage: expect.stringContaining('MINDGLUE_SIDECAR_PORT') as unknown,
    })
  })
})
