/** Members of namespaces: invited, let in as far as their role says, and shut out again within seconds. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { inviteMember, listMembers } from '../../src/accounts/members.sql.ts'
import type { Role } from '../../src/accounts/roles.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { callTool, issueKey, openStream, structuredOf } from '../support/keys.ts'
import { until } from '../support/until.ts'

const password = 'correct horse battery'
const promisedMs = 5000

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
}, 120_000)
afterAll(() => running.close())

const operatorOf = (namespaceName: string) =>
  running.app.principal({ namespaceName, agent: 'operator', channel: 'cli' })
async function invite(namespaceName: string, email: string, role: Role = 'member', agent?: string) {
  const { execute, operations } = running.app
  const input = { email, role, ...(agent !== undefined && { agent }) }
  return await execute(operations.memberInvite, await operatorOf(namespaceName), input)
}
const tokenShape = z.object({ access_token: z.string() })
async function tokenFor(account: string, namespace: string): Promise<string> {
  const answer = await running.post('/token', { namespace }, { token: account })
  return tokenShape.parse(await answer.json()).access_token
}
const accept = async (account: string, code: string) =>
  (await running.post('/invitations/accept', { code }, { token: account })).status
const statusOf = async (token: string, tool = 'recall', input: object = {}) => {
  const response = await callTool(running, token, tool, input)
  await response.text()
  return response.status
}
/** Somebody with an account who has accepted; returns the token of the account. */
async function join(namespace: string, email: string, role: Role = 'member'): Promise<string> {
  const { code } = await invite(namespace, email, role)
  await running.signUp(email, password)
  const account = await running.logIn(email, password)
  expect(await accept(account, code)).toBe(200)
  return account
}

