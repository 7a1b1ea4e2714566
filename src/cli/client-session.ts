/** Which protocol a client of the daemon speaks: MCP for an agent, operations for a command. */
import type { App } from '../app.ts'
import { serveOperator } from '../daemon/operate.ts'
import type { DaemonApp } from '../daemon/reception.ts'
import { serveMcpStream } from '../mcp/stdio.ts'

/** Serves one greeted client until it goes. Throws AppError when its namespace cannot be opened. */
export function serveDaemonClient(app: App): DaemonApp['serve'] {
  return async (stream, { request, namespaceName, agent }) =>
    request === 'operate'
      ? await serveOperator(app, stream, { namespaceName, agent })
      : await serveMcpStream(app, stream, { namespaceName, agent })
}
