/** A real HTTP server on a free loopback port, closed after the test. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { onTestFinished } from 'vitest'

type Listener = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>
type Served = { url: string; close: () => Promise<void> }

/** The server's base URL and a way to close it before the test ends. Call it inside a test. */
export async function serveLoopback(listener: Listener): Promise<Served> {
  const served = await openLoopback(listener)
  onTestFinished(served.close)
  return served
}

/** Likewise, for several tests: the caller closes it. */
export async function openLoopback(listener: Listener): Promise<Served> {
  const server = createServer((request, response) => {
    void listener(request, response)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  return { url: `http://127.0.0.1:${address.port}`, close }
}
