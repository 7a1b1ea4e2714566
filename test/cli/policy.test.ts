/** `mindglue policy` and `mindglue scan`: the compiled program and a real daemon. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compileProgram } from '../daemon/program.ts'

let program: Awaited<ReturnType<typeof compileProgram>>
const root = mkdtempSync(join(tmpdir(), 'mindglue-policy-'))
const env = {
  PATH: process.env['PATH'] ?? '',
  HOME: root,
  MINDGLUE_DATA_DIR: join(root, 'data'),
  MINDGLUE_KEY_DIR: join(root, 'keys'),
}

beforeAll(async () => {
  program = await compileProgram()
})
afterAll(async () => {
  await mindglue('daemon', 'stop')
  await program.remove()
  rmSync(root, { recursive: true, force: true })
})

async function mindglue(...args: string[]) {
  return await new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    const child = execFile(
      process.execPath,
      [program.main, ...args],
      { env },
      (error, stdout, stderr) =>
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
    child.stdin?.end()
  })
}

test('an import says what it replaced, a policy is changed, and a scan applies it to what is there', async () => {
  const file = join(root, 'memory.json')
  const key = 'sk_live_4eC39HqLyjWDarjtT1zdp7dc'
  const observations = [`writes to marta@example.org with ${key}`, 'lives in Lublin']
  writeFileSync(
    file,
    JSON.stringify({ type: 'entity', name: 'Jonas', entityType: 'person', observations }),
  )
  const imported = await mindglue('import', file)
  expect(imported).toMatchObject({ code: 0 })
  expect(imported.stderr).toContain('1 stripe-key redacted')
  expect(imported.stderr).toContain('1 email flagged')
  expect((await mindglue('policy')).stdout).toMatch(/credentials +redact.*\n.*personal data +flag/u)
  expect(JSON.parse((await mindglue('policy', '--personal', 'redact', '--json')).stdout)).toEqual({
    credentials: 'redact',
    personal: 'redact',
  })
  expect((await mindglue('policy', '--personal', 'delete')).code).not.toBe(0)
  expect((await mindglue('scan', '--dry-run')).stdout).toContain('1 would be changed')
  const scanned = await mindglue('scan')
  expect(scanned).toMatchObject({ code: 0 })
  expect(scanned.stdout).toContain('Looked at 2 memory versions; 1 changed.')
  expect(scanned.stdout).toContain('1 email redacted')
  const out = join(root, 'out.jsonl')
  await mindglue('export', out)
  expect(readFileSync(out, 'utf8')).toContain('[redacted: email] with [redacted: stripe-key]')
  expect(readFileSync(out, 'utf8')).not.toMatch(/4eC39|marta@/u)
  const audit = await mindglue('audit', '--action', 'namespace.set')
  expect(audit.stdout).toContain('namespace.set')
  expect(audit.stdout).toContain('personal.redact')
}, 120_000)
