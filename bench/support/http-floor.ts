/** The least that HTTP costs: `node:http` with nothing around it, in the process of the product. */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http'
import { text } from 'node:stream/consumers'

/** What a request is answered with, once its body is known. */
export type Answer = (body: string) => string | Promise<string>

export interface Floor {
  readonly origin: string
  close(): void
}

/** Reads a body to its end, then writes 200 with these header fields and what `answer` says. */
export async function openFloor(headers: OutgoingHttpHeaders, answer: Answer): Promise<Floor> {
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const body = await answer(await text(incoming))
    outgoing.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(body) })
    outgoing.end(body)
  }
  // As long as the product's: a connection must not end between two questions.
  const server = createServer({ keepAliveTimeout: 65_000 }, (...pair) => void serve(...pair))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP address')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
