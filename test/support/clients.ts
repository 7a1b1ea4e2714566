/** Both official MCP clients, over HTTP and over a stream: `legacy` is the v1 package, `modern` the v2 one. */
import type { Readable, Writable } from 'node:stream'
import {
  Client as ModernClient,
  parseJSONRPCMessage,
  StreamableHTTPClientTransport as ModernHttpTransport,
} from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
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
