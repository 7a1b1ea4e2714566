/** What stands in the database of clients, codes and tokens: nothing that opens anything, and bound to its place. */
import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClients, type Clients } from '../../src/accounts/clients.ts'
import { createConsents, type Consents } from '../../src/accounts/consents.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { join, person } from '../support/people.ts'

let memory: TestMemory
let clients: Clients
let consents: Consents
beforeAll(async () => {
  memory = await openTestMemory()
  const { scope } = memory.test
  clients = createClients({
    inDirectory: (work) => scope.withDirectory(work),
    key: randomBytes(32),
    documents: 'off',
  })
  consents = createConsents(scope)
})
afterAll(() => memory.close())

const artifact = (kind = 'RefreshToken') => ({ kind, id: randomBytes(32).toString('base64url') })
const keep = (one: { kind: string; id: string }, payload: object, grant?: string) =>
  clients.keep(one, { payload, grant }, 60, false)

async function rows(): Promise<{ id_hash: Buffer; payload: Buffer }[]> {
  return await memory.test.owner.ownerTransaction(
    (sql) => sql<{ id_hash: Buffer; payload: Buffer }>`
      select a.id_hash, a.payload from mindglue.oauth_artifacts a`,
  )
}

test('neither the secret of a token nor what belongs to it can be read there', async () => {
  const token = artifact()
  await keep(token, { jti: token.id, accountId: 'somebody', scope: 'memory:read' })
  const stored = (await rows()).map((row) => Buffer.concat([row.id_hash, row.payload]))
  expect(stored).toHaveLength(1)
  for (const text of [token.id, 'somebody', 'memory:read', 'jti']) {
    expect(stored.some((bytes) => bytes.includes(text))).toBe(false)
  }
  expect((await clients.read(token))?.payload).toMatchObject({ jti: token.id })
})

test('what stands in one row opens in no other, and a changed one not at all', async () => {
  const [mine, other] = [artifact(), artifact()]
  await keep(mine, { accountId: 'mine' })
  await keep(other, { accountId: 'other' })
  expect(await clients.read({ ...mine, kind: 'AuthorizationCode' })).toBeUndefined()
  await memory.test.owner.ownerTransaction((_sql, script) =>
    script(`with one as (select max(payload) as payload from mindglue.oauth_artifacts)
      update mindglue.oauth_artifacts a set payload = one.payload from one`),
  )
  const reads = await Promise.allSettled([clients.read(mine), clients.read(other)])
  expect(reads.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(2)
})

test('of many that use one up at once exactly one comes through', async () => {
  const code = artifact('AuthorizationCode')
  await keep(code, {})
  const uses = await Promise.all(Array.from({ length: 20 }, () => clients.consume(code)))
  expect(uses.filter(Boolean)).toHaveLength(1)
  expect((await clients.read(code))?.isConsumed).toBe(true)
})

test('a token of a grant that has ended is not kept', async () => {
  expect(await keep(artifact(), {}, uuidv7())).toBe(false)
})

test('what was allowed ends with the membership, the namespace, the account and the client', async () => {
  const { owner } = memory.test
  for (const end of [
    `delete from mindglue.account_members where account = 'ACCOUNT'`,
    `delete from mindglue.namespace_names where name = 'NAMESPACE'`,
    `delete from mindglue.accounts where id = 'ACCOUNT'`,
    `delete from mindglue.oauth_clients where id = 'CLIENT'`,
  ]) {
    const session = await person(memory)
    const { account } = session
    const namespaceName = `home ${account}`
    await join(memory, session, namespaceName, { agent: 'ada' })
    const { client_id: client } = await clients.register({ redirect_uris: ['https://a.example/b'] })
    const allowed = { client, namespaceName, scopes: ['memory:read'] } as const
    const grant = (await consents.allow(session, allowed, uuidv7())) ?? ''
    const token = artifact()
    expect(await keep(token, {}, grant)).toBe(true)
    const statement = end
      .replace('ACCOUNT', account)
      .replace('NAMESPACE', namespaceName)
      .replace('CLIENT', client)
    await owner.ownerTransaction((_sql, script) => script(statement))
    expect([end, await clients.grant(grant), await clients.read(token)]).toEqual([
      end,
      undefined,
      undefined,
    ])
  }
})
