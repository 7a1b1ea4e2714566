/** `mindglue clients` as a person runs it, beside a server where members let programs in. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { authorize, password, redeem, register, tokensOf } from '../support/authorization.ts'
import { testEngine } from '../support/database.ts'
import { callTool } from '../support/keys.ts'
import { serveAccounts, type ServedAccounts } from '../support/serve-accounts.ts'
import { until } from '../support/until.ts'

// Each run of a command starts a whole process, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

const redirectUri = 'http://127.0.0.1:33418/callback'
const [ada, ben] = ['ada@example.org', 'ben@example.org']

let running: ServedAccounts
let client: string
/** What the program holds of each of them. */
const tokens: Record<string, string> = {}

beforeAll(async () => {
  running = await serveAccounts('invited')
  client = await register(running.origin, redirectUri)
  for (const email of [ada, ben]) await member(email)
})
afterAll(() => running.close())

const mindglue = (...args: readonly string[]) => running.mindglue(...args)

async function post(path: string, body: object, token?: string): Promise<unknown> {
  const answer = await running.post(path, body, token)
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

const invited = z.object({ code: z.string() })
const loggedIn = z.object({ access_token: z.string() })
const seen = new Set<string>()

/** Invited at the command line; the letter with the code of the account is printed where the server runs. */
async function member(email: string): Promise<void> {
  const invitation = await mindglue('members', 'invite', email, '--role', 'member', '--json')
  await post('/sign-up', { email })
  const code = await until(
    () =>
      running.server
        .stderr()
        .match(/^[\w-]{27}$/gmu)
        ?.find((one) => !seen.has(one)),
    { what: `a letter to ${email}`, timeoutMs: 15_000 },
  )
  seen.add(code)
  await post('/password', { code, password })
  const { access_token: token } = loggedIn.parse(await post('/log-in', { email, password }))
  await post('/invitations/accept', invited.parse(JSON.parse(invitation.stdout)), token)
}

async function letIn(email: string): Promise<void> {
  const { origin } = running
  const wanted = { email, namespace: 'default', client, redirectUri }
  const granted = await tokensOf(await redeem(origin, await authorize(origin, wanted)))
  tokens[email] = granted.access_token
}

async function statusOf(email: string): Promise<number> {
  const answer = await callTool({ url: new URL('/mcp', running.origin) }, tokens[email], 'recall')
  await answer.text()
  return answer.status
}
const isOut = (email: string) =>
  until(async () => (await statusOf(email)) === 401, { timeoutMs: 5000, what: 'a refusal' })

describe(testEngine === 'embedded' ? 'through the daemon' : 'in a process of its own', () => {
  test('an empty list says how programs get in', async () => {
    const list = await mindglue('clients', 'list')
    expect(list).toMatchObject({ code: 0, stderr: '' })
    expect(list.stdout).toContain('None: members let them in')
    expect(JSON.parse((await mindglue('clients', 'list', '--json')).stdout)).toEqual([])
  })

  test('who let which program in is listed, shut out of one member, then of all, and logged', async () => {
    for (const email of [ada, ben]) await letIn(email)
    const list = await mindglue('clients', 'list')
    expect(list).toMatchObject({ code: 0, stderr: '' })
    expect(list.stdout).toMatch(/^name +let in by +may +used +client$/mu)
    const may = 'memory:read memory:write'
    for (const email of [ada, ben]) {
      const row = new RegExp(`^A test +${email} +${may} +\\d{4}-\\d\\d-\\d\\d +${client}$`, 'mu')
      expect(list.stdout).toMatch(row)
    }

    const one = await mindglue('clients', 'revoke', client, '--member', ben)
    expect(one).toMatchObject({ code: 0, stderr: '' })
    expect(one.stdout).toContain(`Done: ${client}`)
    await isOut(ben)
    expect(await statusOf(ada)).toBe(200)
    const left = await mindglue('clients', 'list', '--json')
    expect(JSON.parse(left.stdout)).toMatchObject([{ client, email: ada, agent: 'ada' }])

    const all = await mindglue('clients', 'revoke', client, '--json')
    expect(JSON.parse(all.stdout)).toEqual({ client, revoked: 1 })
    await isOut(ada)
    expect((await mindglue('clients', 'list')).stdout).toContain('None')

    const shown = await mindglue('audit', '--action', 'client.allow')
    for (const agent of ['ada', 'ben']) {
      expect(shown.stdout).toMatch(new RegExp(` ${agent} +rest +client\\.allow +ok `, 'u'))
    }
    const revoked = await mindglue('audit', '--action', 'client.revoke', '--json')
    const events = z.array(z.object({ channel: z.string(), outcome: z.string() }))
    expect(events.parse(JSON.parse(revoked.stdout))).toEqual([
      { channel: 'cli', outcome: 'ok' },
      { channel: 'cli', outcome: 'ok' },
    ])
  })

  test('a wrong program, member or namespace is told, and nothing is shut out', async () => {
    await letIn(ada)
    const wrong: readonly (readonly string[])[] = [
      ['no such client'],
      [client, '--member', ben],
      [client, '--namespace', 'elsewhere'],
    ]
    for (const args of wrong) {
      const run = await mindglue('clients', 'revoke', ...args)
      expect(run).toMatchObject({ code: 1, stdout: '' })
      expect(run.stderr).toContain('Nobody let this client into this namespace')
    }
    const address = await mindglue('clients', 'revoke', client, '--member', 'ben')
    expect(address).toMatchObject({ code: 1, stdout: '' })
    expect(address.stderr).toContain('email')
    expect(await mindglue('clients', 'revoke')).toMatchObject({ code: 2, stdout: '' })
    expect(await statusOf(ada)).toBe(200)
  })
})
