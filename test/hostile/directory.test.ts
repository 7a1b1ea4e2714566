/**
 * What belongs to no namespace (accounts, codes, clients, keys, names) is not reached by a statement that was
 * slipped into an agent's, an administrator's or a job's transaction, nor by one without any context.
 */
import { createHash, randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  addMail,
  addSession,
  findAccount,
  redeemMail,
  setTotp,
} from '../../src/accounts/accounts.sql.ts'
import { putClient } from '../../src/accounts/clients.sql.ts'
import { inviteMember, ownNamespace } from '../../src/accounts/members.sql.ts'
import { addRootKey } from '../../src/namespaces/namespace-keys.sql.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { raw, statementsOf } from '../support/statements.ts'

const email = 'victim@example.org'
const session = uuidv7()
const code = createHash('sha256').update('a code').digest()
const hex = (bytes: Uint8Array) => `'\\x${Buffer.from(bytes).toString('hex')}'::bytea`

let memory: TestMemory
let account: string
let victim: bigint
let contexts: Readonly<Record<string, string>>

beforeAll(async () => {
  memory = await openTestMemory()
  const { scope } = memory.test
  const owner = await memory.principal({ namespaceName: 'victim' })
  victim = owner.namespace
  const admin = { ...owner, scopes: new Set(['admin'] as const) }
  const [first, invitation] = [randomBytes(32), randomBytes(32)]
  const limits = { lifeSeconds: 3600, hourlyMax: 9 }
  account = await scope.withDirectory(async (sql) => {
    await addMail(sql, { codeHash: first, kind: 'sign-up', email, ...limits })
    const made = await redeemMail(sql, first, uuidv7(), 'a hash')
    if (made === undefined) throw new Error('no account')
    await setTotp(sql, made, { generation: 1, step: 1, recoveryHashes: [code] })
    await addSession(sql, session, made, randomBytes(8), 3600)
    await putClient(sql, 'a client', '{}', 3600, 9)
    await addRootKey(sql, 7, Buffer.from('a check'))
    return made
  })
  await scope.withNamespace(admin, {}, (tx) => ownNamespace(tx, account))
  const invited = { email: 'guest@example.org', agent: 'guest', role: 'reader' }
  await scope.withNamespace(admin, {}, (tx) =>
    inviteMember(tx, { codeHash: invitation, ...invited, lifeSeconds: 3600, peopleMax: 9 }),
  )
  const { namespace } = await memory.principal({ namespaceName: 'attacker' })
  const statements = statementsOf(memory.test)
  contexts = {
    'no context': '',
    'an agent': statements.agent(namespace, 'eve', '-'),
    'an administrator': statements.agent(namespace, 'eve', 'aq'),
    'a job': statements.agent(namespace, 'eve', 'aqj'),
    "the victim's agent": statements.agent(victim, 'eve', '-'),
    "the victim's administrator": statements.agent(victim, 'root', 'aq'),
  }
})
afterAll(() => memory.close())

/** Runs as the application's role, and is kept: what it writes is there. */
async function attempt(text: string, context: string): Promise<unknown> {
  return await memory.test.database
    .transaction({}, async (sql) => {
      await sql`select set_config('search_path', 'mindglue, public', true)`
      await sql`select set_config('mindglue.context', ${context}, true)`
      return await sql`${raw(text)}`
    })
    .catch(() => 'refused')
}

/** Says nothing: refused, no row, or one of nulls, falsehoods and zeros. */
function isSilent(rows: unknown): boolean {
  if (rows === 'refused') return true
  return (
    Array.isArray(rows) &&
    rows.every((row: object) =>
      Object.values(row).every((value: unknown) =>
        [null, false, 0, ''].some((one) => one === value),
      ),
    )
  )
}