describe('an invitation', () => {
  test('lets a person make an account, accept, and act under the name that was chosen', async () => {
    const { code, agent } = await invite('workshop', 'Clara@Example.org')
    expect(agent).toBe('clara')
    await running.signUp('clara@example.org', password)
    const account = await running.logIn('clara@example.org', password)
    expect(
      (await running.post('/token', { namespace: 'workshop' }, { token: account })).status,
    ).toBe(404)
    expect(await accept(account, code)).toBe(200)
    const described = await running.get('', { token: account })
    expect(await described.json()).toMatchObject({
      namespaces: [{ name: 'workshop', agent: 'clara', role: 'member' }],
    })
    const token = await tokenFor(account, 'workshop')
    const content = 'The lathe is booked on Tuesdays.'
    await structuredOf(await callTool(running, token, 'store', { content, access: 'private' }))
    const seen = z.object({ results: z.array(z.object({ owner_agent: z.string() })) })
    const own = seen.parse(await structuredOf(await callTool(running, token, 'recall')))
    expect(own.results).toEqual([{ owner_agent: 'clara' }])
  })

  test('is for one mailbox, once, and nobody else can tell that it is there', async () => {
    const { code } = await invite('once', 'dan@example.org')
    await running.signUp('dan@example.org', password)
    const dan = await running.logIn('dan@example.org', password)
    const eve = await join('elsewhere', 'eve@example.org')
    expect([await accept(eve, code), await accept(eve, `${code.slice(1)}x`)]).toEqual([404, 404])
    expect([await accept(dan, code), await accept(dan, code)]).toEqual([200, 404])
  })

  test('is what an account needs where they are not open to all, in the same words', async () => {
    const answer = await running.post('/sign-up', { email: 'stranger@example.org' })
    expect(answer.status).toBe(202)
    await running.signUp((await invite('welcome', 'guest@example.org')).email, password)
    expect(running.letters('guest@example.org')).toHaveLength(1)
    expect(running.letters('stranger@example.org')).toEqual([])
  })

  test('can be taken back or replaced, and never makes two people the same agent', async () => {
    const first = await invite('changes', 'finn@example.org')
    const second = await invite('changes', 'finn@example.org', 'reader')
    await running.signUp('finn@example.org', password)
    const finn = await running.logIn('finn@example.org', password)
    expect(await accept(finn, first.code)).toBe(404)
    await expect(invite('changes', 'other@example.org', 'member', 'finn')).rejects.toMatchObject({
      code: 'conflict',
    })
    const { execute, operations } = running.app
    const operator = await operatorOf('changes')
    await execute(operations.memberRemove, operator, { email: 'finn@example.org' })
    expect(await accept(finn, second.code)).toBe(404)
    const again = execute(operations.memberRemove, operator, { email: 'finn@example.org' })
    await expect(again).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a role', () => {
  test('decides what a member may do, in the protocol and over REST', async () => {
    const reader = await tokenFor(await join('roles', 'reader@example.org', 'reader'), 'roles')
    const member = await tokenFor(await join('roles', 'member@example.org', 'member'), 'roles')
    const admin = await tokenFor(await join('roles', 'admin@example.org', 'admin'), 'roles')
    const statuses = async (token: string) => [
      await statusOf(token, 'recall'),
      await statusOf(token, 'store', { content: 'Tea at four.' }),
      await statusOf(token, 'export'),
      (await rest(token, 'GET', '/members')).status,
    ]
    expect(await statuses(reader)).toEqual([200, 403, 403, 403])
    expect(await statuses(member)).toEqual([200, 200, 200, 403])
    expect(await statuses(admin)).toEqual([200, 200, 200, 200])
  })

  test('changes within five seconds for tokens that are out, and so does being a member', async () => {
    const token = await tokenFor(await join('moving', 'gina@example.org', 'member'), 'moving')
    expect(await statusOf(token, 'store', { content: 'x' })).toBe(200)
    const admin = await issueKey(running, 'moving', { scopes: ['admin'] })
    const email = 'gina@example.org'
    expect((await rest(admin.key, 'PATCH', `/members/${email}`, { role: 'reader' })).status).toBe(
      200,
    )
    const timing = { timeoutMs: promisedMs }
    await until(async () => (await statusOf(token, 'store', { content: 'x' })) === 403, timing)
    const stream = await openStream(running, token)
    const ended = stream.text()
    expect((await rest(admin.key, 'DELETE', `/members/${email}`)).status).toBe(200)
    const started = performance.now()
    await ended
    expect(performance.now() - started).toBeLessThan(promisedMs)
    expect(await statusOf(token)).toBe(401)
  })
})

describe('what stays shut', () => {
  test('a token for one namespace opens no other, no account, and ends with its session', async () => {
    const account = await join('mine', 'hugo@example.org')
    const token = await tokenFor(account, 'mine')
    expect((await running.get('', { token })).status).toBe(401)
    expect(await statusOf(account)).toBe(401)
    expect((await running.post('/token', { namespace: 'roles' }, { token: account })).status).toBe(
      404,
    )
    expect((await running.post('/token', { namespace: 'absent' }, { token: account })).status).toBe(
      404,
    )
    await running.post('/log-out', {}, { token: account })
    await until(async () => (await statusOf(token)) === 401, { timeoutMs: promisedMs })
  })

  test('nobody is let in without credentials where there are accounts', async () => {
    expect((await callTool(running, undefined, 'recall')).status).toBe(401)
    expect(running.app.authenticator.required).toBe(true)
  })

  test('members of a namespace are known to its administrators alone, in the database too', async () => {
    await join('known', 'iris@example.org')
    const { app } = running
    const agent = await app.principal({ namespaceName: 'known', agent: 'x', channel: 'stdio' })
    const listed = app.execute(app.operations.memberList, agent, {})
    await expect(listed).rejects.toMatchObject({ code: 'insufficient_scope' })
    await app.scope.withNamespace(agent, {}, async (tx) => {
      expect(await listMembers(tx, undefined, 100)).toEqual([])
      const forged = { codeHash: Buffer.alloc(32), email: 'x@example.org', agent: 'x' }
      const more = { role: 'admin', lifeSeconds: 60, peopleMax: 10 }
      expect(await inviteMember(tx, { ...forged, ...more })).toBeUndefined()
    })
    const foreign = await app.execute(app.operations.memberList, await operatorOf('other'), {})
    expect(foreign.members).toEqual([])
    const page = await app.execute(app.operations.memberList, await operatorOf('known'), {})
    expect(page.members).toMatchObject([
      { email: 'iris@example.org', state: 'member', by: 'operator' },
    ])
  })

  test('the audit log tells what was done to members, and not who they are', async () => {
    await invite('logged', 'jane@example.org')
    const { execute, operations } = running.app
    const { events } = await execute(operations.auditQuery, await operatorOf('logged'), {})
    expect(events.map(({ action }) => action)).toContain('member.invite')
    expect(JSON.stringify(events)).not.toContain('jane')
  })
})

async function rest(token: string, method: string, path: string, body?: object) {
  return await fetch(`${running.origin}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}
