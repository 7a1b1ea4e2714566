/** A real HTTP server on a free loopback port, closed after the test. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { onTestFinished } from 'vitest'

/** The server's base URL and a way to close it before the test ends. Call it inside a test. */
export async function serveLoopback(
  listener: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Promise<{ url: string; close: () => Promise<void> }> {
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
  onTestFinished(close)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  return { url: `http://127.0.0.1:${address.port}`, close }
}
