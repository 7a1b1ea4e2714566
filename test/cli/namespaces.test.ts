/** `mindglue namespaces` as a person runs it: each run is a process of its own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { freshStore, startProgram, type Served, type Store } from '../support/serve.ts'

// Each test starts whole processes, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 120_000 })

let store: Store
const running: Served[] = []

beforeAll(async () => {
  store = await freshStore()
})
afterEach(async () => {
  for (const { process: child, ended } of running.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
})
afterAll(() => store.remove())

async function mindglue(...args: readonly string[]) {
  const served = startProgram(args, store.environment)
  running.push(served)
  const code = await served.ended
  return { code, stdout: served.stdout(), stderr: served.stderr() }
}
const namespaces = (...args: readonly string[]) => mindglue('namespaces', ...args)

test('a namespace is made with its encryption and plan, shown, changed, and deleted for good', async () => {
  const made = await namespaces('create', 'research', '--encryption', 'off', '--plan', 'pro')
  expect(made).toMatchObject({ code: 0 })
  expect(made.stdout).toMatch(/^encryption +off$/mu)
  expect(made.stdout).toMatch(/^plan +pro$/mu)
  const again = await namespaces('create', 'research')
  expect(again.code).not.toBe(0)
  expect(again.stderr).toContain('There is a namespace of this name already.')

  expect((await namespaces()).stdout).toMatch(/^research +off +pro +0 /mu)
  expect((await namespaces('set', 'research', '--plan', 'free')).stdout).toContain('plan free')
  expect((await namespaces('show', 'research')).stdout).toMatch(/^plan +free$/mu)

  const rule = 'Keep decisions with their reasons.'
  const told = await namespaces('set', 'research', '--instructions', rule)
  expect([told.code, told.stdout.includes(rule)]).toEqual([0, true])
  expect((await namespaces('show', 'research')).stdout).toContain(`instructions\n${rule}`)
  const file = join(store.environment['HOME'] ?? '', 'instructions.txt')
  writeFileSync(file, 'Never keep names.\r\n')
  const both = ['--instructions', rule, '--instructions-file', file]
  expect((await namespaces('set', 'research', ...both)).stderr).toContain('not both')
  await namespaces('set', 'research', '--instructions-file', file)
  expect((await namespaces('show', 'research')).stdout).toMatch(/\nNever keep names\.\n$/u)
  await namespaces('set', 'research', '--no-instructions')
  expect((await namespaces('show', 'research')).stdout).not.toContain('instructions')

  const asked = await namespaces('delete', 'research')
  expect(asked.code).toBe(1)
  expect(asked.stdout).toContain('--yes does it without asking')
  const deleted = await namespaces('delete', 'research', '--yes')
  expect(deleted).toMatchObject({ code: 0, stderr: '' })
  expect(deleted.stdout).toMatch(/^Deleted research for good: \d+ rows\.$/mu)
  expect((await namespaces('show', 'research')).stderr).toContain('There is no such namespace.')
  const audit = await mindglue('audit', '--action', 'namespace.delete')
  expect(audit.stdout).toContain('namespace.delete')
})

test.each([
  ['the namespace that the command works in', ['delete', 'default', '--yes'], '--namespace'],
  ['a name that nobody could use', ['create', 'Upper Case'], 'lower-case'],
  ['a change of nothing', ['set', 'default'], '--plan or --instructions'],
  ['a plan that is none', ['create', 'planned', '--plan', 'gold'], 'the plans are'],
  ['an encryption that is none', ['create', 'x', '--encryption', 'rot13'], 'rot13'],
])('%s is refused with what to do', async (_what, args, message) => {
  const refused = await namespaces(...args)
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain(message)
})
