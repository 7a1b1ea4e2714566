/** Keys of a running test server, and calls that are made with them over HTTP. */
import { z } from 'zod'
import type { Operations } from '../../src/operations.ts'
import type { TestApp } from './app.ts'

export type IssueInput = z.input<Operations['keyIssue']['input']>
export type Issued = z.output<Operations['keyIssue']['output']>

/** Issues a key as the command line does. */
export async function issueKey(
  { app }: TestApp,
  namespaceName: string,
  input: Partial<IssueInput> = {},
): Promise<Issued> {
  const operator = await app.principal({ namespaceName, agent: 'operator', channel: 'cli' })
  return await app.execute(app.operations.keyIssue, operator, { agent: 'ada', ...input })
}

/** Sends one message of a 2025 client that has no session. */
export async function sendMessage(
  { url }: Pick<TestApp, 'url'>,
  key: string | undefined,
  message: object,
  more: { readonly headers?: Readonly<Record<string, string>>; readonly method?: string } = {},
): Promise<Response> {
  const method = more.method ?? 'POST'
  return await fetch(url, {
    method,
    headers: {
      accept: 'application/json, text/event-stream',
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(method === 'POST' && { 'content-type': 'application/json' }),
      ...more.headers,
    },
    ...(method === 'POST' && { body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }) }),
  })
}

/** The stream of a new session of a 2025 client: what the server sends by itself. */
export async function openStream(app: Pick<TestApp, 'url'>, key: string): Promise<Response> {
  const opened = await sendMessage(app, key, {
    method: 'initialize',
    params: {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1.0.0' },
    },
  })
  await opened.text()
  const headers = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
  return await sendMessage(app, key, {}, { headers, method: 'GET' })
}

export async function callTool(
  app: Pick<TestApp, 'url'>,
  key: string | undefined,
  name: string,
  input: object = {},
): Promise<Response> {
  return await sendMessage(app, key, {
    method: 'tools/call',
    params: { name, arguments: input },
  })
}

const reply = z.object({
  result: z.object({
    isError: z.boolean().optional(),
    content: z.array(z.object({ text: z.string() })),
    structuredContent: z.unknown().optional(),
  }),
})

/** The structured content of a tool's answer, in either of the forms that the transport gives it. */
export async function structuredOf(response: Response): Promise<unknown> {
  const text = await response.text()
  const json = /^data: (?<json>\{.*)$/mu.exec(text)?.groups?.['json'] ?? text
  const { result } = reply.parse(JSON.parse(json))
  if (result.isError === true) throw new Error(result.content[0]?.text)
  return result.structuredContent
}
