/** Both official MCP clients, over HTTP and over a stream: `legacy` is the v1 package, `modern` the v2 one. */
import type { Readable, Writable } from 'node:stream'
import {
  Client as ModernClient,
  parseJSONRPCMessage,
  StreamableHTTPClientTransport as ModernHttpTransport,
} from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import type { TestApp } from './app.ts'

export type { LegacyClient, ModernClient }

const identity = { name: 'test-client', version: '1.0.0' }

/** A v1 client; `elicitation` makes it say that it can ask a person. */
export function legacyClient({ elicitation = false } = {}): LegacyClient {
  return new LegacyClient(identity, {
    capabilities: elicitation ? { elicitation: {} } : {},
  })
}

/** A v2 client that negotiates the 2026-07-28 protocol. */
export function modernClient({ elicitation = false } = {}): ModernClient {
  return new ModernClient(identity, {
    capabilities: elicitation ? { elicitation: {} } : {},
    versionNegotiation: { mode: 'auto' },
  })
}

const withKey = ({ apiKey }: TestApp) => ({
  requestInit: { headers: { authorization: `Bearer ${apiKey}` } },
})

/** Connects over HTTP. */
export async function overHttp<C extends LegacyClient | ModernClient>(
  client: C,
  app: TestApp,
): Promise<C> {
  if (client instanceof ModernClient) {
    await client.connect(new ModernHttpTransport(app.url, withKey(app)))
  } else {
    // Its declaration of an optional session id disagrees with exactOptionalPropertyTypes.
    // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- tsc needs it
    await client.connect(new LegacyHttpTransport(app.url, withKey(app)) as LegacyTransport)
  }
  return client
}

/** Connects over a stream as the daemon serves it. */
export async function overStream<C extends LegacyClient | ModernClient>(
  client: C,
  app: TestApp,
  as: Parameters<TestApp['openStream']>[0] = {},
): Promise<C> {
  const { toServer, fromServer } = await app.openStream(as)
  const transport = streamTransport(fromServer, toServer)
  if (client instanceof ModernClient) await client.connect(transport)
  else await client.connect(transport)
  return client
}

type LegacyTransport = Parameters<LegacyClient['connect']>[0]

/** The client's side of newline-framed JSON. */
function streamTransport(input: Readable, output: Writable): LegacyTransport {
  let buffered = ''
  const transport: LegacyTransport = {
    start: () => {
      input.setEncoding('utf8')
      input.on('data', (text: string) => {
        const lines = (buffered + text).split('\n')
        buffered = lines.pop() ?? ''
        for (const line of lines) transport.onmessage?.(parseJSONRPCMessage(JSON.parse(line)))
      })
      input.on('end', () => transport.onclose?.())
      return Promise.resolve()
    },
    send: (message) => {
      output.write(`${JSON.stringify(message)}\n`)
      return Promise.resolve()
    },
    close: () => {
      output.end()
      transport.onclose?.()
      return Promise.resolve()
    },
  }
  return transport
}

/** A tool's answer, the same shape for both clients. */
export interface ToolAnswer {
  readonly isError: boolean
  readonly text: string
  readonly structured: unknown
  readonly meta: Readonly<Record<string, unknown>> | undefined
}

export interface ReportedProgress {
  readonly progress: number
  readonly total?: number | undefined
}

/** Either client behind one face, for promises that hold for both. */
export interface Caller {
  /** Such as `legacy over HTTP`. */
  readonly name: string
  readonly client: LegacyClient | ModernClient
  toolNames(): Promise<string[]>
  /** With `onProgress` the request carries a progress token. */
  call(
    name: string,
    input: object,
    onProgress?: (progress: ReportedProgress) => void,
  ): Promise<ToolAnswer>
  close(): Promise<void>
}

export type PersonsAnswer =
  { action: 'accept'; content: Record<string, boolean> } | { action: 'decline' | 'cancel' }

export interface OpenOptions {
  /** Answers elicitations; without it the client does not say that it can ask. */
  readonly answer?: (message: string) => PersonsAnswer
  /** Who connects, on streams only: over HTTP the key decides. */
  readonly as?: Parameters<TestApp['openStream']>[0]
}

export interface Connection {
  readonly name: string
  readonly era: 'legacy' | 'modern'
  readonly isStream: boolean
  readonly open: (app: TestApp, options?: OpenOptions) => Promise<Caller>
}

/** Both clients over both transports: four ways to the same server. */
export const connections: readonly Connection[] = (['legacy', 'modern'] as const).flatMap((era) =>
  [false, true].map((isStream): Connection => {
    const name = `${era} over ${isStream ? 'a stream' : 'HTTP'}`
    return {
      name,
      era,
      isStream,
      open: async (app, { answer, as } = {}) => {
        const elicitation = answer !== undefined
        const client =
          era === 'legacy' ? legacyClient({ elicitation }) : modernClient({ elicitation })
        if (answer !== undefined) answerElicitations(client, answer)
        if (isStream) await overStream(client, app, as)
        else await overHttp(client, app)
        return callerOf(name, client)
      },
    }
  }),
)

function answerElicitations(
  client: LegacyClient | ModernClient,
  answer: (message: string) => PersonsAnswer,
): void {
  if (client instanceof ModernClient) {
    client.setRequestHandler('elicitation/create', ({ params }) => ({ ...answer(params.message) }))
  } else {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({ ...answer(params.message) }))
  }
}

const toolResult = z.looseObject({
  isError: z.boolean().optional(),
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
  structuredContent: z.unknown().optional(),
  _meta: z.record(z.string(), z.unknown()).optional(),
})

export function callerOf(name: string, client: LegacyClient | ModernClient): Caller {
  return {
    name,
    client,
    toolNames: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (tool, input, onprogress) => {
      const params = { name: tool, arguments: { ...input } }
      const options = onprogress && { onprogress }
      const result = toolResult.parse(
        client instanceof ModernClient
          ? await client.callTool(params, options)
          : await client.callTool(params, undefined, options),
      )
      return {
        isError: result.isError === true,
        text: result.content.map((block) => block.text ?? '').join('\n'),
        structured: result.structuredContent,
        meta: result._meta,
      }
    },
    close: () => client.close(),
  }
}