const attacks: Readonly<Record<string, () => string>> = {
  'finds an account': () => `select f.id::text from account_find('${email}', null) f`,
  'reads the hash of a password': () => `select r.password_hash from account_read('${account}') r`,
  'sets a password': () => `select account_change_password('${account}', 'a hash', 'mine') as done`,
  'mails itself a code': () =>
    `select account_mail_add(${hex(code)}, 'reset', '${email}', 3600, 99) as done`,
  'begins a session': () =>
    `select account_session_add('${uuidv7()}', '${account}', null, 99)::text`,
  'finds a session': () => `select account_session_find('${session}')::text as account`,
  'learns who was invited': () => `select account_is_invited('guest@example.org') as is_invited`,
  'lists memberships': () => `select m.namespace_name from account_memberships('${account}') m`,
  'enters as somebody': () =>
    `select e.agent from account_enter('${session}', '${account}', 'victim') e`,
  'takes a second factor away': () =>
    `select account_set_totp('${account}', null, 0, '{}')::text as done`,
  'uses a recovery code': () =>
    `select account_use_recovery_code('${account}', ${hex(code)}) as left`,
  'lists sessions': () => `select l.id::text from account_session_list('${account}') l`,
  'learns who is needed': () => `select n.namespace_name from account_needed('${account}') n`,
  'deletes an account': () => `select account_delete('${account}') as done`,
  'becomes an administrator': () =>
    `select o.namespace::text as done from account_own('${account}') o`,
  'registers a client': () => `select oauth_client_put('mine', '{}', 99, 9)::text`,
  'reads a client': () => `select f.metadata from oauth_client_find('a client') f`,
  'lets a client in': () =>
    `select oauth_grant_add('${uuidv7()}', '${account}', 'a client', 'admin', 99, 99) as done`,
  'keeps a token': () =>
    `select oauth_artifact_put(${hex(code)}, null, '\\x00', 99, null, 99) as done`,
  'adds a root key': () => `select root_key_add(5, '\\x00')::text`,
  'lists root keys': () => `select k.key_id from root_keys_known() k`,
  'finds a namespace': () => `select namespace_find('victim') as namespace`,
  'takes a name': () => `select namespace_register('victim') as is_ours`,
}

/**
 * Jobs walk over all namespaces and let root keys go; an agent knows its own name; who sees all of a namespace
 * says who its administrators are.
 */
const open: ReadonlySet<string> = new Set([
  'becomes an administrator under an administrator',
  'becomes an administrator under a job',
  'lists root keys under a job',
  'finds a namespace under a job',
  "finds a namespace under the victim's agent",
])
const names = ['no context', 'an agent', 'an administrator', 'a job', "the victim's agent"]
const ownAdministrator = "the victim's administrator"
const cases = Object.entries(attacks).flatMap(([what, text]) =>
  names.map((name) => ({ what: `${what} under ${name}`, text, name })),
)

test.each(cases.filter(({ what }) => !open.has(what)))(
  'a statement that $what is told nothing and writes nothing',
  async ({ text, name }) => {
    const before = await everything()
    expect(isSilent(await attempt(text(), contexts[name] ?? 'none'))).toBe(true)
    expect(await everything()).toEqual(before)
  },
)

test.each([
  'finds an account',
  'reads the hash of a password',
  'sets a password',
  'finds a session',
])(
  'a statement that %s is told nothing under the administrator of a namespace that the account is in',
  async (what) => {
    const before = await everything()
    const text = attacks[what]?.() ?? ''
    expect(isSilent(await attempt(text, contexts[ownAdministrator] ?? 'none'))).toBe(true)
    expect(await everything()).toEqual(before)
  },
)

test('the program itself reaches it', async () => {
  const found = await memory.test.scope.withDirectory((sql) => findAccount(sql, email, undefined))
  expect(found?.id).toBe(account)
})

test("a directory's mark shows no memory of any namespace", async () => {
  const rows = await memory.test.scope.withDirectory((sql) => sql`select from memories`)
  expect(rows).toEqual([])
})

test('a mark with a namespace in it is none', async () => {
  const forged = statementsOf(memory.test).agent(victim, 'eve', 'd')
  expect(isSilent(await attempt(attacks['finds an account']?.() ?? '', forged))).toBe(true)
})

async function everything(): Promise<unknown> {
  return await memory.test.owner.ownerTransaction(
    (sql) => sql`
      select (select count(*)::int from mindglue.accounts) as accounts,
        (select string_agg(a.password_hash, ',') from mindglue.accounts a) as hashes,
        (select string_agg(a.totp_generation::text, ',') from mindglue.accounts a) as factors,
        (select count(*)::int from mindglue.account_recovery_codes) as codes,
        (select count(*)::int from mindglue.account_mails) as mails,
        (select count(*)::int from mindglue.account_sessions) as sessions,
        (select count(*)::int from mindglue.account_members) as members,
        (select count(*)::int from mindglue.oauth_clients) as clients,
        (select count(*)::int from mindglue.oauth_grants) as grants,
        (select count(*)::int from mindglue.oauth_artifacts) as artifacts,
        (select count(*)::int from mindglue.root_keys) as keys,
        (select count(*)::int from mindglue.namespace_names) as names`,
  )
}
