/**
 * What the door finds and what it costs: made-up credentials and personal data replaced by kind, ordinary lines
 * touched that hold none, and the milliseconds of looking and of words beside those of a whole store.
 * `npm run bench:door -- [--locomo DIR]`; TEST_DATABASE and TEST_DATABASE_URL choose the engine, as for tests.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { deriveMemory } from '../src/memory/derive.ts'
import { admit } from '../src/memory/door.ts'
import { findPersonal } from '../src/pipeline/personal.ts'
import { findSecrets, type Finding } from '../src/pipeline/secrets.ts'
import { analyze } from '../src/pipeline/terms.ts'
import { credentials, type Labelled } from '../test/pipeline/corpus/credentials.ts'
import { ordinaryLines, stringsOf } from '../test/pipeline/corpus/ordinary-lines.ts'
import { personalData } from '../test/pipeline/corpus/personal.ts'
import { spokenCredentials } from '../test/pipeline/corpus/spoken.ts'
import { openTestMemory } from '../test/support/memory.ts'
import { distinctSentences } from './support/sentences.ts'

const { values: given } = parseArgs({ options: { locomo: { type: 'string' } } })
const print = (text = '') => void process.stdout.write(`${text}\n`)
const figure = (value: number) => value.toLocaleString('en')
const perKind = 50
const policy = { credentials: 'redact', personal: 'flag' } as const

print(
  '| made up                 | kinds | instances | replaced whole |   share | kinds with a miss |',
)
print(
  '| ----------------------- | ----- | --------- | -------------- | ------- | ----------------- |',
)
const shaped = credentials(perKind)
const spoken = spokenCredentials(perKind)
printReplaced('with a shape', shaped, findSecrets)
printReplaced('known by their sentence', spoken, findSecrets)
printReplaced('credentials together', [...shaped, ...spoken], findSecrets)
printReplaced('personal data', personalData(perKind), findPersonal)

print()
print('| ordinary lines            |   lines | credentials |   share | personal data |   share |')
print('| ------------------------- | ------- | ----------- | ------- | ------------- | ------- |')
const repository = ordinaryLines()
const turns = given.locomo === undefined ? [] : linesUnder(given.locomo, /\.json$/u)
const packages = linesUnder('node_modules', /\.md$/iu)
printTouched('this repository', repository)
if (turns.length > 0) printTouched('turns of LoCoMo', turns)
printTouched('documents of node_modules', packages)
printTouched('together', [...repository, ...turns, ...packages])

print()
print(
  '| p50 in ms                 | store | looking | words | looking and words | all derived |         |',
)
print(
  '| ------------------------- | ----- | ------- | ----- | ----------------- | ----------- | ------- |',
)
const memory = await openTestMemory()
const principal = await memory.principal()
const settings = await memory.namespaces.settings(principal)
for (const [name, bytes] of [
  ['300 bytes', 300],
  ['4 KB', 4_096],
] as const) {
  await printCost(`${name}, plain`, bytes, '')
  // Words that the rules look for, and digits: every rule has to look.
  await printCost(
    `${name}, full of hints`,
    bytes,
    'The key, the token and the password of that account: call 030 1234 or see user@host, v1.2-3. ',
  )
}
await memory.close()

function printReplaced(
  what: string,
  all: readonly Labelled[],
  find: (text: string) => Finding[],
): void {
  const kinds = new Set(all.map(({ kind }) => kind))
  const missed = all.filter(({ text, value }) => {
    const rest = find(text).reduceRight(
      (left, { start, end }) => left.slice(0, start) + left.slice(end),
      text,
    )
    // A part of it would leak most of it.
    return [value, value.slice(-12), value.slice(8, 20) || value].some((part) =>
      rest.includes(part),
    )
  })
  const replaced = all.length - missed.length
  printRow([
    what.padEnd(23),
    figure(kinds.size).padStart(5),
    figure(all.length).padStart(9),
    figure(replaced).padStart(14),
    `${((replaced / all.length) * 100).toFixed(2)} %`.padStart(7),
    String(new Set(missed.map(({ kind }) => kind)).size).padStart(17),
  ])
}

function printTouched(what: string, lines: readonly string[]): void {
  const cells = [findSecrets, findPersonal].flatMap((find, index) => {
    const touched = lines.filter((line) => find(line).length > 0).length
    const share = `${((touched / lines.length) * 100).toFixed(3)} %`
    return [figure(touched).padStart(index === 0 ? 11 : 13), share.padStart(7)]
  })
  printRow([what.padEnd(25), figure(lines.length).padStart(7), ...cells])
}

function linesUnder(directory: string, names: RegExp): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => names.test(name))
    .flatMap((name) => {
      const text = readFileSync(join(directory, name), 'utf8')
      return name.endsWith('.json') ? stringsOf(JSON.parse(text)) : [text]
    })
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.trim() !== '')
}

async function printCost(name: string, bytes: number, between: string): Promise<void> {
  const count = 60
  const sentences = [...distinctSentences(6_000, bytes)]
  const contents = Array.from({ length: count }, (_, index) => {
    let content = `${name} ${index}. `
    while (content.length < bytes) content += `${sentences.pop() ?? ''} ${between}`
    return content.slice(0, bytes)
  })
  const times: Record<'store' | 'door' | 'words' | 'derived', number[]> = {
    store: [],
    door: [],
    words: [],
    derived: [],
  }
  const now = new Date()
  for (const content of contents) {
    const measure = (list: number[], work: () => void) => {
      const began = performance.now()
      work()
      list.push(performance.now() - began)
    }
    const began = performance.now()
    await memory.execute(memory.operations.store, principal, { content })
    times.store.push(performance.now() - began)
    measure(times.door, () => admit(policy, { content }))
    measure(times.words, () => analyze(content))
    measure(times.derived, () => deriveMemory(settings, principal.agent, { content }, now))
  }
  const { store, door, words, derived } = {
    store: median(times.store),
    door: median(times.door),
    words: median(times.words),
    derived: median(times.derived),
  }
  const share = (part: number) => `${((part / store) * 100).toFixed(1)} %`
  printRow([
    name.padEnd(25),
    store.toFixed(2).padStart(5),
    door.toFixed(3).padStart(7),
    words.toFixed(3).padStart(5),
    share(door + words).padStart(17),
    derived.toFixed(3).padStart(11),
    share(derived).padStart(7),
  ])
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0
}

function printRow(cells: readonly string[]): void {
  print(`| ${cells.join(' | ')} |`)
}
