/** Where accounts are open to all, a person who was invited nowhere begins in a namespace of their own. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { allScopes } from '../../src/principal.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { sendRest } from '../support/rest.ts'

const password = 'correct horse battery'
const made = z.looseObject({ name: z.string().regex(/^user-[\da-f]{40}$/u) })
const issued = z.object({ access_token: z.string() })

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp()
}, 120_000)
afterAll(() => running.close())

async function loggedIn(email: string, app = running): Promise<string> {
  await app.signUp(email, password)
  return await app.logIn(email, password)
}

/** A call over REST with a token for the namespace. */
async function restAs(account: string, name: string) {
  const answer = await running.post('/token', { namespace: name }, { token: account })
  const { access_token: token } = issued.parse(await answer.json())
  return (method: string, path: string, body?: unknown) =>
    sendRest(running.origin, {
      method,
      path,
      headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': '203.0.113.1' },
      ...(body !== undefined && { body }),
    })
}

test('a person makes it, once, is its administrator, and works in it over REST', async () => {
  const account = await loggedIn('ada@example.org')
  const first = await running.post('/namespaces', {}, { token: account })
  const described = made.parse(await first.json())
  const role = { agent: 'ada', role: 'admin', scopes: allScopes }
  expect([first.status, described]).toMatchObject([201, role])
  const again = await running.post('/namespaces', {}, { token: account })
  expect([again.status, await again.json()]).toEqual([200, described])
  const listed = await running.get('', { token: account })
  expect(await listed.json()).toMatchObject({ namespaces: [described] })

  const { name } = described
  const rest = await restAs(account, name)
  expect((await rest('POST', '/memory', { content: 'The kettle is blue.' })).status).toBe(201)
  expect((await rest('GET', '/namespaces')).body).toMatchObject({
    namespaces: [{ name, access: 'own', agent: 'ada' }],
  })
  const policy = { personal: 'refuse' }
  expect((await rest('PATCH', `/namespaces/${name}`, { policy })).body).toMatchObject({ policy })
  expect((await rest('GET', `/namespaces/${name}`)).body).toMatchObject({ name, policy })
  const { body } = await rest('GET', '/audit?action=namespace.create')
  expect(body['events']).toMatchObject([{ agent: 'ada', channel: 'rest', outcome: 'ok' }])
})

test('each person has another one, which nobody else enters', async () => {
  const [clara, eve] = [await loggedIn('clara@example.org'), await loggedIn('eve@example.org')]
  const names = await Promise.all(
    [clara, eve].map(async (token) => {
      const answer = await running.post('/namespaces', {}, { token })
      return made.parse(await answer.json()).name
    }),
  )
  expect(new Set(names).size).toBe(2)
  const entered = await running.post('/token', { namespace: names[0] ?? '' }, { token: eve })
  expect(entered.status).toBe(404)
})

test('who was removed by an administrator invited there does not let themselves in again', async () => {
  const [owner, guest] = ['owner@example.org', 'partner@example.org']
  const token = await loggedIn(owner)
  const { name } = made.parse(await (await running.post('/namespaces', {}, { token })).json())
  const rest = await restAs(token, name)
  const invited = await rest('POST', '/members', { email: guest, role: 'admin' })
  const partner = await loggedIn(guest)
  const { code } = z.object({ code: z.string() }).parse(invited.body)
  await running.post('/invitations/accept', { code }, { token: partner })
  const partnerRest = await restAs(partner, name)
  expect((await partnerRest('DELETE', `/members/${owner}`)).status).toBe(200)
  const again = await running.post('/namespaces', {}, { token })
  const detail = 'You were removed from it. Its administrators can invite you.'
  expect([again.status, await again.json()]).toMatchObject([403, { detail }])
  expect(await (await running.get('', { token })).json()).toMatchObject({ namespaces: [] })
})

test('nobody makes one without a session, or from a page of somebody else', async () => {
  expect((await running.post('/namespaces', {})).status).toBe(401)
  const token = await loggedIn('grace@example.org')
  const headers = { origin: 'http://localhost:1' }
  expect((await running.post('/namespaces', {}, { token, headers })).status).toBe(403)
  const listed = await running.get('', { token })
  expect(await listed.json()).toMatchObject({ namespaces: [] })
})

test('where people are invited there is none to make', async () => {
  const invited = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
  try {
    const { app } = invited
    const operator = await app.principal({
      namespaceName: 'lab',
      agent: 'operator',
      channel: 'cli',
    })
    const email = 'ada@example.org'
    await app.execute(app.operations.memberInvite, operator, { email, role: 'member' })
    const token = await loggedIn(email, invited)
    const refused = await invited.post('/namespaces', {}, { token })
    expect([refused.status, await refused.json()]).toMatchObject([
      403,
      { detail: 'Here people enter namespaces by invitation.' },
    ])
  } finally {
    await invited.close()
  }
})
