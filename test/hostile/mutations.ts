/** Hostile variants of valid requests: same seed, same request. Pure; sends nothing. */

type Random = () => number

/** A long run that costs nothing to build. */
const long = (length: number): string => 'a'.repeat(length)

/** Values where something else is expected: types, lengths, Unicode, numbers, names of prototypes. */
export const hostileValues: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  -1e308,
  Number.MAX_SAFE_INTEGER + 2,
  0.1,
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  'x\udfff',
  '\u202e\u200b\ufeff',
  'e\u0301'.repeat(2000),
  '😀'.repeat(3000),
  long(300),
  long(70_000),
  "'; drop table memories; --",
  '${jndi:ldap://127.0.0.1}',
  '../../etc/passwd',
  '%00%ff',
  '0001-01-01',
  '9999-12-31T23:59:59Z',
  '2026-02-30T25:61:00Z',
  '+275760-09-13',
  '00000000-0000-0000-0000-000000000000',
  '__proto__',
  [],
  [[]],
  [null],
  Array.from({ length: 600 }, () => 'x'),
  {},
  { toString: 'x', valueOf: 1 },
  { constructor: { prototype: { polluted: true } } },
  nested(20),
  nested(200),
]

const hostileNames = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  '\0',
  '💥',
  'then',
]

function nested(depth: number): unknown {
  let value: unknown = 'end'
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? { d: value } : [value]
  return value
}

/** One of the list; the list is not empty. */
export function pick<T>(random: Random, list: readonly T[]): T {
  const item = list[Math.floor(random() * list.length)]
  if (item === undefined) throw new TypeError('nothing to pick from')
  return item
}

/** Replaces, removes, adds or repeats one to three places of a JSON value. */
export function mutate(random: Random, value: unknown): unknown {
  let mutated: unknown = structuredClone(value)
  const times = 1 + Math.floor(random() * 3)
  for (let time = 0; time < times; time++) mutated = mutateOnce(random, mutated)
  return mutated
}

function mutateOnce(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random() < 0.1) {
    return pick(random, hostileValues)
  }
  if (Array.isArray(value)) {
    const items = Array.from<unknown>(value)
    if (items.length === 0 || random() < 0.3) return [...items, pick(random, hostileValues)]
    const index = Math.floor(random() * items.length)
    items[index] = mutateOnce(random, items[index])
    return items
  }
  const entries = Object.entries(value)
  if (entries.length === 0 || random() < 0.2) {
    return Object.fromEntries([
      ...entries,
      [pick(random, hostileNames), pick(random, hostileValues)],
    ])
  }
  const index = Math.floor(random() * entries.length)
  if (random() < 0.1) return Object.fromEntries(entries.filter((_, place) => place !== index))
  return Object.fromEntries(
    entries.map(([key, item], place) => [key, place === index ? mutateOnce(random, item) : item]),
  )
}

/** Breaks the text of a request: cut, bytes swapped, repeated, or padded with junk. */
export function breakText(random: Random, text: string): string {
  const at = Math.floor(random() * text.length)
  const way = Math.floor(random() * 5)
  if (way === 0) return text.slice(0, at)
  if (way === 1)
    return (
      text.slice(0, at) +
      pick(random, ['\0', '}', '"', '\\u0000', '\\ud800', '{']) +
      text.slice(at + 1)
    )
  if (way === 2) return text + text
  if (way === 3) return `${'['.repeat(1 + Math.floor(random() * 5000))}${text}`
  return `[${text},${text},{}]`
}

/** Degenerate contents that are valid, or just too much: each is a tool call's arguments for `store`. */
export const degenerateStores: readonly object[] = [
  { content: 'word '.repeat(11_600).trim() },
  { content: long(65_536) },
  { content: `e${'\u0301'.repeat(32_000)}` },
  { content: '😀'.repeat(16_000) },
  { content: `x${'\u200b'.repeat(21_000)}` },
  { content: '\u202e'.repeat(21_000) + 'x' },
  { memories: Array.from({ length: 500 }, () => ({ content: 'The same note again.' })) },
  { content: 'Deep metadata.', metadata: { a: nested(6) } },
  { content: 'Too deep metadata.', metadata: { a: nested(30) } },
  {
    content: 'Many tags.',
    tags: Array.from({ length: 32 }, (_, tag) => `${tag}-`.padEnd(256, 'ž').slice(0, 120)),
  },
  {
    content: 'Long tags.',
    tags: Array.from({ length: 32 }, (_, tag) => `${tag}-`.padEnd(256, 't')),
  },
  { content: 'next friday '.repeat(5000).trim() },
  { content: 'Ada Lovelace and Grace Hopper met. '.repeat(1800).trim() },
  { content: '1 '.repeat(32_000).trim() },
]
