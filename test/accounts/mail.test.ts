/** Letters: sent off the request's path, all of them before the end, by a program that is told no secret. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAccounts } from '../../src/accounts/accounts.ts'
import { commandMail, type Letter, type Mail } from '../../src/accounts/mail.ts'
import { createOutbox, type Outbox } from '../../src/accounts/outbox.ts'
import { createPasswords } from '../../src/accounts/passwords.ts'
import { createSessionTokens, createSigningKeys } from '../../src/accounts/session-tokens.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { until } from '../support/until.ts'

let memory: TestMemory
let directory: string
beforeAll(async () => {
  memory = await openTestMemory()
  directory = mkdtempSync(join(tmpdir(), 'mindglue-mail-'))
})
afterAll(async () => {
  await memory.close()
  rmSync(directory, { recursive: true, force: true })
})

const letter: Letter = { to: 'ada@example.org', subject: 'A letter', text: 'Hello.' }

/** Accounts whose letters go there. */
function accountsWith(outbox: Outbox) {
  const secret = Buffer.alloc(32, 7)
  return createAccounts({
    isOpen: true,
    inDirectory: (work) => memory.test.scope.withDirectory(work),
    passwords: createPasswords(secret, undefined),
    tokens: createSessionTokens('https://a.example', createSigningKeys(secret)),
    post: (one) => outbox.post(one),
    leave: () => Promise.resolve(),
    totpKey: secret,
  })
}

test('an answer is given before the program of its letter is started', async () => {
  const started: string[] = []
  const outbox = createOutbox({ send: ({ to }) => Promise.resolve(void started.push(to)) }, fail)
  const accounts = accountsWith(outbox)
  await accounts.signUp('ada@example.org', undefined)
  expect(started).toEqual([])
  await until(() => started.length === 1)
})

test('what is waiting is sent before the end, a few at a time', async () => {
  let running = 0
  let most = 0
  const sent: string[] = []
  const send: Mail['send'] = async ({ text }) => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    sent.push(text)
  }
  const outbox = createOutbox({ send }, fail)
  const texts = Array.from({ length: 20 }, (_, index) => String(index))
  for (const text of texts) outbox.post({ ...letter, text })
  await outbox.close()
  expect(sent.toSorted()).toEqual(texts.toSorted())
  expect(most).toBe(4)
})

test('one that cannot be sent stops no other, and is told without its address', async () => {
  const failures: unknown[] = []
  const outbox = createOutbox(commandMail(['/nowhere/at/all'], 'a@example.org'), (error) =>
    failures.push(error),
  )
  outbox.post(letter)
  outbox.post(letter)
  await outbox.close()
  expect(failures).toHaveLength(2)
  expect(failures[0]).toMatchObject({ code: 'unavailable' })
  const told = failures.map((error) => {
    if (!(error instanceof Error)) return error
    return [error.message, String(error.cause), error.cause]
  })
  expect(JSON.stringify(told)).not.toContain('ada@example.org')
})

test('the program is given where things are and no setting of ours', async () => {
  const file = join(directory, 'environment')
  const program = join(directory, 'send')
  writeFileSync(program, `#!/bin/sh\ncat > /dev/null\nenv > "${file}"\n`, { mode: 0o700 })
  process.env['MINDGLUE_SECRET'] = 'canary-7b1d'
  try {
    await commandMail([program], 'a@example.org').send(letter)
  } finally {
    delete process.env['MINDGLUE_SECRET']
  }
  const names = readFileSync(file, 'utf8').match(/^\w+(?==)/gmu) ?? []
  // What the shell sets by itself.
  const own = names.filter((name) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(name))
  expect(own).toContain('PATH')
  expect(own.filter((name) => !['PATH', 'HOME', 'LANG'].includes(name))).toEqual([])
})

function fail(error: unknown): never {
  throw new Error('a letter was not sent', { cause: error })
}
