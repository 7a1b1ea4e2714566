/** Lines out of a byte stream. */
import { array, assert, nat, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { createLineSplitter, frame } from '../../src/daemon/framing.ts'

function split(
  chunks: readonly Buffer[],
  bytesMax?: number,
): { lines: string[]; oversized: number } {
  let oversized = 0
  const splitter = createLineSplitter(() => oversized++, bytesMax)
  const lines = chunks.flatMap((chunk) => splitter.push(chunk)).map((line) => line.toString('utf8'))
  return { lines, oversized }
}

test('lines come out whole however the bytes were cut', () => {
  const line = string({ unit: 'binary', minLength: 1 }).filter((text) => !/[\n\r]/u.test(text))
  assert(
    property(array(line), array(nat(40), { minLength: 1 }), (lines, cuts) => {
      const bytes = Buffer.concat(lines.map((text) => frame(text)))
      const chunks: Buffer[] = []
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = 1 + (cuts[turn % cuts.length] ?? 0)
        chunks.push(bytes.subarray(at, at + size))
        at += size
      }
      expect(split(chunks)).toEqual({ lines, oversized: 0 })
    }),
  )
})

test('carriage returns and empty lines are left out', () => {
  expect(split([Buffer.from('a\r\n\r\n\nb\n')]).lines).toEqual(['a', 'b'])
})

test('a line of exactly the bound passes; a longer one is dropped once, and the next one passes', () => {
  const long = ['x'.repeat(7), 'x'.repeat(200), `${'x'.repeat(100)}\nnext\n`].map((text) =>
    Buffer.from(text),
  )
  expect(split([Buffer.from(`${'y'.repeat(10)}\n`)], 10).lines).toEqual(['y'.repeat(10)])
  expect(split(long, 10)).toEqual({ lines: ['next'], oversized: 1 })
  expect(split([Buffer.from(`${'z'.repeat(11)}\nok\n`)], 10)).toEqual({
    lines: ['ok'],
    oversized: 1,
  })
})
