/** What a person gets out, and back in, by the command line: the compiled program, real daemons, real files. */
import { execFile } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openOperator, type Operator } from '../../src/cli/operator.ts'
import { loadConfig } from '../../src/config.ts'
import { AppError } from '../../src/errors.ts'
import { version } from '../../src/version.ts'
import { compileProgram } from '../daemon/program.ts'

let program: Awaited<ReturnType<typeof compileProgram>>
const root = mkdtempSync(join(tmpdir(), 'mindglue-transfer-'))
const dataDirectory = join(root, 'data')
const environment = {
  MINDGLUE_DATA_DIR: dataDirectory,
  MINDGLUE_KEY_DIR: join(root, 'keys'),
  MINDGLUE_AGENT: 'ada',
}

beforeAll(async () => {
  // A daemon that an operator of this process starts gets its settings as a command's daemon does.
  Object.assign(process.env, environment)
  program = await compileProgram()
})
afterAll(async () => {
  await mindglue(['daemon', 'stop'])
  await program.remove()
  rmSync(root, { recursive: true, force: true })
})

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function mindglue(
  args: readonly string[],
  { input = '', env = {} }: { input?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Ended> {
  return await new Promise((done) => {
    const options = {
      env: { PATH: process.env['PATH'] ?? '', HOME: root, ...environment, ...env },
      maxBuffer: 256 * 1024 * 1024,
    }
    const child = execFile(
      process.execPath,
      [program.main, ...args],
      options,
      (error, stdout, stderr) => {
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      },
    )
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/** What a daemon of this test answers; the operator is the one that commands use. */
async function withOperator<T>(
  namespaceName: string,
  work: (operator: Operator) => Promise<T>,
): Promise<T> {
  const config = loadConfig(environment, { namespaceName })
  const operator = await openOperator({ config, version, entry: program.main })
  try {
    return await work(operator)
  } finally {
    await operator.close()
  }
}

const topics = [
  'The kiln',
  'A parcel for Mira',
  'The Wednesday call',
  'Brake pads',
  'Ключ от склада',
]

/** Lines as an export writes them, with everything that could be lost on the way. */
function lineOf(index: number, more: object = {}, raw?: string): string {
  const second = new Date(Date.UTC(2025, 0, 1) + index * 61_000 + 7).toISOString()
  return JSON.stringify({
    mindglue: 1,
    id: uuidv7({ msecs: Date.parse(second) }),
    version: 1,
    content: `${topics[index % topics.length]} was number ${index}\u2028and "quoted" 🧠\tby ${index % 97}.`,
    ...(raw !== undefined && { raw_content: raw }),
    ...(index % 11 === 0 && !raw && { raw_content: `As it was said: ${index}\r\nand more` }),
    type: index % 2 === 0 ? 'fact' : 'event',
    tags: index % 3 === 0 ? [`tag ${index % 5}`, 'даты'] : [],
    ...(index % 4 === 0 && { metadata: { z: index, a: { deep: [1, null, 'é'] } } }),
    ...(index % 2 === 0 && { session: `session ${index % 40}`, speaker: 'Mira Osei' }),
    occurred_at: second,
    ...(index % 6 === 0 && { event_date: '2024-12-31', event_grain: 'day' }),
    recorded_at: second,
    ...(index % 9 === 0 && { expires_at: '2099-01-01T00:00:00.000Z' }),
    importance: (index % 10) / 10,
    access: index % 13 === 0 ? 'private' : 'shared',
    owner_agent: index % 7 === 0 ? 'bob' : 'ada',
    source: { kind: 'agent', trust: 2, ...(index % 8 === 0 && { url: 'https://example.org/a' }) },
    is_current: true,
    valid_from: second,
    ...(index % 6 === 0 && { event_until: '2024-12-31T23:59:59.999Z' }),
    ...(index % 13 === 0 && { allowed_agents: ['carol', 'dan'] }),
    ...more,
  })
}

function fileWith(name: string, lines: readonly string[]): string {
  const path = join(root, name)
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

describe('export and import', () => {
  const memories = process.env['FULL'] === '1' ? 10_000 : 1_200

  test(`${memories} memories come back as identical lines`, { timeout: 300_000 }, async () => {
    const given = fileWith(
      'given.jsonl',
      Array.from({ length: memories }, (_, index) => lineOf(index)),
    )
    const first = join(root, 'first.jsonl')
    const second = join(root, 'second.jsonl')
    const imported = await mindglue(['import', given, '--own', '--namespace', 'first'])
    expect(imported).toMatchObject({ code: 0, stdout: '' })
    expect(imported.stderr).toContain(`Imported ${memories.toLocaleString('en')} memories, in `)
    expect(await mindglue(['--namespace', 'first', 'export', first])).toMatchObject({ code: 0 })
    expect(await mindglue(['--namespace', 'second', 'import', first, '--own'])).toMatchObject({
      code: 0,
    })
    expect(await mindglue(['export', second, '--namespace', 'second'])).toMatchObject({ code: 0 })

    expect(readFileSync(first, 'utf8').split('\n')).toHaveLength(memories + 1)
    expect(readFileSync(second).equals(readFileSync(first))).toBe(true)
    expect(readFileSync(first).equals(readFileSync(given))).toBe(true)
  })

  test('repeating an import changes nothing', { timeout: 120_000 }, async () => {
    const lines = Array.from({ length: 700 }, (_, index) => lineOf(index))
    const file = fileWith('repeat.jsonl', lines)
    await mindglue(['import', file, '--own', '--namespace', 'repeat'])
    const again = await mindglue(['import', file, '--own', '--namespace', 'repeat'])
    expect(again.stderr).toContain('Imported 0 memories, 700 were there already')
    const { stdout } = await mindglue(['export', '--namespace', 'repeat'])
    expect(stdout).toBe(readFileSync(file, 'utf8'))
  })

  test('an export is a pipe’s input as well as a file', async () => {
    const lines = Array.from({ length: 20 }, (_, index) => lineOf(index))
    const input = `\uFEFF${lines.join('\r\n\r\n')}`
    const imported = await mindglue(['import', '-', '--own', '--namespace', 'piped'], { input })
    expect(imported).toMatchObject({ code: 0 })
    const { stdout, stderr } = await mindglue(['export', '-', '--namespace', 'piped'])
    expect(stdout).toBe(`${lines.join('\n')}\n`)
    expect(stderr).toMatch(/^Exported 20 memories \(\d+\.\d kB\)\.\n$/u)
  })

  test('the file is its owner’s alone and nothing else is left beside it', async () => {
    const directory = join(root, 'out')
    mkdirSync(directory)
    writeFileSync(join(directory, 'kept.jsonl'), 'an older export', { mode: 0o644 })
    await mindglue(['export', join(directory, 'kept.jsonl'), '--namespace', 'piped'])
    expect(readdirSync(directory)).toEqual(['kept.jsonl'])
    expect(statSync(join(directory, 'kept.jsonl')).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(directory, 'kept.jsonl'), 'utf8')).toContain('"mindglue":1')
  })

  test('an export that cannot be written says so and leaves what is there', async () => {
    const missing = await mindglue(['export', join(root, 'nowhere/x.jsonl')])
    expect(missing.code).toBe(1)
    expect(missing.stderr).toContain('cannot be written (ENOENT)')
    const directory = await mindglue(['export', root])
    expect(directory.stderr).toContain('is no ordinary file')
  })

  test('Markdown is written as well', async () => {
    const { stdout } = await mindglue(['export', '--format', 'markdown', '--namespace', 'piped'])
    expect(stdout.match(/^- \*\*/gmu)).toHaveLength(20)
  })

  test('memories with long originals come in smaller pages', { timeout: 120_000 }, async () => {
    // Words, not an encoded blob, which would be quarantined.
    const raw = 'we met by the harbour and spoke of the plan '.repeat(5_400)
    const lines = Array.from({ length: 80 }, (_, index) => lineOf(index, {}, raw))
    const file = fileWith('large.jsonl', lines)
    expect(statSync(file).size).toBeGreaterThan(18_000_000)
    expect(await mindglue(['import', file, '--own', '--namespace', 'large'])).toMatchObject({
      code: 0,
    })
    const out = join(root, 'large-out.jsonl')
    expect(await mindglue(['export', out, '--namespace', 'large'])).toMatchObject({ code: 0 })
    expect(readFileSync(out).equals(readFileSync(file))).toBe(true)
  })
})

describe('a line that is wrong', () => {
  const good = (count: number, from = 0): string[] =>
    Array.from({ length: count }, (_, index) => lineOf(from + index))

  test.each([
    ['not JSON', '{"mindglue":1,', 'is not JSON'],
    ['a field that would be lost', lineOf(1, { colour: 'red' }), 'Unrecognized key'],
    ['a type we do not know', lineOf(1, { type: 'dream' }), 'type: Invalid option'],
    ['an impossible date', lineOf(1, { recorded_at: 'soon' }), 'recorded_at: not a date'],
  ])('is named by its number: %s', async (_what, bad, message) => {
    const namespace = `bad-${uuidv7()}`
    const file = fileWith('bad.jsonl', [...good(3), '', bad, ...good(2, 3)])
    const { code, stderr } = await mindglue(['import', file, '--namespace', namespace])
    expect(code).toBe(1)
    expect(stderr).toContain('Line 5')
    expect(stderr).toContain(message)
    expect((await mindglue(['export', '--namespace', namespace])).stdout).toBe('')
  })

  test('stops there: whole batches before it are in, nothing of its own is', async () => {
    const lines = good(1100)
    const file = fileWith('late.jsonl', [...lines, lineOf(1100, { access: 'everyone' })])
    const { stderr } = await mindglue(['import', file, '--own', '--namespace', 'late'])
    expect(stderr).toContain('Line 1101: access:')
    expect(stderr).toContain('The 1,000 memories before it are in')
    const { stdout } = await mindglue(['export', '--namespace', 'late'])
    expect(stdout).toBe(`${lines.slice(0, 1000).join('\n')}\n`)

    const mended = fileWith('late.jsonl', [...lines, lineOf(1100)])
    const again = await mindglue(['import', mended, '--own', '--namespace', 'late'])
    expect(again.stderr).toContain('Imported 101 memories, 1,000 were there already')
  })

  test('a file that is not there is said to be missing', async () => {
    const { code, stderr } = await mindglue(['import', join(root, 'absent.jsonl')])
    expect({ code, stderr }).toMatchObject({ code: 1 })
    expect(stderr).toContain('absent.jsonl cannot be read (ENOENT)')
  })
})

describe('the reference knowledge-graph server’s memory.json', () => {
  const graph = [
    {
      type: 'entity',
      name: 'John_Smith',
      entityType: 'person',
      observations: ['Speaks fluent Spanish', 'Prefers morning meetings', '  '],
    },
    { type: 'entity', name: 'Anthropic', entityType: 'organization', observations: [] },
    { type: 'relation', from: 'John_Smith', to: 'Anthropic', relationType: 'works_at' },
  ].map((line) => JSON.stringify(line))

  test('becomes memories that name their entity and are found by it', async () => {
    const file = fileWith('memory.json', graph)
    const imported = await mindglue(['import', file, '--namespace', 'graph'])
    expect(imported.stderr).toContain('Imported 4 memories')
    const again = await mindglue(['import', file, '--namespace', 'graph'])
    expect(again.stderr).toContain('Imported 0 memories, 4 were there already')

    await withOperator('graph', async (operator) => {
      const ask = async (query: string) => (await operator.run('recall', { query })).results[0]
      expect(await ask('When does John Smith like to meet?')).toMatchObject({
        content: 'John Smith: Prefers morning meetings',
        tags: ['knowledge-graph', 'person'],
        metadata: { entity: 'John_Smith', entity_type: 'person' },
      })
      expect((await ask('Where does John Smith work?'))?.content).toBe(
        'John Smith works at Anthropic.',
      )
      const { results } = await operator.run('recall', { tags: ['knowledge-graph'] })
      expect(results).toHaveLength(4)
    })
  })

  test('a line that is neither entity nor relation stops it with its number', async () => {
    const file = fileWith('wrong.json', [...graph, '{"type":"entity","name":"Nobody"}'])
    const { code, stderr } = await mindglue(['import', file, '--namespace', 'wrong-graph'])
    expect(code).toBe(1)
    expect(stderr).toContain('Line 4: observations:')
    expect((await mindglue(['export', '--namespace', 'wrong-graph'])).stdout).toBe('')
  })
})

describe('the operator', () => {
  test('asks the next daemon when one is killed, and says so where that could store twice', async () => {
    await withOperator('killed', async (operator) => {
      await operator.run('store', { content: 'Before the daemon was killed.' })
      const status = (await mindglue(['daemon', 'status', '--json'])).stdout
      const { pid } = z.object({ pid: z.int() }).parse(JSON.parse(status))
      // Five hundred, so that it is still at work when it is killed.
      const memories = Array.from({ length: 500 }, (_, index) => ({ content: `Number ${index}.` }))
      const lost = operator.run('store', { memories }).catch((error: unknown) => error)
      process.kill(pid, 'SIGKILL')
      expect(await lost).toMatchObject({ code: 'unavailable', retryable: true })
      expect((await operator.run('size', {})).versions).toBeGreaterThanOrEqual(1)
    })
  })

  test('refuses what is no command, and an input the operation does not take', async () => {
    await withOperator('refused', async (operator) => {
      const wrong = operator.run('store', { content: ' ' })
      await expect(wrong).rejects.toMatchObject({ code: 'invalid_input' })
      // @ts-expect-error -- another version may know it
      const unknown = operator.run('shred', {})
      await expect(unknown).rejects.toBeInstanceOf(AppError)
      await expect(unknown).rejects.toMatchObject({ code: 'unsupported' })
      await expect(operator.run('backup', { directory: 'relative' })).rejects.toMatchObject({
        code: 'invalid_input',
      })
    })
  })
})

describe('backup', () => {
  test('copies the database in use; the copy opens and answers', { timeout: 120_000 }, async () => {
    const copy = join(root, 'copy')
    await withOperator('kept', async (operator) => {
      await operator.run('store', { content: 'The spare key hangs behind the boiler.' })
    })
    const made = await mindglue(['backup', copy])
    expect(made).toMatchObject({ code: 0, stderr: '' })
    expect(made.stdout).toContain(copy)
    expect(statSync(join(copy, 'pg')).mode & 0o777).toBe(0o700)

    const env = { MINDGLUE_DATA_DIR: copy }
    const { stdout } = await mindglue(['export', '--namespace', 'kept'], { env })
    await mindglue(['daemon', 'stop'], { env })
    expect(stdout).toContain('The spare key hangs behind the boiler.')
  })

  test('never writes into a directory that holds something, or into the data itself', async () => {
    const full = await mindglue(['backup', root])
    expect(full).toMatchObject({ code: 1 })
    expect(full.stderr).toContain('is not empty')
    const inside = await mindglue(['backup', join(dataDirectory, 'copy')])
    expect(inside.stderr).toContain('would be lost with it')
  })

  test('on PostgreSQL names the tool that does it', async () => {
    const env = { DATABASE_URL: 'postgres://app@127.0.0.1:1/mindglue' }
    const { code, stderr } = await mindglue(['backup', join(root, 'never')], { env })
    expect(code).toBe(1)
    expect(stderr).toContain('pg_dump --format=custom')
  })
})

describe('audit', () => {
  test('prints who did what, newest first, without content', async () => {
    await withOperator('audited', async (operator) => {
      await operator.run('store', { content: 'A word that must not be printed: heliotrope.' })
      await operator.run('forget', { everything: true })
    })
    const { stdout } = await mindglue(['audit', '--namespace', 'audited'])
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^time \(UTC\) +agent +channel +action +outcome +what +request$/u)
    expect(lines[1]).toMatch(/ ada +cli +forget +ok +memories 1, versions 1/u)
    expect(lines[2]).toMatch(/ ada +cli +store +ok +stored 1, duplicates 0/u)
    expect(stdout).not.toContain('heliotrope')
  })

  test('narrows by action, agent and number', async () => {
    const read = async (...flags: string[]): Promise<readonly { action: string }[]> => {
      const { stdout } = await mindglue(['audit', '--namespace', 'audited', '--json', ...flags])
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the shape is what the test checks
      return JSON.parse(stdout) as readonly { action: string }[]
    }
    expect((await read('--action', 'store')).map(({ action }) => action)).toEqual(['store'])
    expect(await read('--by', 'nobody')).toEqual([])
    expect(await read('--by', 'ada', '--limit', '2')).toHaveLength(2)
    const wrong = await mindglue(['audit', '--limit', 'many'])
    expect(wrong.stderr).toContain('--limit takes a whole number')
  })
})
