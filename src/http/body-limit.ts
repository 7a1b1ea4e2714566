/** Bodies above the limit: refused with 413, but read to their end, so that the client sees why. */
import type { IncomingMessage } from 'node:http'
import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { AppError } from '../errors.ts'
import type { Environment } from './entrance.ts'

/** Most clients read an answer only after they have sent everything: without this they see a reset. */
const discardMs = 2000

/** Refuses with AppError `payload_too_large`, with or without a declared length. */
export function limitBody(bytesMax: number): MiddlewareHandler<Environment> {
  const refuse = async ({ incoming }: Environment['Bindings']): Promise<never> => {
    await discard(incoming)
    throw new AppError(
      'payload_too_large',
      `The body may have at most ${bytesMax} bytes; send less at once.`,
    )
  }
  const countBody = bodyLimit({
    maxSize: bytesMax,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every request comes through node:http
    onError: (context) => refuse(context.env as Environment['Bindings']),
  })
  return async (context, next) => {
    // Of unknown length: counted while it is read.
    if (context.req.header('transfer-encoding') !== undefined) return await countBody(context, next)
    // Node reads no more than what is declared (RFC 9112 §6.3). To look at `body` would make a web stream of it.
    if (Number(context.req.header('content-length') ?? 0) > bytesMax)
      return await refuse(context.env)
    return await next()
  }
}

/** Reads and drops the rest of a body, for two seconds at most. */
function discard(incoming: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    if (incoming.readableEnded || incoming.destroyed) return resolve()
    const timer = setTimeout(resolve, discardMs)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    incoming.once('end', done)
    incoming.once('close', done)
    // The errors of a client that gives up are of no interest here; `close` follows them.
    incoming.on('error', () => undefined)
    // A web stream that nobody reads pauses it: without this we would wait the whole time.
    incoming.on('pause', () => {
      incoming.removeAllListeners('data')
      incoming.resume()
    })
    incoming.resume()
    return undefined
  })
}
