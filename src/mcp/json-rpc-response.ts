/** JSON-RPC errors that are answered at the HTTP level, before a protocol server exists. */

/** A JSON-RPC error as the whole body of an HTTP response (streamable HTTP transport, "Sending messages"). */
export function jsonRpcError(
  status: number,
  code: number,
  message: string,
  id: string | number | null = null,
): Response {
  return Response.json({ jsonrpc: '2.0', id, error: { code, message } }, { status })
}

/** JSON-RPC 2.0 §5.1 and the codes the protocol's transports use. */
export const rpcCode = {
  parseError: -32_700,
  invalidRequest: -32_600,
  invalidParams: -32_602,
  internalError: -32_603,
  sessionNotFound: -32_001,
  transport: -32_000,
} as const
