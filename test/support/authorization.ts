/** A client and a person at our own authorization server: registers, logs in and decides by forms, no browser. */
import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Role } from '../../src/accounts/roles.ts'
import type { AccountsApp } from './accounts.ts'

export const password = 'correct horse battery'

/** Somebody with an account who may enter a namespace. */
export async function joined(
  running: AccountsApp,
  email: string,
  namespaceName: string,
  role: Role = 'member',
): Promise<void> {
  const { app } = running
  const operator = await app.principal({ namespaceName, agent: 'operator', channel: 'cli' })
  const { code } = await app.execute(app.operations.memberInvite, operator, { email, role })
  await running.signUp(email, password)
  const token = await running.logIn(email, password)
  const accepted = await running.post('/invitations/accept', { code }, { token })
  if (accepted.status !== 200) throw new Error(await accepted.text())
}

export interface Verifier {
  readonly verifier: string
  readonly challenge: string
}

export function pkce(): Verifier {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

const registered = z.object({ client_id: z.string() })

export async function register(origin: string, redirectUri: string | string[], more: object = {}) {
  const answer = await fetch(`${origin}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'A test',
      redirect_uris: [redirectUri].flat(),
      ...more,
    }),
  })
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
  return registered.parse(await answer.json()).client_id
}

/** The address that a client opens. */
export function authorizeUrl(
  origin: string,
  parameters: Readonly<Record<string, string | undefined>>,
): URL {
  const url = new URL('/oauth/authorize', origin)
  const all = {
    response_type: 'code',
    code_challenge_method: 'S256',
    resource: `${origin}/mcp`,
    state: 'a state',
    ...parameters,
  }
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return url
}

export interface Page {
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** A browser without scripts: keeps cookies by path, follows redirects on this server. */
export class Browser {
  readonly #cookies = new Map<string, { readonly value: string; readonly path: string }>()
  readonly #from: string
  page: Page | undefined

  constructor(from = '203.0.113.7') {
    this.#from = from
  }

  async open(url: URL): Promise<Page> {
    return await this.#go(url, {})
  }

  /** Sends the form of the page, with what is ticked, as its `do` button would. */
  async submit(
    what: string,
    fields: Readonly<Record<string, string | readonly string[]>> = {},
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Page> {
    const { url, text } = this.page ?? never()
    const form = new URLSearchParams({ token: field(text, 'token') ?? '', do: what })
    for (const [name, value] of Object.entries(fields)) {
      for (const one of [value].flat()) form.append(name, one)
    }
    return await this.#go(url, {
      method: 'POST',
      body: form.toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        origin: url.origin,
        ...headers,
      },
    })
  }

  logIn(email: string, more: Readonly<Record<string, string>> = {}): Promise<Page> {
    return this.submit('log-in', { email, password, ...more })
  }

  async #go(to: URL, init: RequestInit): Promise<Page> {
    let [url, sent] = [to, init]
    for (let redirects = 0; redirects < 8; redirects++) {
      const headers = new Headers(sent.headers)
      headers.set('accept', 'text/html')
      headers.set('cookie', this.cookieFor(url))
      headers.set('x-forwarded-for', this.#from)
      const answer = await fetch(url, { ...sent, headers, redirect: 'manual' })
      const text = await answer.text()
      this.#keep(answer.headers.getSetCookie(), url)
      const location = answer.headers.get('location')
      const next = location === null ? undefined : new URL(location, url)
      if (next === undefined || next.origin !== url.origin) {
        const { status, headers: given } = answer
        this.page = { url: next ?? url, status, headers: given, text }
        return this.page
      }
      ;[url, sent] = [next, {}]
    }
    throw new Error('too many redirects')
  }

  cookieFor({ pathname }: URL): string {
    return [...this.#cookies]
      .filter(([, { path }]) => pathname.startsWith(path))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ')
  }

  #keep(lines: readonly string[], { pathname }: URL): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(/; */u)
      const [name = '', value = ''] = pair.split('=')
      const path = attributes.find((one) => /^path=/iu.test(one))?.slice(5) ?? pathname
      if (value === '') this.#cookies.delete(name)
      else this.#cookies.set(name, { value, path })
    }
  }
}

function never(): never {
  throw new Error('no page is open')
}

export function field(page: string, name: string): string | undefined {
  return new RegExp(`name="${name}"[^>]*value="([^"]*)"`, 'u').exec(page)?.[1]
}

/** Boxes and circles that are ticked on a page. */
export function ticked(page: string): readonly string[] {
  const inputs = page.match(/<input[^>]*type="(?:checkbox|radio)"[^>]*>/gsu) ?? []
  return inputs
    .filter((input) => /\schecked\b/u.test(input))
    .map((input) => /value="([^"]*)"/u.exec(input)?.[1] ?? '')
}

/** Where the last page leads back to. */
export function backTo({ text }: Page): URL {
  const address = /http-equiv="refresh" content="0;url=([^"]*)"/u.exec(text)?.[1]
  if (address === undefined) throw new Error(`no way back on: ${text}`)
  return new URL(address.replaceAll('&amp;', '&'))
}

const tokens = z.object({
  access_token: z.string(),
  refresh_token: z.string(),
  scope: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.number(),
})
export type Tokens = z.output<typeof tokens>

/** Asks the token endpoint; the answer as it comes. */
export async function askTokens(
  origin: string,
  form: Readonly<Record<string, string>>,
): Promise<Response> {
  return await fetch(`${origin}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) })
}

export async function tokensOf(answer: Response): Promise<Tokens> {
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`)
  return tokens.parse(await answer.json())
}

export interface Authorized {
  readonly client: string
  readonly code: string
  readonly verifier: string
  readonly redirectUri: string
  readonly back: URL
}

export interface Wanted {
  readonly email: string
  readonly namespace: string
  readonly scope?: string
  /** Left out: all that was asked for. */
  readonly allow?: readonly string[]
  readonly redirectUri?: string
  readonly client?: string
  readonly browser?: Browser
}

/** All of it until the code is there. */
export async function authorize(origin: string, wanted: Wanted): Promise<Authorized> {
  const { redirectUri = 'http://127.0.0.1:33418/callback' } = wanted
  const scope = wanted.scope ?? 'memory:read memory:write'
  const client = wanted.client ?? (await register(origin, redirectUri))
  const { verifier, challenge } = pkce()
  const browser = wanted.browser ?? new Browser()
  const parameters = { client_id: client, redirect_uri: redirectUri, scope }
  const url = authorizeUrl(origin, { ...parameters, code_challenge: challenge })
  const first = await browser.open(url)
  if (first.text.includes('type="password"')) await browser.logIn(wanted.email)
  const { namespace, allow = scope.split(' ') } = wanted
  const back = backTo(await browser.submit('allow', { namespace, scope: allow }))
  const code = back.searchParams.get('code')
  if (code === null) throw new Error(`no code: ${back.href}`)
  return { client, code, verifier, redirectUri, back }
}

export async function redeem(
  origin: string,
  { client, code, verifier, redirectUri }: Authorized,
  more: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return await askTokens(origin, {
    grant_type: 'authorization_code',
    client_id: client,
    code,
    code_verifier: verifier,
    redirect_uri: redirectUri,
    resource: `${origin}/mcp`,
    ...more,
  })
}

export async function refresh(origin: string, client: string, token: string): Promise<Response> {
  return await askTokens(origin, {
    grant_type: 'refresh_token',
    client_id: client,
    refresh_token: token,
  })
}
