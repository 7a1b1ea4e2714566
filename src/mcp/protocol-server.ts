/** The library's protocol server, answering parameters of the wrong shape as -32602 instead of -32603. */
import { ProtocolError, ProtocolErrorCode, Server } from '@modelcontextprotocol/server'

type WrapHandler = Server['_wrapHandler']

/**
 * The library (2.4.0) validates the parameters of every method but `tools/call` by throwing a plain
 * error whose text is the list of issues; JSON-RPC 2.0 §5.1 calls that invalid params.
 */
export class ProtocolServer extends Server {
  protected override _wrapHandler(
    method: Parameters<WrapHandler>[0],
    handler: Parameters<WrapHandler>[1],
  ): ReturnType<WrapHandler> {
    const wrapped = super._wrapHandler(method, handler)
    return async (request, context) => {
      try {
        return await wrapped(request, context)
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
