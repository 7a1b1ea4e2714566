/** What commands print: aligned columns, colours only where they are seen, failures without secrets. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { columns, printFailure, styleFor } from '../../src/cli/output.ts'
import { AppError } from '../../src/errors.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

function failureText(error: unknown): string {
  let text = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  printFailure(error)
  return text
}

test('columns are as wide as their widest cell', () => {
  expect(
    columns([
      ['a', 'bb', 'c'],
      ['aaa', 'b', ''],
    ]),
  ).toBe('a    bb  c\naaa  b')
  expect(columns([])).toBe('')
})

describe('colours', () => {
  test('are left out of a pipe', () => {
    expect(styleFor({ isTTY: false }).bold('x')).toBe('x')
  })
  test('are left out of a terminal that shows none', () => {
    expect(styleFor({ isTTY: true, hasColors: () => false }).red('x')).toBe('x')
  })
  test('are written to a terminal that shows them', () => {
    expect(styleFor({ isTTY: true, hasColors: () => true }).red('x')).toBe('\u001b[31mx\u001b[39m')
  })
})

describe('a failure', () => {
  test('of our own says what to do and lists what it carries', () => {
    const error = new AppError('misconfigured', 'Run mindglue migrate.', {
      details: { pending: ['0003_memories', '0004_operations'] },
    })
    expect(failureText(error)).toBe(
      'mindglue: Run mindglue migrate.\n  0003_memories\n  0004_operations\n',
    )
  })

  test('nobody foresaw is told by kind and place, never by its text', () => {
    const error = Object.assign(new TypeError('my diabetes diagnosis'), { code: 'ERR_X' })
    const text = failureText(error)
    expect(text).toContain('unexpected TypeError ERR_X')
    expect(text).toContain('output.test.ts')
    expect(text).not.toContain('diabetes')
  })
})
