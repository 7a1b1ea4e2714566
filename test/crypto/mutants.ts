/** Mutated tokens and swapped contexts for the tests of format 0xC0. Deterministic by seed. */
import type { EnvelopeContext } from '../../src/crypto/envelope.ts'

/** Counts of the heavy suites: CI size by default, the figure with FULL=1. */
export const isFullRun = process.env['FULL'] === '1'

export interface SealedRow {
  readonly context: EnvelopeContext
  readonly token: Buffer
}

export type RandomInt = (limit: number) => number

/** Mulberry32: small, seedable, good enough to pick positions; never for keys. */
export function seededRandom(seed: number): RandomInt {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}

function randomBytesOf(random: RandomInt, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)))
}

function changeContext(random: RandomInt, context: EnvelopeContext): EnvelopeContext {
  const { namespace, id, version, column } = context
  const changes: readonly EnvelopeContext[] = [
    { ...context, namespace: namespace + 1n },
    { ...context, namespace: namespace * 10n + 1n },
    { ...context, version: version + 1 },
    { ...context, column: `${column}x` },
    { ...context, column: '' },
    { ...context, id: id.slice(0, -1) },
    // Moves the border between two pieces: the joined text is the same.
    { ...context, id: id + column, column: '' },
    { ...context, id: id.slice(0, -1), column: id.slice(-1) + column },
    { namespace, id: `${id}${version}`, version: 0, column },
    { namespace: BigInt(version), id, version: Number(namespace % 1000n), column: `${column}.` },
  ]
  return changes[random(changes.length)] ?? context
}

/** A row that must not open: one of ten kinds of damage to `rows[index]`. */
export function mutate(random: RandomInt, rows: readonly SealedRow[], index: number): SealedRow {
  const row = rows[index % rows.length]
  const other = rows[(index + 1 + random(rows.length - 1)) % rows.length]
  if (row === undefined || other === undefined) throw new Error('no rows')
  const { context } = row
  const token = Buffer.from(row.token)
  const position = random(token.length)
  switch (random(10)) {
    case 0:
      token[position] = (token[position] ?? 0) ^ (1 << random(8))
      return { context, token }
    case 1:
      return { context, token: token.subarray(0, position) }
    case 2:
      return { context, token: Buffer.concat([token, randomBytesOf(random, 1 + random(48))]) }
    case 3:
      return { context, token: other.token }
    case 4:
      return { context: changeContext(random, context), token }
    case 5:
      // A cut by whole blocks keeps the length legal.
      return { context, token: token.subarray(0, token.length - 16 * (1 + random(4))) }
    case 6: {
      // Another row's ciphertext under this row's header and MAC.
      const body = other.token.subarray(29, -32)
      return { context, token: Buffer.concat([token.subarray(0, 29), body, token.subarray(-32)]) }
    }
    case 7: {
      const from = random(token.length - 16)
      const copy = Buffer.from(token)
      copy.set(token.subarray(from, from + 16), random(token.length - 16))
      return { context, token: copy }
    }
    case 8:
      token[0] = random(256)
      return { context, token }
    default:
      return { context, token: randomBytesOf(random, random(200)) }
  }
}
