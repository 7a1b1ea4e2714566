/** What both engines promise alike: types, transactions, streaming, limits. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let db: TestDatabase
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

describe('a transaction', () => {
  test('sees values of every type as they were bound', async () => {
    const row = await db.database.transaction({}, async (sql) => {
      const rows = await sql`select ${1}::int4 as i, ${2n ** 62n}::int8 as b`
      return rows[0]
    })
    expect(row).toEqual({ i: 1, b: 2n ** 62n })
  })
})
