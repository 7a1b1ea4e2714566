/** Exports that only the holder of a key reads: sealed to a public key, or as Fernet tokens for other programs. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { generateFernetKey } from '../../src/crypto/fernet.ts'
import { oracleOpen, oracleSeal } from '../crypto/fernet-oracle.ts'
import { compileProgram } from '../daemon/program.ts'

let program: Awaited<ReturnType<typeof compileProgram>>
const root = mkdtempSync(join(tmpdir(), 'mindglue-sealed-files-'))
const environment = {
  PATH: process.env['PATH'] ?? '',
  HOME: root,
  MINDGLUE_DATA_DIR: join(root, 'data'),
  MINDGLUE_KEY_DIR: join(root, 'keys'),
}
const at = (name: string): string => join(root, name)

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function mindglue(args: readonly string[], input = ''): Promise<Ended> {
  return await new Promise((done) => {
    const child = execFile(
      process.execPath,
      [program.main, ...args],
      { env: environment, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => done({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

const importTokens = (name: string, key: string, namespace: string) =>
  mindglue(['import', at(name), '--fernet-key-file', at(key), '--own', '--namespace', namespace])

const content = (index: number): string => `Ada keeps the quartz key number ${index} in the cellar.`
let publicKey: string

beforeAll(async () => {
  program = await compileProgram()
  const line = (index: number) =>
    JSON.stringify({
      mindglue: 1,
      id: `019aaaaa-0000-7000-8000-${index.toString().padStart(12, '0')}`,
      version: 1,
      content: content(index),
      type: 'fact',
      tags: [],
      occurred_at: '2026-03-01T00:00:00.000Z',
      recorded_at: '2026-03-01T00:00:00.000Z',
      importance: 0.5,
      access: 'shared',
      owner_agent: 'ada',
      source: { kind: 'agent', trust: 2 },
      is_current: true,
      valid_from: '2026-03-01T00:00:00.000Z',
    })
  // More than one chunk of the format, and more than one page.
  const lines = Array.from({ length: 800 }, (_, index) => `${line(index)}\n`)
  writeFileSync(at('given.jsonl'), lines.join(''))
  expect(await mindglue(['import', at('given.jsonl'), '--own'])).toMatchObject({ code: 0 })
  publicKey = (await mindglue(['keys', 'pair', at('secret')])).stdout.trim()
}, 120_000)
afterAll(async () => {
  await mindglue(['daemon', 'stop'])
  await program.remove()
  rmSync(root, { recursive: true, force: true })
})

const given = (): string => readFileSync(at('given.jsonl'), 'utf8')

test('an export sealed to a public key is opened with the secret one, to a file and to stdout', async () => {
  expect(statSync(at('secret')).mode & 0o777).toBe(0o600)
  const exported = await mindglue(['export', at('sealed'), '--to', publicKey])
  expect(exported).toMatchObject({ code: 0, stdout: '' })
  expect(readFileSync(at('sealed'), 'latin1')).not.toMatch(/quartz|mindglue"|cellar/u)
  const opened = await mindglue(['open', at('sealed'), at('opened'), '--key-file', at('secret')])
  expect(opened).toMatchObject({ code: 0, stdout: '' })
  expect(readFileSync(at('opened'), 'utf8')).toBe(given())
  expect(statSync(at('opened')).mode & 0o777).toBe(0o600)
  const piped = await mindglue(
    ['open', at('sealed'), '--key-file', '-'],
    readFileSync(at('secret'), 'utf8'),
  )
  expect(piped).toMatchObject({ code: 0, stdout: given() })
})

test('nothing of a damaged or cut file appears, nor with another key', async () => {
  const sealed = readFileSync(at('sealed'))
  const changed = Buffer.from(sealed)
  changed[sealed.length - 20] = (changed[sealed.length - 20] ?? 0) ^ 1
  // Cut where a chunk ends: all that is left is authentic.
  const cut = sealed.subarray(0, 42 + 65_552)
  const other = (await mindglue(['keys', 'pair', at('other-secret')])).stdout
  expect(other).not.toBe(`${publicKey}\n`)
  for (const [name, bytes, key] of [
    ['changed', changed, 'secret'],
    ['cut', cut, 'secret'],
    ['sealed', sealed, 'other-secret'],
  ] as const) {
    writeFileSync(at(name), bytes)
    for (const target of [['-'], [at('never')]]) {
      const ended = await mindglue(['open', at(name), ...target, '--key-file', at(key)])
      expect(ended).toMatchObject({ stdout: '' })
      expect(ended.code).not.toBe(0)
      expect(ended.stderr).toContain('damaged, cut short, or was sealed to another key')
    }
  }
  expect(() => statSync(at('never'))).toThrow('ENOENT')
})

test('a key pair never replaces a file, and a secret key is no place to seal to', async () => {
  const before = readFileSync(at('secret'), 'utf8')
  expect((await mindglue(['keys', 'pair', at('secret')])).code).not.toBe(0)
  expect(readFileSync(at('secret'), 'utf8')).toBe(before)
  const secret = before.trimEnd().split('\n').at(-1) ?? ''
  const wrong = await mindglue(['export', at('wrong'), '--to', secret])
  expect(wrong.stderr).toContain('This is the secret key')
  expect(wrong.code).not.toBe(0)
  expect(() => statSync(at('wrong'))).toThrow('ENOENT')
})

test('a secret that other users can read is refused with what mends it', async () => {
  writeFileSync(at('exposed'), readFileSync(at('secret')))
  chmodSync(at('exposed'), 0o644)
  const ended = await mindglue(['open', at('sealed'), '--key-file', at('exposed')])
  expect(ended).toMatchObject({ stdout: '' })
  expect(ended.stderr).toContain('chmod 600')
})

test('Fernet lines are read by another implementation, and its lines are imported', async () => {
  const key = generateFernetKey()
  writeFileSync(at('fernet-key'), `${key}\n`, { mode: 0o600 })
  const exported = await mindglue(['export', at('tokens'), '--fernet-key-file', at('fernet-key')])
  expect(exported.code).toBe(0)
  const tokens = readFileSync(at('tokens'), 'utf8').trimEnd().split('\n')
  const lines = given().trimEnd().split('\n')
  expect(tokens).toHaveLength(800)
  for (const index of [0, 399, 799]) {
    expect(oracleOpen(key, tokens[index] ?? '')).toBe(lines[index])
  }

  const theirs = lines.slice(0, 20).map((line) => oracleSeal(key, line))
  writeFileSync(at('theirs'), `${theirs.join('\n')}\n`)
  const imported = await importTokens('theirs', 'fernet-key', 'elsewhere')
  expect(imported.stderr).toContain('Imported 20 memories')
  const back = await mindglue(['export', '-', '--namespace', 'elsewhere'])
  expect(back.stdout).toBe(
    lines
      .slice(0, 20)
      .map((line) => `${line}\n`)
      .join(''),
  )
}, 120_000)

test('a line that is no token of the key stops the import with its number', async () => {
  const key = generateFernetKey()
  writeFileSync(at('key-2'), key, { mode: 0o600 })
  const [first = ''] = given().split('\n')
  const good = oracleSeal(key, first)
  for (const [bad, what] of [
    [first, 'plain'],
    [oracleSeal(generateFernetKey(), first), 'of another key'],
    [good.replace(/=*$/u, ''), 'in another spelling'],
    [good.slice(0, -8), 'cut'],
  ] as const) {
    writeFileSync(at('mixed'), `${good}\n${bad}\n`)
    const ended = await importTokens('mixed', 'key-2', 'strict')
    expect(ended.code, what).not.toBe(0)
    expect(ended.stderr, what).toContain('Line 2: This is not a valid Fernet token')
  }
}, 120_000)
