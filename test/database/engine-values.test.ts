/** What both engines promise alike about values: what goes in comes back, typed the same. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  fragment,
  joinFragments,
  nothing,
  type Database,
  type SqlParameter,
} from '../../src/database/database.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let fresh: TestDatabase
let database: Database

beforeAll(async () => {
  fresh = await openTestDatabase()
  database = fresh.database
})
afterAll(() => fresh.close())

const instant = new Date('2026-11-23T23:59:59.123Z')
const uuid = '01933b5e-7c1a-7e7e-8a2b-5f1e8f3c9d10'
const bytes = Buffer.from([0, 1, 34, 92, 123, 255])
const awkward = 'quote " backslash \\ comma , brace {} NULL null \n\t emoji 😀 ž'

describe('values', () => {
  const cases: readonly [cast: string, value: SqlParameter][] = [
    ['bool', true],
    ['bool', false],
    ['int2', -32768],
    ['int4', 2147483647],
    ['int8', 9223372036854775807n],
    ['int8', -9223372036854775808n],
    ['float8', 0.1],
    ['float8', Number.NaN],
    ['float8', Number.NEGATIVE_INFINITY],
    ['float4', 0.5],
    ['text', awkward],
    ['text', ''],
    ['text', 'NULL'],
    ['uuid', uuid],
    ['bytea', bytes],
    ['bytea', Buffer.alloc(0)],
    ['timestamptz', instant],
    ['text', null],
    ['uuid[]', [uuid, null]],
    ['int8[]', [1n, null, 9223372036854775807n]],
    ['int4[]', [1, null, -1]],
    ['float8[]', [0.1, null]],
    ['bool[]', [true, false, null]],
    ['bytea[]', [bytes, null, Buffer.alloc(0)]],
    ['text[]', [awkward, null, '', 'NULL', 'null', ' a ', '{', 'a,b']],
    ['timestamptz[]', [instant, null]],
    ['text[]', []],
  ]
  test.each(cases)('%s comes back as it was bound (case %#)', async (cast, value) => {
    // The cast is part of the SQL text, which a template cannot vary otherwise.
    const text = Object.assign(['select ', `::${cast} as value`], { raw: [] })
    const rows = await database.transaction({}, (sql) => sql(text, value))
    expect(rows).toEqual([{ value }])
  })

  test('a view into a larger buffer is bound as that view', async () => {
    const view = new Uint8Array(Buffer.from('abcdef')).subarray(2, 4)
    const [row] = await database.transaction(
      {},
      (sql) => sql<{ value: Buffer }>`select ${view}::bytea as value`,
    )
    expect(row?.value.toString()).toBe('cd')
  })

  test('bytes are a Buffer, counts are bigint, json is parsed, numeric and date stay text', async () => {
    const [row] = await database.transaction(
      {},
      (sql) => sql`select '\\x00ff'::bytea as bytes, count(*) as count, '{"a":[1]}'::jsonb as json,
        1.50::numeric as numeric, date '2026-11-23' as date, null::bytea as nothing`,
    )
    expect(Buffer.isBuffer(row?.['bytes'])).toBe(true)
    expect(row).toMatchObject({ count: 1n, json: { a: [1] }, numeric: '1.50', date: '2026-11-23' })
    expect(row?.['nothing']).toBeNull()
  })

  test('times are read as instants whatever their year', async () => {
    const [row] = await database.transaction(
      {},
      (sql) => sql`select '0099-01-02 03:04:05+00'::timestamptz as early,
        '2026-11-23 12:00:00.123456+05:30'::timestamptz as offset,
        '12026-01-02 03:04:05+00'::timestamptz as late,
        'infinity'::timestamptz as never`,
    )
    expect(row).toEqual({
      early: new Date('0099-01-02T03:04:05Z'),
      offset: new Date('2026-11-23T06:30:00.123Z'),
      late: new Date('+012026-01-02T03:04:05Z'),
      never: new Date(8.64e15),
    })
  })

  test('fragments nest and number their parameters through', async () => {
    const conditions = joinFragments(
      [fragment`n > ${2}::int4`, fragment`n = any(${[1, 3, 5]}::int4[])`],
      ' and ',
    )
    const rows = await database.transaction(
      {},
      (sql) => sql`select n from generate_series(1, ${6}::int4) n where ${conditions} ${nothing}
        order by n`,
    )
    expect(rows).toEqual([{ n: 3 }, { n: 5 }])
  })

  test('undefined and an invalid date are refused before anything is sent', async () => {
    const wrong: unknown = undefined
    for (const value of [wrong, new Date(Number.NaN)]) {
      await expect(
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the wrong type is the test
        database.transaction({}, (sql) => sql`select ${value as SqlParameter}::text`),
      ).rejects.toThrow()
    }
  })
})
