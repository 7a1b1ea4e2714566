/**
 * The library's protocol server, answering parameters of the wrong shape as -32602 instead of -32603, and with
 * instructions that are read when a client connects.
 */
import {
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'

type WrapHandler = Server['_wrapHandler']

/** Methods whose results carry the server's instructions, of either era. */
const greetings: ReadonlySet<string> = new Set(['initialize', 'server/discover'])

export class ProtocolServer extends Server {
  /** Instructions beside those of the program; may throw, which fails the greeting. */
  readMore: ((context: ServerContext) => Promise<string | undefined>) | undefined

  /**
   * The library (2.4.0) validates the parameters of every method but `tools/call` by throwing a plain
   * error whose text is the list of issues; JSON-RPC 2.0 §5.1 calls that invalid params.
   */
  protected override _wrapHandler(
    method: Parameters<WrapHandler>[0],
    handler: Parameters<WrapHandler>[1],
  ): ReturnType<WrapHandler> {
    const wrapped = super._wrapHandler(method, handler)
    return async (request, context) => {
      try {
        const result = await wrapped(request, context)
        if (!greetings.has(method) || this.readMore === undefined) return result
        const more = await this.readMore(context)
        if (more === undefined) return result
        const { instructions } = z.looseObject({ instructions: z.string() }).parse(result)
        return { ...result, instructions: `${instructions}\n\n${more}` }
      } catch (error) {
        if (!isShapeError(error)) throw error
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Invalid params for ${method}`)
      }
    }
  }
}

/** Our own code throws AppError and ProtocolError; a plain error that is a JSON list is the library's. */
function isShapeError(error: unknown): boolean {
  return error instanceof Error && error.constructor === Error && error.message.startsWith('[')
}
