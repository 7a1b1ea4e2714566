/** The command line as a person meets it: each run is a process of its own. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const loader = new URL('../support/typescript-loader.mjs', import.meta.url).href
const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', loader, entry, ...args],
    {
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: mkdtempSync(join(tmpdir(), 'mindglue-cli-')),
        ...environment,
      },
      input: '',
      timeout: 60_000,
    },
  )
  return { status, stdout, stderr }
}

describe('help', () => {
  test('names every command in groups, with examples, and exits with 0', () => {
    const { status, stdout, stderr } = run(['--help'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const part of ['Serve:', 'Look after it:', 'Examples:', 'serve', 'doctor', 'migrate']) {
      expect(stdout).toContain(part)
    }
    expect(stdout).not.toContain('\u001b[')
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  })

  // One process for each of them.
  test('of every command works, so what it loads exists', { timeout: 120_000 }, () => {
    const names = [...run(['--help']).stdout.matchAll(/^ {2}([a-z]+) (?: |\[)/gmu)].map((m) => m[1])
    expect(names.length).toBeGreaterThanOrEqual(5)
    for (const name of names) {
      expect(run([name ?? '', '--help'])).toMatchObject({ status: 0, stderr: '' })
    }
  })
})

describe('what is typed wrong', () => {
  test.each([
    [['serv'], "there is no command 'serv'; did you mean 'serve'?"],
    [['--data-dri', 'x'], "unknown option '--data-dri'"],
    [['daemon', 'stauts'], "there is no command 'stauts'; did you mean 'status'?"],
    [['doctor', 'now'], "there is no command 'now'"],
  ])('%j exits with 2 and helps', (args, message) => {
    const { status, stdout, stderr } = run(args)
    expect(status).toBe(2)
    expect(stderr).toContain(message)
    expect(stdout).toBe('')
  })

  test('a mistyped setting stops every command with the nearest name', () => {
    for (const args of [[], ['config'], ['doctor'], ['serve'], ['migrate'], ['daemon']]) {
      const { status, stdout, stderr } = run(args, { MINDGLUE_DATADIR: '/x' })
      expect(status).toBe(1)
      expect(stderr).toContain('did you mean MINDGLUE_DATA_DIR?')
      expect(stdout).toBe('')
    }
  })
})

describe('config', () => {
  test('prints effective values with their source and no secret', () => {
    const { status, stdout } = run(['config', '--json', '--namespace', 'team'], {
      MINDGLUE_AGENT: 'ada',
      REDIS_URL: 'redis://:pa55word@cache:6379',
    })
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      MINDGLUE_AGENT: { value: 'ada', source: 'environment' },
      MINDGLUE_NAMESPACE: { value: 'team', source: 'command line' },
      REDIS_URL: { value: 'redis://***@cache:6379' },
    })
    expect(stdout).not.toContain('pa55word')
    expect(run(['config']).stdout).toContain('MINDGLUE_DATA_DIR')
  })
})

describe('doctor', () => {
  test('finds nothing wrong with a fresh local set-up but an old Node', () => {
    const { status, stdout } = run(['doctor', '--json'])
    expect(status).toBe(0)
    const reports: unknown = JSON.parse(stdout)
    expect(reports).toEqual([
      expect.objectContaining({ check: 'node' }),
      expect.objectContaining({ check: 'files of secrets', findings: [] }),
      expect.objectContaining({ check: 'embedded database', findings: [] }),
    ])
  })

  test('names the setting whose file every user can read, and never what is in it', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'mindglue-cli-')), 'key')
    const key = 'a-key-that-is-long-enough-for-an-HTTP-client'
    writeFileSync(file, key, { mode: 0o644 })
    chmodSync(file, 0o644)
    const { status, stdout } = run(['doctor'], { MINDGLUE_API_KEY_FILE: file })
    expect(status).toBe(0)
    expect(stdout).toContain('warning  files of secrets')
    expect(stdout).toContain('MINDGLUE_API_KEY_FILE')
    expect(stdout).not.toContain(key)
  })

  test('says what to do about servers that do not answer', () => {
    const { status, stdout } = run(['doctor'], {
      DATABASE_URL: 'postgres://mindglue_app:pa55word@127.0.0.1:1/x',
      REDIS_URL: 'redis://:pa55word@127.0.0.1:1',
    })
    expect(status).toBe(1)
    expect(stdout).toContain('problem  database')
    expect(stdout).toContain('problem  redis')
    expect(stdout).not.toContain('pa55word')
  })
})

test('a passphrase in a file that others can read is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mindglue-cli-'))
  const passphrase = join(folder, 'passphrase')
  writeFileSync(passphrase, 'correct horse battery staple\n')
  const backup = ['keys', 'backup', join(folder, 'sealed'), '--passphrase-file', passphrase]
  chmodSync(passphrase, 0o640)
  const refused = run(backup)
  expect(refused.status).toBe(1)
  expect(refused.stderr).toContain(
    `Other users can read the passphrase file ${passphrase}. Run: chmod 600 ${passphrase}`,
  )
  chmodSync(passphrase, 0o600)
  expect(run(backup)).toMatchObject({ status: 0 })
})
