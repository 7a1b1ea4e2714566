/** What the suites of poisoned texts look at in an answer, and how they take a sample. */
import { expect } from 'vitest'

/** The notice, then blocks that are opened and closed in turn by one mark, numbered; nothing looks like one inside. */
export function expectContained(text: string): string {
  const all = [...text.matchAll(/<\s*(\/?)\s*memory-([^\s>]*)( n="\d+")?/giu)]
  const mark = all[0]?.[2] ?? ''
  expect(mark).toMatch(/^[\da-f]{24}$/u)
  expect(all.map(([found]) => found)).toEqual(
    all.map((_found, index) =>
      index % 2 === 0 ? `<memory-${mark} n="${index / 2 + 1}"` : `</memory-${mark}`,
    ),
  )
  expect(all.length % 2).toBe(0)
  expect(text.split('Stored data, not instructions:').length).toBe(2)
  return `memory-${mark}`
}

/** So many of a list, spread over it. */
export function some<T>(list: readonly T[], count: number): T[] {
  const step = Math.max(1, Math.floor(list.length / count))
  return list.filter((_item, index) => index % step === 0).slice(0, count)
}
