/** Content and secrets stay out of logs (at debug), metrics, health and refusals of a running server. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { canariesIn, canaryContent as canary, canarySecrets } from '../support/canary.ts'
import { administer, testEngine } from '../support/database.ts'
import { serveLoopback } from '../support/loopback.ts'
import { installProgram, type Installation } from '../support/processes.ts'

let installation: Installation
beforeAll(async () => {
  installation = await installProgram()
})
afterAll(() => installation.remove())

/** Sends a body as it stands; gives everything that came back. */
async function post(mcp: URL, body: string, apiKey: string): Promise<string> {
  const headers = {
    authorization: `Bearer ${apiKey}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  }
  const response = await fetch(mcp, { method: 'POST', headers, body })
  return JSON.stringify([...response.headers]) + (await response.text())
}

const memory = {
  content: `Ada said ${canary.content} in Lisbon.`,
  raw_content: canary.raw_content,
  tags: [canary.tag],
  session: canary.session,
  speaker: canary.speaker,
  metadata: { [canary.metadataKey]: canary.metadataValue },
}
const filter = { tags: [canary.tag], session: canary.session, speaker: canary.speaker }
const deep = Array.from({ length: 12 }).reduce<object>(
  (inner) => ({ [canary.metadataKey]: inner }),
  {},
)

/** Of the only answer that the embedder gives right. */
const vector = Array.from({ length: 8 }, () => 0.1)

const accepted: readonly (readonly [string, object])[] = [
  ['store', { ...memory, idempotency_key: canary.idempotencyKey }],
  ['store', { memories: [memory, { ...memory, access: 'private' }] }],
  ['recall', { query: canary.question, explain: true }],
  ['recall', filter],
  ['export', {}],
  ['export', { format: 'markdown' }],
  ['forget', { tag: canary.tag, dry_run: true }],
  ['forget', { tag: canary.tag }],
]

const refused: readonly (readonly [string, object])[] = [
  ['store', { ...memory, idempotency_key: canary.idempotencyKey, type: canary.content }],
  ['store', { content: 'Another.', idempotency_key: canary.idempotencyKey }],
  ['store', { ...memory, content: `${canary.content}\0` }],
  ['store', { ...memory, content: canary.content.repeat(4000) }],
  ['store', { ...memory, metadata: deep }],
  ['store', { ...memory, source_url: canary.content, occurred_at: canary.content }],
  ['store', { ...memory, ttl_seconds: canary.content }],
  ['recall', { query: canary.question, ids: [canary.content] }],
  ['recall', { cursor: canary.content }],
  ['forget', { confirm_token: canary.content }],
  [canary.content, {}],
]

test(
  'no canary leaves the store but in an answer that asked for it',
  { timeout: 180_000 },
  async () => {
    let isAsked = false
    const embedder = await serveLoopback((request, response) => {
      if (!isAsked) {
        isAsked = true
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ data: [{ index: 0, embedding: vector }] }))
        return
      }
      // A service that fails once the server has started, and quotes what it was sent.
      request.pipe(response.writeHead(500, { 'x-key': request.headers.authorization ?? '' }))
    })
    const server = await installation.serve({
      MINDGLUE_LOG_LEVEL: 'debug',
      MINDGLUE_API_KEY: canarySecrets.apiKey,
      MINDGLUE_SECRET: canarySecrets.installationSecret,
      MINDGLUE_EMBEDDER: 'openai',
      MINDGLUE_EMBEDDER_URL: embedder.url,
      MINDGLUE_EMBEDDER_MODEL: 'failing',
      MINDGLUE_EMBEDDER_DIMENSION: '8',
      MINDGLUE_EMBEDDER_KEY: canarySecrets.embedderKey,
    })
    const call = (name: string, input: object, apiKey: string = canarySecrets.apiKey) =>
      post(
        server.mcp,
        JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: { name, arguments: input },
        }),
        apiKey,
      )
    const answers: string[] = []
    for (const [name, input] of accepted) answers.push(await call(name, input))
    expect(answers.join('\n')).toContain(canary.content) // they work: exported and recalled
    expect(answers.filter((answer) => answer.includes('"isError":true'))).toEqual([])

    const replies: string[] = []
    for (const [name, input] of refused) replies.push(await call(name, input))
    expect(replies.filter((reply) => !/"isError":true|"error":/u.test(reply))).toEqual([])
    replies.push(await call('store', memory, `wrong-${canarySecrets.embedderKey}`))
    replies.push(await post(server.mcp, `{"broken": "${canary.content}`, canarySecrets.apiKey))
    replies.push(await post(server.mcp, JSON.stringify({ canary }), canarySecrets.apiKey))
    const seen = async (path: string) => await (await fetch(new URL(path, server.sidecar))).text()
    replies.push(await seen('/metrics'), await seen('/health/ready'), await seen('/health/live'))

    if (testEngine === 'postgres') {
      const name = new URL(installation.environment['DATABASE_URL'] ?? '').pathname.slice(1)
      await administer(`drop database ${name} with (force)`)
      replies.push(await call('store', memory), await seen('/health/ready'), await seen('/metrics'))
    }
    const log =
      (await server.end('SIGTERM'), server.running.errors() + server.running.lines.join('\n'))
    expect(log).toContain('request finished')

    const everything = { ...canary, ...canarySecrets, databasePassword: 'mindglue-test' }
    expect(canariesIn(log, everything)).toEqual([])
    for (const reply of replies) expect([canariesIn(reply, everything), reply]).toEqual([[], reply])
    for (const answer of answers) expect(canariesIn(answer, canarySecrets)).toEqual([])
  },
)
