/** A whole export as one streamed answer: what it does when a page does not come. */
import { describe, expect, test } from 'vitest'
import { exportStream } from '../../src/http/export-stream.ts'
import { AppError } from '../../src/errors.ts'
import type { RouteCall } from '../../src/http/route.ts'
import { exportOperation } from '../../src/memory/export.ts'
import { answering } from '../support/answering.ts'
import { testPrincipal } from '../support/principal.ts'
import { until } from '../support/until.ts'

describe('a streamed export', () => {
  const page = (content: string, next?: string) => ({
    format: 'jsonl' as const,
    content,
    count: 1,
    ...(next && { next_cursor: next }),
  })
  /** A call whose pages are these, one after the other; an error is thrown in its place. */
  const callOf = (
    pages: (ReturnType<typeof page> | Error | (() => never))[],
    key = { isCurrent: true },
  ): RouteCall => ({
    execute: answering(() => {
      const next = pages.shift()
      if (next instanceof Error) throw next
      // What is no page happens before the next one is read.
      return typeof next === 'function' ? next() : next
    }),
    principal: testPrincipal(),
    input: {},
    options: {},
    isCurrent: () => Promise.resolve(key.isCurrent),
  })
  const open = (given: RouteCall) =>
    exportStream(exportOperation({ cursorKey: new Uint8Array(32) }), given, 'application/x-ndjson')

  test('waits where a limit says so, and goes on', async () => {
    const slow = new AppError('rate_limited', 'Wait.', { retryAfterSeconds: 0.01 })
    expect(await (await open(callOf([page('a\n', 'c'), slow, slow, page('b\n')]))).text()).toBe(
      'a\nb\n',
    )
  })

  test('breaks off, rather than end, when a page fails', async () => {
    const failing = await open(callOf([page('a\n', 'c'), new AppError('unavailable', 'Gone.')]))
    await expect(failing.text()).rejects.toThrow('Gone.')
  })

  test('reads no page with a key that was revoked while it waited for its limit', async () => {
    const key = { isCurrent: true }
    const revokedMeanwhile = (): never => {
      key.isCurrent = false
      throw new AppError('rate_limited', 'Wait.', { retryAfterSeconds: 0.01 })
    }
    const pages = [page('a\n', 'c'), revokedMeanwhile, page('b\n')]
    await expect((await open(callOf(pages, key))).text()).rejects.toThrow('no longer valid')
    expect(pages).toEqual([page('b\n')])
  })

  test('sends nothing that was read before the key was revoked', async () => {
    const key = { isCurrent: true }
    const pages = [page('a\n', 'c'), page('b\n')]
    const reader = (await open(callOf(pages, key))).body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('a\n')
    await until(() => pages.length === 0, { what: 'the second page, read ahead' })
    key.isCurrent = false
    await expect(reader?.read()).rejects.toThrow('no longer valid')
  })
})
