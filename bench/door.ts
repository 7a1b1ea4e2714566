/**
 * What the door finds and what it costs: recall by kind on made-up credentials and personal data, lines touched that
 * hold none (`--dir` adds JSON and text files of a folder), and milliseconds beside those of a store.
 * `node --import ./test/support/typescript-loader.mjs bench/door.ts [--dir DIR]`
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { admit } from '../src/memory/door.ts'
import { findPersonal } from '../src/pipeline/personal.ts'
import { findSecrets, type Finding } from '../src/pipeline/secrets.ts'
import { credentials } from '../test/pipeline/corpus/credentials.ts'
import { ordinaryLines, stringsOf } from '../test/pipeline/corpus/ordinary-lines.ts'
import { personalData } from '../test/pipeline/corpus/personal.ts'
import { openTestMemory } from '../test/support/memory.ts'

const { values: given } = parseArgs({ options: { dir: { type: 'string' } } })
const print = (text = '') => void process.stdout.write(`${text}\n`)
const perKind = 50

interface Labelled {
  readonly kind: string
  readonly text: string
  readonly value: string
}

function recallOf(all: readonly Labelled[], find: (text: string) => Finding[]): void {
  for (const kind of new Set(all.map((one) => one.kind))) {
    const ofKind = all.filter((one) => one.kind === kind)
    let found = 0
    let beside = 0
    for (const { text, value } of ofKind) {
      const findings = find(text)
      const parts = findings.map(({ start, end }) => text.slice(start, end))
      const rest = parts.reduce((left, part) => left.replace(part, ''), text)
      if (![value, value.slice(-12), value.slice(8, 20)].some((part) => rest.includes(part)))
        found += 1
      beside += parts.filter((part) => !part.includes(value) && !value.includes(part)).length
    }
    const precision = found + beside === 0 ? 0 : found / (found + beside)
    print(
      `${kind.padEnd(30)} recall ${(found / ofKind.length).toFixed(3)}  precision ${precision.toFixed(3)}`,
    )
  }
}

recallOf(credentials(perKind), findSecrets)
print()
recallOf(personalData(perKind), findPersonal)
print()

const lines = ordinaryLines()
if (given.dir !== undefined) {
  const directory = given.dir
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(?:json|md|txt|ts)$/u.test(name)) continue
    const text = readFileSync(join(directory, name), 'utf8')
    const texts = name.endsWith('.json') ? stringsOf(JSON.parse(text)) : [text]
    lines.push(...texts.flatMap((one) => one.split('\n')).filter((line) => line.trim() !== ''))
  }
}
for (const [what, find] of [
  ['credentials', findSecrets],
  ['personal data', findPersonal],
] as const) {
  const touched = lines.filter((line) => find(line).length > 0).length
  print(
    `${what}: ${touched} of ${lines.length} ordinary lines touched (${((touched / lines.length) * 100).toFixed(4)} %)`,
  )
}
print()

const memory = await openTestMemory()
const principal = await memory.principal()
const sentence =
  'Marta met Jonas in Lisbon on Tuesday at 10:30 and they decided to rewrite the importer of quill. '
const policy = { credentials: 'redact', personal: 'flag' } as const
for (const [size, name] of [
  [300, '300 bytes'],
  [4_096, '4 KB'],
] as const) {
  const texts = Array.from({ length: 80 }, (_, index) =>
    `${index} ${sentence.repeat(45)}`.slice(0, size),
  )
  const doors: number[] = []
  const stores: number[] = []
  for (const content of texts) {
    const began = performance.now()
    admit(policy, { content })
    const between = performance.now()
    await memory.execute(memory.operations.store, principal, { content })
    doors.push(between - began)
    stores.push(performance.now() - between)
  }
  const median = (list: number[]) =>
    list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0
  const share = (median(doors) / median(stores)) * 100
  print(
    `${name}: door ${median(doors).toFixed(2)} ms, store with it ${median(stores).toFixed(2)} ms (p50): ${share.toFixed(1)} %`,
  )
}
await memory.close()
