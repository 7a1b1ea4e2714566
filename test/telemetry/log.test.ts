/** The log: allow-listed fields, no content from errors, credentials masked as a second net. */
import { mkdtempSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { createLog, type Log, type LogFields } from '../../src/telemetry/log.ts'
import { createRedactor, redacted } from '../../src/telemetry/redact.ts'

const canary = 'my diabetes diagnosis'

function capture(secrets: readonly string[] = []): { log: Log; lines: string[] } {
  const lines: string[] = []
  const log = createLog({
    level: 'debug',
    secrets,
    destination: { write: (line: string) => void lines.push(line) },
  })
  return { log, lines }
}

function only(lines: readonly string[]): Record<string, unknown> {
  expect(lines).toHaveLength(1)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a pino line is a JSON object
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>
}

describe('a line', () => {
  test('carries time, level, phrase and the given fields', () => {
    const { log, lines } = capture()
    log.child({ request_id: 'r1', namespace: 'default' }).info('request finished', {
      operation: 'recall',
      duration_ms: 12.3456,
      stage_ms: { embed: 0.1234, 'not a stage!': 1 },
    })
    expect(only(lines)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/u) as unknown,
      msg: 'request finished',
      request_id: 'r1',
      namespace: 'default',
      operation: 'recall',
      duration_ms: 12.35,
      stage_ms: { embed: 0.12 },
    })
  })

  test('drops a field that is not on the list, even when a cast smuggles it in', () => {
    const { log, lines } = capture()
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the smuggling is the test
    log.info('request finished', { content: canary, rows: canary } as unknown as LogFields)
    expect(only(lines)).not.toHaveProperty('content')
    expect(lines.join('')).not.toContain(canary)
  })

  test('stays bounded whatever a field holds', () => {
    const { log, lines } = capture()
    log.info('request finished', { agent: 'an agent '.repeat(100_000) })
    expect(lines.join('').length).toBeLessThan(500)
  })

  test('below the level is not written', () => {
    const lines: string[] = []
    const log = createLog({
      level: 'warn',
      destination: { write: (l: string) => void lines.push(l) },
    })
    log.info('request finished')
    expect(lines).toEqual([])
  })

  test('goes to a file that its owner alone can read', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'mindglue-log-')), 'logs', 'daemon.log')
    const log = createLog({ level: 'info', destination: file })
    log.info('daemon started', { pid: 1 })
    return expect
      .poll(() => {
        log.flush()
        return readFileSync(file, 'utf8')
      })
      .toContain('"msg":"daemon started"')
      .then(() => expect(statSync(file).mode & 0o777).toBe(0o600))
  })
})

describe('an error', () => {
  test('of an unknown kind is written by type, code and frames, without its text', () => {
    const { log, lines } = capture()
    const cause = Object.assign(new TypeError(`bad value ${canary}`), { code: 'ECONNREFUSED' })
    log.error('request failed', { error: new Error(`could not store ${canary}`, { cause }) })
    const line = only(lines)
    expect(line['error']).toMatchObject({
      type: 'Error',
      frames: expect.arrayContaining([expect.stringContaining('log.test.ts')]) as unknown,
      cause: { type: 'TypeError', code: 'ECONNREFUSED' },
    })
    expect(lines.join('')).not.toContain(canary)
  })

  test('whose text imitates stack frames gives none of it away', () => {
    const { log, lines } = capture()
    const message = `x\n    at ${canary} (/tmp/a.js:1:1)\n    at ${canary} (/tmp/b.js:2:2)`
    log.error('request failed', { error: new Error(message) })
    const changed = new Error(message)
    changed.message = 'another text'
    log.error('request failed', { error: changed })
    expect(lines[0]).not.toContain(canary)
    expect(lines[0]).toContain('log.test.ts')
  })

  test('of our own keeps its public text and code', () => {
    const { log, lines } = capture()
    log.warn('request refused', { error: new AppError('not_found', 'There is no such memory.') })
    expect(only(lines)).toMatchObject({
      error_code: 'not_found',
      error: { type: 'AppError', code: 'not_found', message: 'There is no such memory.' },
    })
  })

  test.each([null, 'a string', 42, { secret: canary }])('that is not an Error: %j', (thrown) => {
    const { log, lines } = capture()
    log.error('request failed', { error: thrown })
    expect(only(lines)['error']).toEqual({ type: thrown === null ? 'null' : typeof thrown })
  })

  test('chain that never ends is cut', () => {
    const { log, lines } = capture()
    const error = new Error('a')
    error.cause = error
    log.error('request failed', { error })
    expect(lines.join('').length).toBeLessThan(20_000)
  })
})

describe('redaction', () => {
  test.each([
    ['postgres://app:hunter22@db:5432/x', `postgres://${redacted}@db:5432/x`],
    ['Authorization: Bearer abc.def-123', `Authorization: ${redacted} ${redacted}`],
    ['sent Bearer abcdef123456 twice', `sent Bearer ${redacted} twice`],
    ['password=hunter22 rest', `password=${redacted} rest`],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', redacted],
    ['Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4', redacted],
  ])('%s', (text, expected) => {
    expect(createRedactor()(text)).toBe(expected)
  })

  test.each(['recall', 'default', '0198c1f2-7d6a-7c3e-8b1f-0123456789ab', 'node:internal/x:1:2'])(
    'leaves %s alone',
    (text) => {
      expect(createRedactor()(text)).toBe(text)
    },
  )

  test('a configured secret and the password inside its URL are masked anywhere', () => {
    const redact = createRedactor(['postgres://app:p%40ss-word@db/x', 'the-api-key', 'abc'])
    expect(redact('p@ss-word and p%40ss-word and the-api-key and abc')).toBe(
      `${redacted} and ${redacted} and ${redacted} and abc`,
    )
    const { log, lines } = capture(['the-api-key'])
    log.info('started', { agent: 'the-api-key' })
    expect(only(lines)['agent']).toBe(redacted)
  })

  test('is stable and fast on any text', () => {
    const redact = createRedactor()
    assert(
      property(string({ maxLength: 500 }), (text) => {
        const once = redact(text)
        expect(redact(once)).toBe(once)
      }),
    )
    const started = performance.now()
    for (const unit of ['a://', 'password=', '-----BEGIN A-----', 'ey', 'Bearer ', 'x@']) {
      redact(unit.repeat(20_000))
    }
    expect(performance.now() - started).toBeLessThan(2000)
  })
})
