/** `npm run demo` as a person runs it, on a fresh build. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compileProgram } from '../daemon/program.ts'

const loader = new URL('../support/typescript-loader.mjs', import.meta.url).href
const script = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url))

let program: Awaited<ReturnType<typeof compileProgram>>
beforeAll(async () => {
  program = await compileProgram()
})
afterAll(() => program.remove())

interface Ended {
  readonly code: number
  readonly stdout: string
}

async function demo(main: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return await new Promise((done) => {
    const args = ['--import', loader, script, main]
    const options = { env: { PATH: process.env['PATH'] ?? '', ...env } }
    execFile(process.execPath, args, options, (error, stdout) => {
      done({ code: error === null ? 0 : Number(error.code), stdout })
    })
  })
}

const leftBehind = (): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('mindglue-demo-'))

test('every step does what it says, and the path to paste is the real one', async () => {
  const before = leftBehind()
  // A person's own settings must not reach it.
  const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none', MINDGLUE_EMBEDDER: 'none' }
  const { code, stdout } = await demo(program.main, env)
  expect(stdout).not.toContain('✗')
  expect(code).toBe(0)
  for (const part of [
    'tools: store, recall, forget, export',
    '61 memories in one transaction',
    'of 10 expected notes are among the first three',
    'speaks of 2026-03-03',
    'gone at the moment it expired',
    '61 memories,',
    'a dry run counts 2 memories and deletes nothing',
    'it asks first, token ',
    'confirmed: 2 memories are gone for good',
    '59 memories remain',
    `claude mcp add mindglue -- ${process.execPath} ${program.main}`,
    `"args": [${JSON.stringify(program.main)}]`,
    '"servers": {',
  ]) {
    expect(stdout).toContain(part)
  }
  expect(stdout).not.toContain('\u001b[')
  expect(leftBehind()).toEqual(before)
}, 180_000)

test('a program that does not serve ends it with 1 and leaves nothing behind', async () => {
  const before = leftBehind()
  const { code, stdout } = await demo(script)
  expect(code).toBe(1)
  expect(stdout).toContain('✗')
  expect(leftBehind()).toEqual(before)
}, 60_000)
