/** Delays after wrong attempts fade, and no place or account is shut out by what others do. */
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAttempts, type Attempt, type Attempts } from '../../src/accounts/attempts.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'

let memory: TestMemory
let attempts: Attempts
beforeAll(async () => {
  memory = await openTestMemory()
  attempts = createAttempts((work) => memory.test.scope.withDirectory(work))
})
afterAll(() => memory.close())

/** Everything that was tried lies so much further back. */
const passMinutes = (minutes: number) =>
  memory.test.owner.ownerTransaction(
    (sql) => sql`
      update mindglue.account_delays set at = at - make_interval(mins => ${minutes}::int),
        until = until - make_interval(mins => ${minutes}::int)`,
  )
/** How many wrong attempts are let through until one has to wait; at most `most`. */
async function wrongOnes(attempt: () => Promise<Attempt>, most = 50): Promise<number> {
  for (let made = 0; made < most; made++) {
    const isMade = await attempt().then(
      () => true,
      (error: { code?: string }) => {
        expect(error.code).toBe('rate_limited')
        return false
      },
    )
    if (!isMade) return made
  }
  return most
}

test('a wrong attempt is forgotten in a quarter of an hour, and all of them in time', async () => {
  const attempt = () => attempts.forLogIn('typing@example.org', '192.0.2.1', true)
  expect(await wrongOnes(attempt)).toBe(6)
  await passMinutes(30)
  expect(await wrongOnes(attempt)).toBe(2)
  await passMinutes(600)
  expect(await wrongOnes(attempt)).toBe(6)
})

test('right attempts in between keep no wrong one alive', async () => {
  const attempt = () => attempts.forLogIn('working@example.org', '192.0.2.2', true)
  for (let wrong = 0; wrong < 5; wrong++) await attempt()
  for (let visit = 0; visit < 12; visit++) {
    await passMinutes(10)
    await (await attempt()).right()
  }
  expect(await wrongOnes(attempt)).toBe(6)
})

test('who guesses on and on makes one attempt in a quarter of an hour', async () => {
  const attempt = () => attempts.forLogIn('patient@example.org', '192.0.2.3', true)
  for (let round = 0; round < 12; round++) {
    await wrongOnes(attempt)
    await passMinutes(15)
  }
  expect(await wrongOnes(attempt)).toBe(1)
})

test('whoever entered from an office before does not wait for what others try there', async () => {
  const from = '192.0.2.4'
  const elsewhere = () => attempts.forLogIn(`${uuidv7()}@example.org`, from, false)
  expect(await wrongOnes(elsewhere)).toBe(31)
  const own = attempts.forLogIn('colleague@example.org', from, true)
  await expect(own).resolves.toBeDefined()
})

test('codes for one account are counted from everywhere, until it has another password', async () => {
  const account = uuidv7()
  expect(await wrongOnes(() => attempts.forFactor(account, 'hash'))).toBe(11)
  await expect(attempts.forFactor(account, 'another hash')).resolves.toBeDefined()
  await expect(attempts.forFactor(uuidv7(), 'hash')).resolves.toBeDefined()
})
