/** Which operation a protocol message will run: what a transport asks before it dispatches. */
import type { NeededOperation } from '../operation.ts'
import type { McpHost } from './host.ts'
import type { ToolEntry } from './tool-entry.ts'

/** Everything that shows memories and is no tool reads them through `recall`. */
const readingMethods: ReadonlySet<unknown> = new Set([
  'resources/list',
  'resources/read',
  'resources/subscribe',
  'subscriptions/listen',
  'prompts/get',
  'completion/complete',
])

/**
 * The operation of one message; undefined for what needs none, and for what is malformed or unknown,
 * which the protocol refuses by itself.
 */
export function neededOperation(
  host: Pick<McpHost, 'operations'>,
  tools: readonly ToolEntry[],
  message: unknown,
): NeededOperation | undefined {
  if (typeof message !== 'object' || message === null) return undefined
  const { method, params }: { method?: unknown; params?: unknown } = message
  if (readingMethods.has(method)) return host.operations.recall
  if (method !== 'tools/call' || typeof params !== 'object' || params === null) return undefined
  const { name, arguments: input }: { name?: unknown; arguments?: unknown } = params
  const tool = tools.find(({ definition }) => definition.name === name)
  if (tool?.furtherScopes === undefined || typeof input !== 'object' || input === null) {
    return tool?.operation
  }
  return { ...tool.operation, furtherScopes: tool.furtherScopes({ ...input }) }
}
