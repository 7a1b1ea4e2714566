/** An account that is deleted: out of every namespace, in their audit logs, and with nothing of others taken. */
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { ownNamespace } from '../../src/accounts/members.sql.ts'
import { userNamespace } from '../../src/auth/user-namespace.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { joined, password } from '../support/authorization.ts'
import { callTool } from '../support/keys.ts'
import { until } from '../support/until.ts'

// Each step hashes a password, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 120_000 })

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp()
}, 120_000)
afterAll(() => running.close())

const operatorOf = (namespaceName: string) =>
  running.app.principal({ namespaceName, agent: 'operator', channel: 'cli' })
async function membersOf(namespaceName: string): Promise<string[]> {
  const { execute, operations } = running.app
  const { members } = await execute(operations.memberList, await operatorOf(namespaceName), {})
  return members.map(({ email }) => email)
}
async function logOf(namespaceName: string) {
  const { execute, operations } = running.app
  const operator = await operatorOf(namespaceName)
  return (await execute(operations.auditQuery, operator, { action: 'member.leave' })).events
}
const remove = (token: string, more: object = {}) =>
  running.post('/delete', { password, ...more }, { token })
const tokenShape = z.object({ access_token: z.string() })
async function tokenFor(token: string, namespace: string): Promise<string> {
  const answer = await running.post('/token', { namespace }, { token })
  return tokenShape.parse(await answer.json()).access_token
}
/** Somebody with a namespace that was made for them alone, as a page of consent makes it. */
async function withOwn(email: string) {
  await running.signUp(email, password)
  const token = await running.logIn(email, password)
  const account = decodeJwt(token).sub ?? ''
  const name = userNamespace(running.origin, account)
  const namespace = await running.app.namespaces.create(name)
  const owner = { namespace, agent: 'me', scopes: new Set(['admin'] as const) }
  await running.app.scope.withNamespace(owner, {}, (tx) => ownNamespace(tx, account))
  return { token, account, name, namespace }
}

describe('a deleted account', () => {
  test('is out of its namespaces with its tokens, and their logs say so', async () => {
    const email = 'leaver@example.org'
    await joined(running, email, 'first', 'reader')
    const token = await running.logIn(email, password)
    const opened = await tokenFor(token, 'first')
    expect((await callTool(running, opened, 'recall')).status).toBe(200)
    const answer = await remove(token)
    expect([answer.status, answer.headers.has('set-cookie')]).toEqual([204, true])
    expect((await running.get('', { token })).status).toBe(401)
    await until(async () => (await callTool(running, opened, 'recall')).status === 401)
    expect((await running.post('/log-in', { email, password })).status).toBe(401)
    expect(await membersOf('first')).toEqual([])
    expect(await logOf('first')).toMatchObject([{ agent: 'leaver', outcome: 'ok' }])
    await until(() => running.letters(email).some((text) => text.includes('was deleted')))
    // The mailbox may have another one.
    await running.signUp(email, password)
  })

  test('is not deleted without its password, nor with a mailed code that is still open', async () => {
    const email = 'kept@example.org'
    await running.signUp(email, password)
    const token = await running.logIn(email, password)
    expect((await remove(token, { password: 'wrong password' })).status).toBe(401)
    expect((await running.get('', { token })).status).toBe(200)
    await running.post('/reset', { email })
    const code = await running.code(email)
    expect((await remove(token)).status).toBe(204)
    expect((await running.post('/password', { code, password })).status).toBe(401)
  })
})

describe('the last administrator', () => {
  test('is refused with what to do, and leaves nothing by that', async () => {
    const [boss, other] = ['boss@example.org', 'other@example.org']
    await joined(running, boss, 'a side', 'member')
    await joined(running, boss, 'needed', 'admin')
    await joined(running, other, 'needed', 'member')
    const token = await running.logIn(boss, password)
    const refused = await remove(token)
    expect(refused.status).toBe(409)
    const problem = z.looseObject({ detail: z.string() }).parse(await refused.json())
    expect(problem).toMatchObject({ details: { namespaces: ['needed'] } })
    expect(problem.detail).toContain('make another member an administrator')
    expect(await membersOf('a side')).toEqual([boss])
    const { execute, operations } = running.app
    const role = { email: other, role: 'admin' } as const
    await execute(operations.memberSet, await operatorOf('needed'), role)
    expect((await remove(token)).status).toBe(204)
    expect(await membersOf('needed')).toEqual([other])
    expect(await membersOf('a side')).toEqual([])
  })

  test('two who leave at once: one stays', async () => {
    const emails = ['left@example.org', 'right@example.org']
    for (const email of emails) await joined(running, email, 'shared', 'admin')
    const tokens: string[] = []
    for (const email of emails) tokens.push(await running.logIn(email, password))
    const answers = await Promise.all(tokens.map((token) => remove(token)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204, 409]))
    expect(await membersOf('shared')).toHaveLength(1)
  })
})

describe('memories of one’s own', () => {
  test('go with the account when that is said, and not otherwise', async () => {
    const { token, name, namespace } = await withOwn('alone@example.org')
    const refused = await remove(token)
    expect(refused.status).toBe(409)
    expect(await refused.text()).toContain('own_memories')
    expect(await running.app.namespaces.find(name)).toBe(namespace)
    expect((await remove(token, { own_memories: 'delete' })).status).toBe(204)
    expect(await running.app.namespaces.find(name)).toBeUndefined()
  })

  test('stay where somebody else was let in', async () => {
    const { token, name, namespace } = await withOwn('host@example.org')
    await joined(running, 'guest@example.org', name, 'reader')
    expect((await remove(token, { own_memories: 'delete' })).status).toBe(409)
    expect(await running.app.namespaces.find(name)).toBe(namespace)
  })
})
