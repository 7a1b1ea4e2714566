/** Who gives, widens, ends and sees a grant, and when it ends, whatever statement tries. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { v7 as uuidv7 } from 'uuid'
import type { Sql } from '../../src/database/database.ts'
import type { Principal } from '../../src/principal.ts'
import { testEngine } from '../support/database.ts'
import { openHostileGrants, type HostileGrants } from '../support/hostile-grants.ts'
import type { TestMemory } from '../support/memory.ts'
import { insufficientPrivilege, type Statements } from '../support/statements.ts'

let grants: HostileGrants
let memory: TestMemory
let hostile: Statements
let home: Principal
let reader: Principal
beforeAll(async () => {
  grants = await openHostileGrants()
  ;({ memory, hostile, home, reader } = grants)
})
afterAll(() => memory.close())

describe('who gives', () => {
  const insert = (changes: Readonly<Record<string, string>> = {}) => {
    const values = {
      namespace: `${home.namespace}`,
      id: `'${uuidv7()}'`,
      grantee: `${reader.namespace}`,
      namespace_name: `'home'`,
      grantee_name: `'reader'`,
      created_by: `'bob'`,
      ...changes,
    }
    return `insert into grants (${Object.keys(values).join(', ')}) values (${Object.values(values).join(', ')})`
  }

  test('is an administrator of the home and nobody else', async () => {
    expect(await hostile.stateOf(grants.own(home, 'a'), insert())).toBe('done')
    for (const as of [
      grants.own(home),
      grants.own(reader),
      grants.own(reader, 'a'),
      grants.own(home, 'q'),
    ]) {
      expect(await hostile.stateOf(as, insert())).toBe(insufficientPrivilege)
    }
  })

  test.each<readonly [string, Readonly<Record<string, string>>]>([
    ['in another’s name', { created_by: `'eve'` }],
    ['that has ended before', { revoked_at: 'now()' }],
  ])('gives no grant %s', async (_what, changes) => {
    expect(await hostile.stateOf(grants.own(home, 'a'), insert(changes))).toBe(
      insufficientPrivilege,
    )
  })

  test.each<readonly [string, () => Readonly<Record<string, string>>]>([
    ['to itself', () => ({ grantee: `${home.namespace}` })],
    ['of a penalty that rewards', () => ({ penalty: '-1' })],
    ['of words that are no types', () => ({ types: `'fact; drop'` })],
    ['of a filter without its words', () => ({ mark: '1' })],
  ])('gives no grant %s', async (_what, changes) => {
    expect(await hostile.stateOf(grants.own(home, 'a'), insert(changes()))).toBe('23514')
  })

  test('widens none that is there, and brings none back', async () => {
    for (const column of [
      'includes_shared = true',
      'types = null',
      'expires_at = null',
      'mark = null, mark_label = null',
      `grantee = ${home.namespace} + 1`,
      'penalty = 0',
    ]) {
      const statement = `update grants set ${column}`
      expect([column, await hostile.stateOf(grants.own(home, 'a'), statement)]).toEqual([
        column,
        insufficientPrivilege,
      ])
    }
    const back = `update grants set revoked_at = null where id = '${grants.grantId('revoked')}' returning id`
    expect(await hostile.rows(grants.own(home, 'a'), back)).toEqual([])
    const undone = `update grants set revoked_at = null where id = '${grants.grantId('all')}'`
    expect(await hostile.stateOf(grants.own(home, 'a'), undone)).toBe(insufficientPrivilege)
    expect(await hostile.stateOf(grants.own(home, 'a'), 'delete from grants')).toBe(
      insufficientPrivilege,
    )
  })

  test('ends it: an administrator of either side, and no agent', async () => {
    const end = `update grants set revoked_at = now() where id = '${grants.grantId('all')}' returning id`
    for (const as of [grants.own(home), grants.own(reader), hostile.agent(77n, 'root', 'a')]) {
      expect(await hostile.rows(as, end)).toEqual([])
    }
    for (const as of [grants.own(home, 'a'), grants.own(reader, 'a')]) {
      expect(await hostile.rows(as, end)).toHaveLength(1)
    }
  })

  test('is told of it with its holder, and no other namespace or agent of the home', async () => {
    const list = 'select id from grants'
    expect((await hostile.rows(grants.own(home, 'a'), list)).length).toBeGreaterThan(6)
    expect((await hostile.rows(grants.own(reader), list)).length).toBeGreaterThan(6)
    expect(await hostile.rows(grants.own(home), list)).toEqual([])
    expect(await hostile.rows(hostile.agent(77n, 'root', 'a'), list)).toEqual([])
    expect(await hostile.rows(undefined, list)).toEqual([])
  })
})

describe('the end of a grant between two statements of one transaction', () => {
  const read = (sql: Sql) => sql<{ id: string }>`select id from memories`

  test('revoked: the next statement shows nothing', async () => {
    const [before, after] = await hostile.attempt(grants.named('all'), async (sql) => {
      const first = await read(sql)
      await sql`select set_config('mindglue.context', ${grants.own(home, 'a')}, true)`
      await sql`update grants set revoked_at = now() where id = ${grants.grantId('all')}::uuid`
      await sql`select set_config('mindglue.context', ${grants.named('all')}, true)`
      return [first, await read(sql)] as const
    })
    expect(before).toHaveLength(2)
    expect(after).toEqual([])
  })

  test.runIf(testEngine === 'postgres')(
    'revoked by somebody else meanwhile: the same',
    async () => {
      const { giver } = grants
      const { id } = await memory.execute(memory.operations.grantCreate, giver, { to: 'reader' })
      await memory.test.scope.withGrant(reader, { id, namespace: home.namespace }, async (tx) => {
        expect(await read(tx)).toHaveLength(2)
        const elsewhere = statementsElsewhere(() =>
          memory.execute(memory.operations.grantRevoke, giver, { id }),
        )
        await elsewhere
        expect(await read(tx)).toEqual([])
      })
    },
  )

  test('expired: to the millisecond, by the clock of the database', async () => {
    const until = 250
    const rows = await hostile.attempt(grants.own(home, 'a'), async (sql) => {
      const id = uuidv7()
      await sql`insert into grants (namespace, id, grantee, namespace_name, grantee_name, created_by,
          expires_at)
        values (${home.namespace}, ${id}::uuid, ${reader.namespace}, 'home', 'reader', 'bob',
          clock_timestamp() + make_interval(secs => ${until / 1000}::float8))`
      await sql`select set_config('mindglue.context', ${grants.under({ grant: id })}, true)`
      const looks: { before: boolean; after: boolean; count: number }[] = []
      // Far more looks than the fastest machine has in that time.
      for (let look = 0; look < 50_000; look += 1) {
        const [row] = await sql<{ before: boolean; after: boolean; count: number }>`
          with start as materialized (
            select g.expires_at > clock_timestamp() as before from grants g where g.id = ${id}::uuid
          ), found as materialized (
            select count(*)::int as count from start, memories
          )
          select s.before, f.count,
            (select g.expires_at > clock_timestamp() from grants g where g.id = ${id}::uuid
              and f.count >= 0) as after
          from start s, found f`
        if (row) looks.push(row)
        if (row?.before === false) break
      }
      return looks
    })
    expect(rows.at(-1)).toMatchObject({ before: false, count: 0 })
    expect(rows.filter(({ after }) => after).map(({ count }) => count > 0)).not.toContain(false)
    expect(rows.filter(({ before }) => !before).map(({ count }) => count)).toEqual([0])
  })
})

/** Outside the transaction that is open here: its own chain of calls. */
async function statementsElsewhere<T>(work: () => Promise<T>): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    outside.push({ run: () => void work().then(resolve, reject) })
  })
}
const outside: { run: () => void }[] = []
let turning: NodeJS.Timeout
beforeAll(() => {
  turning = setInterval(() => {
    for (const { run } of outside.splice(0)) run()
  }, 5)
})
afterAll(() => clearInterval(turning))
