/** Delays for who guesses, where the address of nobody is known. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAttempts } from '../../src/accounts/attempts.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let running: TestApp
beforeAll(async () => {
  running = await startTestApp()
}, 120_000)
afterAll(() => running.close())

test('who asks for letters or guesses codes from nowhere waits, with everybody from nowhere alone', async () => {
  const attempts = createAttempts((work) => running.app.scope.withDirectory(work))
  for (let asked = 0; asked < 300; asked++) {
    await attempts.forMail(undefined)
    await attempts.forCode(undefined)
  }
  await attempts.forMail(undefined)
  await attempts.forCode(undefined)
  const refused = { code: 'rate_limited' }
  await expect(attempts.forMail(undefined)).rejects.toMatchObject(refused)
  await expect(attempts.forCode(undefined)).rejects.toMatchObject(refused)
  await attempts.forMail('203.0.113.9')
  await attempts.forCode('203.0.113.9')
})
