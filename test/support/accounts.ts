/** The whole server with accounts, a mailbox that its letters reach, and people at different addresses. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Environment } from '../../src/config.ts'
import { startTestApp, type TestApp } from './app.ts'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

export interface AccountsApp extends TestApp {
  readonly origin: string
  /** Letters to this address so far, oldest first. */
  letters(to: string): readonly string[]
  /** The code in the next letter to this address that holds one not seen before. */
  code(to: string): Promise<string>
  /** Sends JSON as a program at this address would; `headers` for what browsers add. */
  post(path: string, body: object, more?: Sent): Promise<Response>
  get(path: string, more?: Sent): Promise<Response>
  /** Makes an account in the way that people do. */
  signUp(email: string, password: string, from?: string): Promise<void>
  logIn(email: string, password: string, more?: Sent & { code?: string }): Promise<string>
}

export interface Sent {
  readonly token?: string | undefined
  /** The address that the proxy in front tells. */
  readonly from?: string
  readonly headers?: Readonly<Record<string, string>>
}

const loggedIn = z.object({ access_token: z.string() })

export async function startAccountsApp(environment: Environment = {}): Promise<AccountsApp> {
  const mailbox = mkdtempSync(join(tmpdir(), 'mindglue-mail-'))
  const program = join(mailbox, 'send')
  // Whole or not at all, as a mail server takes letters.
  const script = `#!/bin/sh\ncat > "${mailbox}/$$.part" && mv "${mailbox}/$$.part" "${mailbox}/$(date +%s%N).letter"\n`
  writeFileSync(program, script, { mode: 0o700 })
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const app = await startTestApp({
    environment: {
      MINDGLUE_HTTP_PORT: String(port),
      MINDGLUE_PUBLIC_URL: origin,
      MINDGLUE_ACCOUNTS: 'open',
      MINDGLUE_MAIL_COMMAND: program,
      MINDGLUE_BEHIND_PROXY: '127.0.0.1',
      ...environment,
    },
  })
  const seen = new Set<string>()
  const letters = (to: string): readonly string[] =>
    readdirSync(mailbox)
      .filter((name) => name.endsWith('.letter'))
      .toSorted()
      .map((name) => readFileSync(join(mailbox, name), 'utf8'))
      .filter((text) => text.includes(`To: ${to}\n`))
  const headersOf = ({ token, from = '203.0.113.1', headers }: Sent) => ({
    'x-forwarded-for': from,
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...headers,
  })
  const post: AccountsApp['post'] = (path, body, more = {}) =>
    fetch(`${origin}/account${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headersOf(more) },
      body: JSON.stringify(body),
    })
  const code: AccountsApp['code'] = (to) =>
    until(
      () => {
        const codes = letters(to).flatMap((text) => /^[\w-]{27}$/mu.exec(text)?.[0] ?? [])
        const fresh = codes.find((candidate) => !seen.has(candidate))
        if (fresh !== undefined) seen.add(fresh)
        return fresh
      },
      { what: `a letter to ${to}`, timeoutMs: 15_000 },
    )
  const expectStatus = async (response: Response, status: number): Promise<Response> => {
    if (response.status === status) return response
    throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`)
  }
  return {
    ...app,
    origin,
    letters,
    code,
    post,
    get: (path, more = {}) => fetch(`${origin}/account${path}`, { headers: headersOf(more) }),
    async signUp(email, password, from) {
      const sent = from === undefined ? {} : { from }
      await expectStatus(await post('/sign-up', { email }, sent), 202)
      await expectStatus(await post('/password', { code: await code(email), password }, sent), 204)
    },
    async logIn(email, password, { code: factor, ...more } = {}) {
      const body = { email, password, ...(factor !== undefined && { code: factor }) }
      const answer = await expectStatus(await post('/log-in', body, more), 200)
      return loggedIn.parse(await answer.json()).access_token
    },
    close: async () => {
      await app.close()
      rmSync(mailbox, { recursive: true, force: true })
    },
  }
}

/** A secret as people type it into an authenticator (RFC 4648 §6). */
export function fromBase32(text: string): Buffer {
  const digits = Array.from(text, (digit) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(digit))
  const bits = digits.map((digit) => digit.toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{8}/gu) ?? []).map((byte) => Number.parseInt(byte, 2)))
}
