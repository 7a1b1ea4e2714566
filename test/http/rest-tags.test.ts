/** The tag of a memory over REST, and what `If-Match` does with it. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { AppError } from '../../src/errors.ts'
import { createRest } from '../../src/http/rest.ts'
import { route } from '../../src/http/route.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { answering } from '../support/answering.ts'
import { testPrincipal } from '../support/principal.ts'
import { restClient, type RestReply } from '../support/rest.ts'

let app: TestApp
let call: ReturnType<typeof restClient>
beforeAll(async () => {
  app = await startTestApp()
  call = restClient(app)
}, 120_000)
afterAll(() => app.close())

const codeOf = ({ status, body }: RestReply): unknown => body['status'] === status && body['code']

test('a memory has another tag whenever it reads otherwise, and the same from every answer about it', async () => {
  const expiring = { content: 'The offer holds.', expires_at: '2099-01-01T00:00:00Z' }
  const made = await call('POST', '/memory', expiring)
  const address = String(made.headers['location'])
  const seen = new Map<unknown, unknown>()
  const look = async ({ headers: { etag } }: RestReply) => {
    const read = await call('GET', address)
    expect(etag).toBe(read.headers['etag'])
    expect(seen.get(etag) ?? read.body).toEqual(read.body)
    seen.set(etag, read.body)
    return String(etag)
  }
  await look(made)
  for (const [way, body] of [
    ['pin', { pin: true }],
    ['feedback', { feedback: 'helpful' }],
    ['pin', { pin: false }],
  ] as const) {
    await look(await call('POST', `${address}/${way}`, body))
  }
  expect(seen.size).toBe(3)
  await call('POST', `${address}/pin`, { pin: true })
  const change = (body: object, tag: string) => call('PATCH', address, body, { 'if-match': tag })
  const pinned = await look(await change({ content: 'The offer stands.' }, '"1-pinned"'))
  expect(pinned).toBe('"2-pinned"')
  expect(codeOf(await change({ tags: ['late'] }, '"1-pinned"'))).toBe('precondition_failed')
  await look(await change({ access: 'private' }, pinned))
  expect(seen.size).toBe(5)
})

describe('a version that is meant', () => {
  const input = z.strictObject({ id: z.uuid(), expected_version: z.int().optional() })
  const output = z.object({ version: z.int() })
  /** An operation on the third version of a memory, as a route with its id in the path. */
  const rest = () => {
    const operation = {
      name: 'store' as const,
      title: 'Change',
      description: 'Changes.',
      scope: 'memory:write' as const,
      effect: 'write' as const,
      input,
      output,
      isIdempotent: () => false,
      prepare: () => Promise.resolve(undefined),
      commit: () => Promise.reject(new Error('is not run')),
    }
    const execute = answering((given) => {
      if ((input.parse(given).expected_version ?? 3) === 3) return { version: 4 }
      throw new AppError('conflict', 'It is at version 3.', { details: { version: 3 } })
    })
    const routes = [route('change', 'PATCH', '/memory/{id}', operation, { path: { id: z.uuid() } })]
    const { operations } = app.app
    return createRest({ execute, operations, isCurrent: () => Promise.resolve(true) }, routes).mount
  }
  const patch = (tag: string) =>
    rest().handle(
      new Request(`http://localhost/memory/${randomUUID()}`, {
        method: 'PATCH',
        headers: { 'if-match': tag },
      }),
      testPrincipal(),
    )

  test('is named with If-Match; another one is a failed precondition', async () => {
    expect(await (await patch('"3"')).json()).toEqual({ version: 4 })
    for (const tag of ['*', '"3-pinned"', '"3-until-4070908800000"']) {
      expect((await patch(tag)).status).toBe(200)
    }
    for (const tag of ['"2"', '"2-pinned"', 'W/"3"', '3', '"x"', '"3", "4"', '"3-x"']) {
      await expect(patch(tag)).rejects.toMatchObject({
        code: 'precondition_failed',
        httpStatus: 412,
      })
    }
  })

  test('is not ignored where nothing looks at it', async () => {
    const reply = await call('DELETE', '/memory?session=x', undefined, { 'if-match': '"1"' })
    expect(codeOf(reply)).toBe('unsupported')
  })
})
