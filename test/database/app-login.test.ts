/** The application's password: a verifier by the specification, that a real server accepts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scramVerifier, setAppPassword } from '../../src/database/app-login.sql.ts'
import { openTestDatabase, testEngine, type TestDatabase } from '../support/database.ts'

test('the verifier of RFC 7677 section 3 comes out', () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  expect(scramVerifier('pencil', salt, 4096)).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  )
})

describe.runIf(testEngine === 'postgres')('on a server', () => {
  let db: TestDatabase
  beforeAll(async () => {
    db = await openTestDatabase()
  })
  afterAll(() => db.close())

  test('the password is stored as that verifier, whatever it holds', async () => {
    // The role belongs to the whole server: this is the password every test gives it.
    const password = decodeURIComponent(new URL(db.url).password)
    await setAppPassword(db.owner, password)
    const [row] = await db.owner.ownerTransaction(
      (sql) => sql<{ stored: string }>`
        select rolpassword as stored from pg_authid where rolname = 'mindglue_app'`,
    )
    const [, salt = ''] = /^SCRAM-SHA-256\$4096:([^$]+)\$/u.exec(row?.stored ?? '') ?? []
    expect(row?.stored).toBe(scramVerifier(password, Buffer.from(salt, 'base64')))
  })
})
