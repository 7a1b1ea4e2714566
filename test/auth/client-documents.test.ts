/** Clients that describe themselves at an address of theirs: what is read, what is believed, where nobody looks. */
import { createServer, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isDocumentId } from '../../src/accounts/client-documents.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import {
  authorize,
  authorizeUrl,
  Browser,
  joined,
  pkce,
  redeem,
  refresh,
  tokensOf,
} from '../support/authorization.ts'
import { serveLoopback } from '../support/loopback.ts'

const redirectUri = 'http://127.0.0.1:33418/callback'
const browser = new Browser()
const ada = { email: 'ada@example.org', namespace: 'lab', browser, redirectUri }

let running: AccountsApp
/** As it is configured where nobody says anything. */
let strict: AccountsApp
beforeAll(async () => {
  running = await startAccountsApp({
    MINDGLUE_ACCOUNTS: 'invited',
    MINDGLUE_CLIENT_DOCUMENTS: 'loopback',
  })
  await joined(running, ada.email, ada.namespace)
  strict = await startAccountsApp()
}, 120_000)
afterAll(async () => {
  await running.close()
  await strict.close()
})

interface Served {
  readonly id: string
  readonly reads: () => number
}

/** Serves a document; `change` makes it another one. */
async function describeClient(
  change: (document: Record<string, unknown>) => unknown = (document) => document,
  answer: { readonly status?: number; readonly headers?: Record<string, string> } = {},
): Promise<Served> {
  let reads = 0
  const held: { id: string } = { id: '' }
  const { url } = await serveLoopback((_request, response) => {
    reads += 1
    const document = { client_id: held.id, client_name: 'Desk', redirect_uris: [redirectUri] }
    const body = change(document)
    response.writeHead(answer.status ?? 200, {
      'content-type': 'application/json',
      ...answer.headers,
    })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  held.id = `${url}/client.json`
  return { id: held.id, reads: () => reads }
}

const open = (app: AccountsApp, client: string, from = new Browser()) =>
  from.open(
    authorizeUrl(app.origin, {
      client_id: client,
      redirect_uri: redirectUri,
      code_challenge: pkce().challenge,
    }),
  )

test('a client is let in by its document, which names it to the person', async () => {
  const { id } = await describeClient()
  const page = await open(running, id)
  expect(page.text).toContain('Desk')
  const authorized = await authorize(running.origin, { ...ada, client: id })
  expect((await redeem(running.origin, authorized)).status).toBe(200)
  expect(browser.page?.text).not.toContain('Nobody has checked')
})

test('a document is read once an hour at most, and never for a token', async () => {
  const { id, reads } = await describeClient()
  const authorized = await authorize(running.origin, { ...ada, client: id })
  await authorize(running.origin, { ...ada, client: id })
  const { refresh_token: token } = await tokensOf(await redeem(running.origin, authorized))
  expect((await refresh(running.origin, id, token)).status).toBe(200)
  expect(reads()).toBe(1)
})

describe('a document is refused, and nothing leads to its redirects,', () => {
  test.each<[string, (document: Record<string, unknown>) => unknown]>([
    [
      'that names another client',
      (document) => ({ ...document, client_id: 'https://x.example/a' }),
    ],
    ['that names none', (document) => ({ ...document, client_id: undefined })],
    ['with a secret in it', (document) => ({ ...document, client_secret: 'x' })],
    ['without redirects', (document) => ({ ...document, redirect_uris: [] })],
    ['with a script as redirect', (d) => ({ ...d, redirect_uris: ['javascript:alert(1)'] })],
    ['that is no object', () => '[]'],
    ['that is no JSON', () => '<html>'],
    ['beyond 16 KiB', (document) => ({ ...document, more: 'x'.repeat(20_000) })],
  ])('%s', async (_, change) => {
    const { id } = await describeClient(change)
    const page = await open(running, id)
    expect([page.status, page.url.pathname]).toEqual([400, '/oauth/authorize'])
    expect(page.text).toContain('This did not work')
  })

  test('that is somewhere else', async () => {
    const target = await describeClient()
    const { id } = await describeClient(() => '', { status: 302, headers: { location: target.id } })
    expect((await open(running, id)).status).toBe(400)
    expect(target.reads()).toBe(0)
  })

  test('for a redirect that it does not list', async () => {
    const { id } = await describeClient((document) => ({
      ...document,
      redirect_uris: ['https://app.example/callback'],
    }))
    const page = await open(running, id)
    expect([page.status, page.url.pathname]).toEqual([400, '/oauth/authorize'])
  })
})

test('an address of this machine or of a private network is never asked, however it is written', async () => {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => {
    server.listen(0, resolve)
  })
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on TCP
  const { port } = server.address() as AddressInfo
  try {
    const hosts = [
      '127.0.0.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      'localhost',
      'a.localhost',
      'localhost.',
      '2130706433',
      '0x7f.1',
      '0.0.0.0',
      '[::]',
      '127.1',
    ]
    const ids = hosts.flatMap((host) => [
      `https://${host}:${port}/client.json`,
      `http://${host}:${port}/client.json`,
    ])
    // At once: a name server may take its time to say that it knows none.
    const pages = await Promise.all(ids.map((id) => open(strict, id)))
    expect(pages.map(({ status }) => status)).toEqual(ids.map(() => 400))
    expect(connections).toBe(0)
  } finally {
    server.close()
  }
})

test('an id is the address of a document only as the address is written itself', () => {
  expect(isDocumentId('https://claude.ai/oauth/client-metadata', 'public')).toBe(true)
  for (const id of [
    'https://claude.ai',
    'https://claude.ai/',
    'http://claude.ai/client',
    'https://user@claude.ai/client',
    'https://claude.ai/client#a',
    'https://claude.ai/a/../client',
    'https://claude.ai/a/%2e%2e/client',
    'https://CLAUDE.ai/client',
    'https://10.0.0.1/client',
    'https://intranet/client',
    'https://[2606:4700::1]/client',
    `https://claude.ai/${'a'.repeat(600)}`,
    'client',
  ]) {
    expect([id, isDocumentId(id, 'public')]).toEqual([id, false])
  }
  expect(isDocumentId('https://claude.ai/oauth/client-metadata', 'off')).toBe(false)
})
