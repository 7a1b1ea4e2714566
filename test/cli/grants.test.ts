/** `mindglue grants` as a person runs it: each run is a process of its own. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { z } from 'zod'
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

async function grants(...args: readonly string[]) {
  const served = startProgram(['grants', ...args], store.environment)
  running.push(served)
  const code = await served.ended
  return { code, stdout: served.stdout(), stderr: served.stderr() }
}

const created = z.object({ id: z.uuid(), to: z.string() })

test('a grant is given to a namespace that is there, listed on both sides, and ended', async () => {
  const absent = await grants('create', 'research')
  expect(absent).toMatchObject({ code: 1, stdout: '' })
  expect(absent.stderr).toContain('There is no namespace of this name.')
  expect((await grants('list', '--namespace', 'research')).stdout).toContain('gives and holds no')

  const terms = ['--type', 'fact', '--tag', 'wiki', '--expires-days', '30', '--json']
  const given = await grants('create', 'research', ...terms)
  expect(given.stderr).toBe('')
  const { id } = created.parse(JSON.parse(given.stdout))
  const list = await grants()
  expect(list.stdout).toMatch(
    new RegExp(`^${id} +active +default +research +public; fact; tag wiki; penalty 0.15`, 'mu'),
  )
  const held = await grants('list', '--namespace', 'research')
  expect(held.stdout).toMatch(
    new RegExp(`^${id} +active +default +research +public; fact; pen`, 'mu'),
  )

  const revoked = await grants('revoke', id)
  expect(revoked).toMatchObject({ code: 0, stderr: '' })
  expect(revoked.stdout).toContain(`Revoked ${id}`)
  expect((await grants('list')).stdout).toMatch(new RegExp(`^${id} +revoked`, 'mu'))
})

test.each([
  [
    'a penalty that is no number',
    ['create', 'x', '--penalty', 'much'],
    '--penalty takes a number.',
  ],
  ['a type that is none', ['create', 'x', '--type', 'secret'], 'secret'],
  ['two ends', ['create', 'x', '--expires-days', '1', '--expires-at', '2099-01-01'], 'not both'],
  ['an id that is none', ['revoke', 'all'], 'id'],
])('%s is refused with what to do', async (_what, args, message) => {
  const refused = await grants(...args)
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain(message)
})
