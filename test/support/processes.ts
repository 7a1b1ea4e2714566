/** The compiled product as processes that are started, asked over HTTP, killed and started again. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import type { OwnerDatabase } from '../../src/database/database.ts'
import { openEmbedded } from '../../src/database/embedded.ts'
import { openPostgres } from '../../src/database/postgres.ts'
import { compileProgram, run, type Running } from '../daemon/program.ts'
import { testEngine } from './database.ts'
import { freshStore, type Variables } from './serve.ts'
import { until } from './until.ts'

/** A compiled program and an empty store that outlives its processes. */
export interface Installation {
  readonly main: string
  readonly apiKey: string
  readonly environment: Variables
  /** Starts `serve`; resolves when it listens. */
  serve(more?: Variables): Promise<Server>
  /** Looks behind the policies as the administrator. Embedded: no process may run meanwhile. */
  inspect<T>(look: (owner: OwnerDatabase) => Promise<T>): Promise<T>
  remove(): Promise<void>
}

export interface Server {
  readonly running: Running
  /** Address of the protocol endpoint. */
  readonly mcp: URL
  readonly sidecar: URL
  call(tool: string, input: object): Promise<Answer>
  /** Sends the signal and waits for the end: exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>
}

/** What a tool answered; a broken connection throws instead. */
export type Answer =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly code: string; readonly retryable: boolean }

/** A daemon that recovers after kill -9 on a busy machine was seen to take 21 s. */
const startMsMax = 90_000

/** Compiles the program of this tree and makes an empty store on the engine under test. */
export async function installProgram(): Promise<Installation> {
  const [program, store] = [await compileProgram(), await freshStore()]
  const apiKey = randomBytes(32).toString('base64url')
  const environment = {
    PATH: process.env['PATH'] ?? '',
    ...store.environment,
    MINDGLUE_API_KEY: apiKey,
    MINDGLUE_HTTP_PORT: '0',
    MINDGLUE_SIDECAR_PORT: '0',
    MINDGLUE_LOG_LEVEL: 'warn',
  }
  const pids = new Set<Running>()
  return {
    main: program.main,
    apiKey,
    environment,
    async serve(more = {}) {
      const running = run(program.main, ['serve'], { ...environment, ...more })
      pids.add(running)
      void running.exit.then(() => pids.delete(running))
      const { mcp, sidecar } = await addresses(running)
      return {
        running,
        mcp,
        sidecar,
        call: (tool, input) => callTool(mcp, apiKey, tool, input),
        async end(signal) {
          running.child.kill(signal)
          const ended = await running.exit
          return ended.code ?? ended.signal
        },
      }
    },
    inspect: (look) => inspect(environment, look),
    async remove() {
      for (const running of pids) {
        running.child.kill('SIGKILL')
        await running.exit
      }
      await program.remove()
      await store.remove()
    },
  }
}

async function addresses(running: Running): Promise<{ mcp: URL; sidecar: URL }> {
  const found = await until(
    () => {
      const text = running.lines.join('\n')
      const mcp = /MCP on (\S+)/u.exec(text)?.[1]
      const port = /metrics on port (\d+)/u.exec(text)?.[1]
      if (mcp !== undefined && port !== undefined) return { mcp, port }
      return running.child.exitCode === null ? undefined : 'ended'
    },
    { timeoutMs: startMsMax, what: 'the server listening' },
  )
  if (found === 'ended') throw new Error(`the server did not start: ${running.errors()}`)
  return { mcp: new URL(found.mcp), sidecar: new URL(`http://127.0.0.1:${found.port}`) }
}

async function inspect<T>(
  environment: Variables,
  look: (owner: OwnerDatabase) => Promise<T>,
): Promise<T> {
  const database =
    testEngine === 'embedded'
      ? await openEmbedded({ dataDir: join(environment['MINDGLUE_DATA_DIR'] ?? '', 'pg') })
      : await openPostgres({ poolMax: 1, url: environment['MIGRATION_DATABASE_URL'] ?? '' })
  try {
    return await look(database)
  } finally {
    await database.close()
  }
}

const reply = z.object({
  result: z
    .object({
      isError: z.boolean().optional(),
      structuredContent: z.unknown().optional(),
      _meta: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
  error: z.object({ code: z.number(), message: z.string() }).optional(),
})
const failure = z.object({ code: z.string(), retryable: z.boolean() })

/** One tool call without a session, as any HTTP client may send it. */
async function callTool(mcp: URL, apiKey: string, tool: string, input: object): Promise<Answer> {
  const response = await fetch(mcp, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: tool, arguments: input },
    }),
  })
  return readAnswer(response.status, await response.text())
}

/** Understands a JSON answer, an event stream that holds one, and a problem document. */
export function readAnswer(status: number, text: string): Answer {
  const data = /^data: (\{.*)$/mu.exec(text)?.[1] ?? text
  const body: unknown = JSON.parse(data)
  const problem = failure.safeParse(body)
  if (problem.success) return { ok: false, ...problem.data }
  const { result, error } = reply.parse(body)
  if (result === undefined) {
    return {
      ok: false,
      code: `${status} ${error?.code ?? ''} ${error?.message ?? ''}`,
      retryable: false,
    }
  }
  if (result.isError !== true) return { ok: true, output: result.structuredContent }
  return { ok: false, ...failure.parse(result._meta?.['io.github.mindglue/error']) }
}
