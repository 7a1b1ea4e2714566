/** The product behind `/mcp`: protocol servers over the application's operations. */
import type { McpHost } from './host.ts'
import { createMcpEndpoint, type McpEndpoint } from './http.ts'
import { subscribableUris } from './resources.ts'
import { createServerFactory } from './server.ts'
import { changeFeed } from './subscriptions.ts'

export interface ProductEndpointOptions {
  /** Told of refused requests and failures inside the protocol library; holds no request content. */
  readonly onError?: (error: Error) => void
}

/** The endpoint to mount at `/mcp`; close it before the application. */
export function createProductEndpoint(
  host: McpHost,
  options: ProductEndpointOptions = {},
): McpEndpoint {
  const servers = createServerFactory(host)
  return createMcpEndpoint({
    ...options,
    serverFor: (principal, era, isLasting) => servers.serverFor(principal, { era, isLasting }),
    authorize: async (principal, message) => {
      const operation = servers.operationOf(message)
      if (operation !== undefined) await host.authorize(operation, principal)
    },
    charge: (principal) => host.charge(principal),
    changes: changeFeed(host),
    subscribable: (principal, uris) => subscribableUris(host, { principal, options: {} }, uris),
  })
}
