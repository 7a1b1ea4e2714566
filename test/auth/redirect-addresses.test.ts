/** Where clients are called back: the addresses that Claude, VS Code, Cursor and programs on a machine register. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { authorize, Browser, joined, redeem, register } from '../support/authorization.ts'

let running: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp({ MINDGLUE_ACCOUNTS: 'invited' })
  await joined(running, 'ada@example.org', 'lab')
}, 120_000)
afterAll(() => running.close())

const ada = { email: 'ada@example.org', namespace: 'lab', browser: new Browser() }
const origin = () => running.origin

test.each([
  ['a loopback address', 'http://127.0.0.1/callback', 'http://127.0.0.1:51234/callback'],
  ['localhost', 'http://localhost:3118/callback', 'http://localhost:40000/callback'],
  ['IPv6 loopback', 'http://[::1]/cb', 'http://[::1]:8123/cb'],
  ['Claude', 'https://claude.ai/api/mcp/auth_callback', undefined],
  ['Cursor', 'cursor://anysphere.cursor-mcp/oauth/callback', undefined],
  ['VS Code', 'vscode://vscode.microsoft-authentication/callback', undefined],
  ['an app with a domain', 'com.example.app:/oauth', undefined],
])('a client is called back at %s', async (_, registered, used = registered) => {
  const client = await register(origin(), registered)
  const { back } = await authorize(origin(), { ...ada, client, redirectUri: used })
  expect(back.href.startsWith(`${used}?`)).toBe(true)
})

test('a client of VS Code registers all of its addresses at once', async () => {
  const uris = [
    'https://insiders.vscode.dev/redirect',
    'https://vscode.dev/redirect',
    'http://127.0.0.1/',
    'http://127.0.0.1:33418/',
  ]
  const client = await register(origin(), uris, { application_type: 'web' })
  for (const redirectUri of ['http://127.0.0.1:50001/', 'https://vscode.dev/redirect']) {
    const authorized = await authorize(origin(), { ...ada, client, redirectUri })
    expect((await redeem(origin(), authorized)).status).toBe(200)
  }
})
