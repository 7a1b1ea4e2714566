/** Looks for many credentials in a large text at once. */
import type { Labelled } from './credentials.ts'

/** Which probes stand in a text: those of its places whose first three characters begin one are looked at. */
export function* probesIn(text: string, { begins, values, lengths }: Probes): Iterable<string> {
  for (let at = 0; at < text.length; at += 1) {
    if (begins[beginning(text, at)] !== 1) continue
    for (const length of lengths) {
      const piece = text.slice(at, at + length)
      if (values.has(piece)) yield piece
    }
  }
}

export interface Probes {
  readonly values: ReadonlyMap<string, Labelled>
  readonly lengths: readonly number[]
  readonly begins: Uint8Array
}

export function probesOf(all: readonly Labelled[]): Probes {
  // Of each what is left when its ends are cut off: a part would leak most of it.
  const values = new Map(all.map((one) => [one.value.slice(-14, -2), one]))
  const begins = new Uint8Array(2 ** 21)
  for (const value of values.keys()) begins[beginning(value, 0)] = 1
  return { values, lengths: [...new Set([...values.keys()].map(({ length }) => length))], begins }
}

/** Three characters of seven bits. */
function beginning(text: string, at: number): number {
  const code = (place: number) => text.charCodeAt(at + place) & 0x7f
  return (code(0) << 14) | (code(1) << 7) | code(2)
}
