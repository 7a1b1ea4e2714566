/** Runs code that was written for `node:http` on a fetch request, and gives its answer as a fetch response. */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** Works on a request and an answer of `node:http`; the answer may end later than the promise. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown

/**
 * The request looks as if it had come to `origin` itself, whatever proxies are between: what `handle` makes of
 * its own address is then right. Nothing is written to a socket. Throws what `handle` throws.
 */
export async function nodeAnswer(
  request: Request,
  origin: string,
  handle: NodeHandler,
): Promise<Response> {
  const { protocol, host } = new URL(origin)
  const { pathname, search } = new URL(request.url)
  const socket = Object.assign(new Socket(), { encrypted: protocol === 'https:' })
  const incoming = new IncomingMessage(socket)
  const body = Buffer.from(await request.arrayBuffer())
  incoming.method = request.method
  incoming.url = `${pathname}${search}`
  incoming.headers = { ...Object.fromEntries(request.headers), host }
  delete incoming.headers['transfer-encoding']
  if (body.length > 0) {
    incoming.headers['content-length'] = String(body.length)
    incoming.push(body)
  }
  incoming.push(null)
  const outgoing = new ServerResponse(incoming)
  const parts: Buffer[] = []
  const take = (part: unknown): void => {
    if (typeof part === 'string' || part instanceof Uint8Array) parts.push(Buffer.from(part))
  }
  try {
    await new Promise<void>((resolve, reject) => {
      const write = (part: unknown): boolean => {
        take(part)
        return true
      }
      const end = (part?: unknown): ServerResponse => {
        take(part)
        resolve()
        return outgoing
      }
      Object.assign(outgoing, { write, end })
      Promise.resolve(handle(incoming, outgoing)).catch(reject)
    })
  } finally {
    socket.destroy()
  }
  const headers = new Headers()
  for (const [name, value] of Object.entries(outgoing.getHeaders())) {
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, String(one))
  }
  headers.delete('transfer-encoding')
  const { statusCode: status } = outgoing
  const hasBody = request.method !== 'HEAD' && status !== 204 && status !== 304
  return new Response(hasBody ? Buffer.concat(parts) : null, { status, headers })
}
