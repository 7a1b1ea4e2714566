/** What the client of a request can do, in either protocol era. */
import {
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server'

/**
 * Capabilities the client declared: with this very request (2026-07-28) or with `initialize`.
 * Empty for a 2025 request outside a session, whose client nobody has asked.
 */
export function clientCapabilities(server: Server, context: ServerContext): ClientCapabilities {
  const envelope: Readonly<Record<string, unknown>> = { ...context.mcpReq.envelope }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library types the envelope as an empty object, but validated this member before dispatch
  const declared = envelope[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined
  return declared ?? server.getClientCapabilities() ?? {}
}

/** True when a person can be asked with a form; an empty `elicitation` object means forms. */
export function canAskPerson(capabilities: ClientCapabilities): boolean {
  const { elicitation } = capabilities
  if (elicitation === undefined) return false
  return elicitation.form !== undefined || elicitation.url === undefined
}
