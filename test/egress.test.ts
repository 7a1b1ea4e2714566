/** The way out keeps its limits: time, size, no redirects, no secrets in errors. Real loopback servers. */
import type { RequestListener } from 'node:http'
import { expect, test } from 'vitest'
import { send } from '../src/egress.ts'
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
