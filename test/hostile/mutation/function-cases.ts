/** How a call of a function is written down, and what is expected of it. */
import { done, type Expected } from './probes.ts'

export const uuid = (end: string): string => `'01890000-0000-7000-8000-00000000${end}'`
export const hash = (byte: string): string => `decode(repeat('${byte}', 32), 'hex')`

/** `lifted`: where FORCE is lifted and it is otherwise. */
export type Case = readonly [who: string, call: string, expected: Expected, lifted?: Expected]

/** Nothing returned that says anything, and nothing written. */
export const nothing = (result: unknown): Expected => ({ ...rowOf(result), changed: {} })
export const rowOf = (result: unknown): Expected => ({
  ...done,
  rows: [JSON.stringify({ r: result })],
})
export const none: Expected = { ...done, rows: [], changed: {} }
export const wrote = (changed: Readonly<Record<string, number>>): Expected => ({ ...done, changed })
