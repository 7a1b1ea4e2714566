/** The way out keeps its limits: time, size, no redirects, no secrets in errors. Real loopback servers. */
import type { RequestListener } from 'node:http'
import { expect, test } from 'vitest'
import { isPublicAddress, send } from '../src/egress.ts'
import { AppError } from '../src/errors.ts'
import { serveLoopback } from './support/loopback.ts'

const serve = async (listener: RequestListener): Promise<string> =>
  (await serveLoopback(listener)).url

const limits = { timeoutMs: 5000, answerBytesMax: 1000 }

async function failure(promise: Promise<unknown>): Promise<AppError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof AppError) return error
  throw new Error('an AppError was expected', { cause: error })
}

test('the answer comes back with its status, whatever it is', async () => {
  const url = await serve((request, response) => {
    response.statusCode = request.method === 'POST' ? 418 : 200
    request.pipe(response)
  })
  const answer = await send({ url, method: 'POST', body: 'tea', ...limits })
  expect(answer.status).toBe(418)
  expect(answer.body.toString()).toBe('tea')
})

test('a server that never answers is a timeout', async () => {
  const url = await serve(() => undefined)
  const error = await failure(send({ url, timeoutMs: 100, answerBytesMax: 1000 }))
  expect(error.code).toBe('timeout')
})

test('a server that stops in the middle of its answer is a timeout', async () => {
  const url = await serve((_request, response) => {
    response.writeHead(200)
    response.write('begun')
  })
  const error = await failure(send({ url, timeoutMs: 100, answerBytesMax: 1000 }))
  expect(error.code).toBe('timeout')
})

test('an answer above the limit is refused while it is read', async () => {
  let sent = 0
  const url = await serve((_request, response) => {
    const write = (): void => {
      while (sent < 50_000_000 && response.write(Buffer.alloc(10_000))) sent += 10_000
    }
    response.on('drain', write)
    write()
  })
  const error = await failure(send({ url, ...limits }))
  expect(error.code).toBe('unavailable')
  expect(error.details).toEqual({ answerBytesMax: 1000 })
  expect(sent).toBeLessThan(20_000_000)
})

test('a redirect is not followed', async () => {
  let visits = 0
  const url = await serve((request, response) => {
    visits += 1
    response.writeHead(302, { location: '/elsewhere' }).end()
    expect(request.url).toBe('/')
  })
  expect((await send({ url, ...limits })).status).toBe(302)
  expect(visits).toBe(1)
})

test('a closed port is unavailable, and its error names no address', async () => {
  const { url, close } = await serveLoopback((_request, response) => {
    response.end()
  })
  await close()
  const error = await failure(send({ url: `${url}/secret-path`, ...limits }))
  expect(error.code).toBe('unavailable')
  expect(error.retryable).toBe(true)
  expect(error.message).not.toContain('127.0.0.1')
  expect(error.message).not.toContain('secret')
})

test("the caller's own abort is passed on as it is", async () => {
  const url = await serve(() => undefined)
  const controller = new AbortController()
  const pending = send({ url, ...limits, signal: controller.signal })
  const reason = new Error('the client went away')
  controller.abort(reason)
  await expect(pending).rejects.toBe(reason)
})

test('what a stranger chose leads to no address of this machine, by number or by name', async () => {
  let requests = 0
  const url = await serve((_request, response) => {
    requests += 1
    response.end()
  })
  const { port } = new URL(url)
  for (const host of ['127.0.0.1', '2130706433', '[::ffff:127.0.0.1]', '[::1]', 'localhost']) {
    const asked = { url: `http://${host}:${port}/`, isPublicOnly: true, ...limits }
    expect((await failure(send(asked))).code).toBe('unavailable')
  }
  expect(requests).toBe(0)
  expect((await send({ url, ...limits })).status).toBe(200)
})

test('only addresses of the internet count as public', () => {
  const open = ['1.1.1.1', '93.184.216.34', '172.32.0.1', '2606:4700::1111', '2a00:1450::1']
  expect(open.filter((address) => !isPublicAddress(address))).toEqual([])
  const closed = `0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.8 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    240.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 64:ff9b::a00:1 100::1 2001::1
    2001:db8::1 2002:a00:1:: 3fff::1 fc00::1 fd12::1 fe80::1 fec0::1 ff02::1 localhost 1.2.3 x`
  expect(closed.split(/\s+/u).filter((address) => isPublicAddress(address))).toEqual([])
})
