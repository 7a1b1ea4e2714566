/** The real server as an IDE starts it: `mindglue` on stdio, reached through the official client. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

export interface Product {
  /** Calls a tool; throws with the tool's own text when it fails. */
  call<Output>(tool: string, input: object): Promise<Output>
  close(): Promise<void>
}

export interface Installation {
  /** Another client on the same data. */
  connect(namespace: string, settings?: Readonly<Record<string, string>>): Promise<Product>
  readonly environment: Readonly<Record<string, string>>
  remove(): Promise<void>
}

/** A fresh installation in a temporary directory; DATABASE_URL and MINDGLUE_* of the caller pass through. */
export function install(): Installation {
  const directory = mkdtempSync(join(tmpdir(), 'mindglue-bench-'))
  const inherited = Object.entries(process.env).filter(
    ([name, value]) =>
      value !== undefined && /^(PATH|HOME|DATABASE_URL|REDIS_URL|MINDGLUE_)/u.test(name),
  )
  const environment = {
    ...Object.fromEntries(inherited.map(([name, value]) => [name, value ?? ''])),
    MINDGLUE_DATA_DIR: join(directory, 'data'),
    MINDGLUE_KEY_DIR: join(directory, 'keys'),
    MINDGLUE_LOG_LEVEL: 'warn',
    // A plan would be measured, not the product.
    MINDGLUE_LIMITS: 'off',
    MINDGLUE_DAEMON_IDLE_SECONDS: '5',
  }
  return {
    environment,
    connect: async (namespace, settings = {}) => {
      const client = new Client({ name: 'mindglue-bench', version: '1.0.0' })
      const transport = new StdioClientTransport({
        command: process.execPath,
        args: [program],
        env: { ...environment, MINDGLUE_NAMESPACE: namespace, ...settings },
        stderr: 'inherit',
      })
      await client.connect(transport)
      return {
        call: async <Output>(tool: string, input: object) => {
          const result = await client.callTool({ name: tool, arguments: { ...input } })
          if (result.isError === true) throw new Error(JSON.stringify(result.content))
          // The tool's output schema was checked by the client against structuredContent.
          return result.structuredContent as Output
        },
        close: () => client.close(),
      }
    },
    remove: async () => {
      rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 500 })
    },
  }
}
