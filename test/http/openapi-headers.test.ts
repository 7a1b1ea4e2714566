/** What the served OpenAPI document says of credentials and header fields, held against what is sent. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { allScopes } from '../../src/principal.ts'
import { startAccountsApp, type AccountsApp } from '../support/accounts.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { issueKey } from '../support/keys.ts'
import { restClient, sendRest, type RestReply } from '../support/rest.ts'

const names = z.record(z.string(), z.unknown())
const documentShape = z.looseObject({
  security: z.array(names),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        security: z.array(z.record(z.string(), z.array(z.string()))),
        responses: z.record(z.string(), z.object({ headers: names })),
      }),
    ),
  ),
  components: z.looseObject({ securitySchemes: z.record(z.string(), names), headers: names }),
})
type Document = z.output<typeof documentShape>

const served = async ({ listener }: Pick<TestApp, 'listener'>): Promise<Document> =>
  documentShape.parse((await sendRest(listener.origin, { path: '/openapi.json' })).body)

/** Those that tell a client something of the operation; the others are of every answer of HTTP. */
const telling =
  'allow etag link location ratelimit ratelimit-policy retry-after www-authenticate x-request-id'.split(
    ' ',
  )

describe('header fields', () => {
  let app: TestApp
  let document: Document
  let call: ReturnType<typeof restClient>
  beforeAll(async () => {
    app = await startTestApp({
      environment: {
        MINDGLUE_LIMITS: 'on',
        MINDGLUE_PLAN_REQUESTS: 'free=20, pro=300, scale=600',
      },
    })
    document = await served(app)
    call = restClient(app, (await issueKey(app, 'described', { scopes: [...allScopes] })).key)
  }, 120_000)
  afterAll(() => app.close())

  /** Sends the request, and compares what it is told with what the operation is said to tell. */
  async function told(method: string, path: string, address: string, body?: unknown) {
    const reply: RestReply = await call(method, address, body)
    const responses = document.paths[path]?.[method.toLowerCase()]?.responses ?? {}
    const described = responses[String(reply.status)] ?? responses['default']
    const known = Object.keys(described?.headers ?? {}).map((name) => name.toLowerCase())
    const sent = Object.keys(reply.headers).filter((name) => telling.includes(name))
    expect([method, address, sent.filter((name) => !known.includes(name))]).toEqual([
      method,
      address,
      [],
    ])
    return { reply, sent, known }
  }

  test('are described wherever they are sent, and sent where the document promises them', async () => {
    const made = await told('POST', '/memory', '/memory', { content: 'The bridge is closed.' })
    const every = ['etag', 'location', 'ratelimit', 'ratelimit-policy', 'x-request-id']
    expect(made.sent.toSorted()).toEqual(every)
    const address = String(made.reply.headers['location'])
    await call('POST', '/memory', { content: 'The ferry runs.' })
    const read = await told('GET', '/memory/{id}', address)
    expect(read.sent).toEqual(expect.arrayContaining(['etag', 'link']))
    const listed = await told('GET', '/memory', '/memory?limit=1')
    expect(listed.sent).toContain('link')
    expect((await told('GET', '/audit', '/audit?limit=1')).sent).toContain('link')
    const pinned = await told('POST', '/memory/{id}/pin', `${address}/pin`, { pin: true })
    expect(pinned.sent).toContain('etag')
    const changed = await told('PATCH', '/memory/{id}', address, { tags: ['road'] })
    expect(changed.sent).toContain('etag')
    for (let asked = 0; asked < 20; asked++) await call('GET', '/plans')
    const refused = await told('GET', '/plans', '/plans')
    expect([refused.reply.status, refused.sent.includes('retry-after')]).toEqual([429, true])
  })

  test('are components that each answer refers to', () => {
    const answers = Object.values(document.paths)
      .flatMap((methods) => Object.values(methods))
      .flatMap(({ responses }) => Object.values(responses))
    for (const { headers } of answers) {
      expect(Object.keys(headers)).toEqual(expect.arrayContaining(['X-Request-Id', 'RateLimit']))
      for (const [name, found] of Object.entries(headers)) {
        expect(found).toEqual({ $ref: `#/components/headers/${name}` })
        expect(document.components.headers).toHaveProperty([name, 'schema'])
      }
    }
  })

  test('without an issuer of tokens a key is all there is', () => {
    expect(Object.keys(document.components.securitySchemes)).toEqual(['apiKey'])
    expect(document.security).toEqual([{ apiKey: [] }])
  })
})

test('where tokens are issued they open every operation, and the document says by whom', async () => {
  const running: AccountsApp = await startAccountsApp()
  try {
    const { security, paths, components } = await served(running)
    expect(security).toEqual([{ apiKey: [] }, { accessToken: [] }, { issuer: [] }])
    expect(components.securitySchemes).toMatchObject({
      apiKey: { type: 'http', scheme: 'bearer' },
      accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      issuer: { type: 'openIdConnect' },
    })
    for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods))) {
      const [key = {}, ...tokens] = operation.security
      const scopes = key['apiKey']
      expect(tokens).toEqual([{ accessToken: scopes }, { issuer: scopes }])
    }
    const found = await fetch(String(components.securitySchemes['issuer']?.['openIdConnectUrl']))
    expect(await found.json()).toMatchObject({ issuer: running.origin })
  } finally {
    await running.close()
  }
}, 120_000)
