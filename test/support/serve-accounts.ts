/** A server with accounts as a process of its own, its command line beside it, and people who call it. */
import { freePort } from './free-port.ts'
import { addressesOf, freshStore, startProgram, type Served } from './serve.ts'

export interface ServedAccounts {
  readonly origin: string
  readonly server: Served
  /** Runs a command over the same store, to its end. */
  readonly mindglue: (...args: readonly string[]) => Promise<{
    readonly code: Awaited<Served['ended']>
    readonly stdout: string
    readonly stderr: string
  }>
  /** `path` is behind `/account`. */
  readonly post: (path: string, body: object, token?: string) => Promise<Response>
  close(): Promise<void>
}

export async function serveAccounts(accounts: 'open' | 'invited'): Promise<ServedAccounts> {
  const store = await freshStore()
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const settings = {
    ...store.environment,
    MINDGLUE_HTTP_PORT: String(port),
    MINDGLUE_SIDECAR_PORT: '0',
    MINDGLUE_ACCOUNTS: accounts,
    MINDGLUE_PUBLIC_URL: origin,
  }
  const server = startProgram(['serve'], settings)
  await addressesOf(server)
  return {
    origin,
    server,
    async mindglue(...args) {
      const run = startProgram(args, settings)
      const code = await run.ended
      return { code, stdout: run.stdout(), stderr: run.stderr() }
    },
    async post(path, body, token) {
      const headers = {
        'content-type': 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      }
      const init = { method: 'POST', headers, body: JSON.stringify(body) }
      return await fetch(`${origin}/account${path}`, init)
    },
    async close() {
      server.process.kill('SIGKILL')
      await server.ended
      await store.remove()
    },
  }
}
