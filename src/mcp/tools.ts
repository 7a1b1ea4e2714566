/** Operations → tools. What a tool is called, promises and answers; the work is in `execute`. */
import type {
  CallToolRequest,
  CallToolResult,
  InputRequiredResult,
  Tool,
} from '@modelcontextprotocol/server'
import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import type { z } from 'zod'
import { storeToolInput } from '../memory/store-tool.ts'
import type { NeededOperation, Operation } from '../operation.ts'
import { confirmForget } from './confirm.ts'
import type { McpHost } from './host.ts'
import { progressOf } from './progress.ts'
import { renderExport, renderForget, renderRecall, renderStore } from './render.ts'
import type { ToolCall } from './tool-call.ts'
import { toolError } from './tool-error.ts'
import { inputSchema, outputSchema } from './tool-schema.ts'

/** One tool: its definition, made once, and what a call of it does. */
export interface ToolEntry {
  readonly definition: Tool
  /** What a call runs; its scope and tool are asked for before the call is dispatched. */
  readonly operation: NeededOperation
  /** Throws AppError; an answer may be a question back to the person. */
  call(call: ToolCall): Promise<CallToolResult | InputRequiredResult>
}

/** What an answer may take of a conversation when the call does not say: some thirty memories. */
const recallTokensMax = 4_000

/** The default tools in their fixed order: exactly four. */
export function createTools(host: McpHost): readonly ToolEntry[] {
  const { operations } = host
  const tool = <I extends z.ZodType, O extends z.ZodType, P>(
    operation: Operation<I, O, P>,
    render: (output: z.output<O>) => string,
  ): ToolEntry => ({
    definition: definitionOf(operation),
    operation,
    call: (call) => run(host, operation, call, render),
  })
  return [
    storeTool(host),
    {
      ...tool(operations.recall, renderRecall),
      call: (call) =>
        run(
          host,
          operations.recall,
          { ...call, input: { max_tokens: recallTokensMax, ...call.input } },
          renderRecall,
        ),
    },
    {
      definition: definitionOf(operations.forget),
      operation: operations.forget,
      call: async (call) => {
        const output = await confirmForget(host, call)
        return isQuestion(output) ? output : answer(output, renderForget(output))
      },
    },
    tool(operations.export, renderExport),
  ]
}

async function run<I extends z.ZodType, O extends z.ZodType, P>(
  host: McpHost,
  operation: Operation<I, O, P>,
  { principal, input, context }: ToolCall,
  render: (output: z.output<O>) => string,
): Promise<CallToolResult> {
  const progress = progressOf(context)
  const options = { signal: context.mcpReq.signal, onProgress: progress.report }
  const output = await host.execute(operation, principal, input, options)
  await progress.finish()
  return answer(output, render(output))
}

/** One tool for what changes a memory: with an id it changes that one, and a field says how. */
function storeTool(host: McpHost): ToolEntry {
  const { store, edit, retire, restore, pin, feedback } = host.operations
  return {
    definition: { ...definitionOf(store), inputSchema: inputSchema(storeToolInput) },
    operation: store,
    call: (call) => {
      const { input } = call
      if ('retire' in input) return run(host, retire, call, renderStore)
      if ('restore_version' in input) return run(host, restore, call, renderStore)
      if ('pin' in input) return run(host, pin, call, renderStore)
      if ('feedback' in input) return run(host, feedback, call, renderStore)
      if ('id' in input) return run(host, edit, call, renderStore)
      return run(host, store, call, renderStore)
    },
  }
}

function isQuestion(output: object): output is InputRequiredResult {
  return 'resultType' in output
}

function definitionOf(operation: Operation): Tool {
  const isRead = operation.effect === 'read'
  return {
    name: operation.name,
    title: operation.title,
    description: operation.description,
    inputSchema: inputSchema(operation.input),
    outputSchema: outputSchema(operation.output),
    annotations: {
      title: operation.title,
      readOnlyHint: isRead,
      // Only deleting destroys; deleting twice, and reading, change nothing more. A store repeats
      // safely with an idempotency key only, so it promises nothing.
      destructiveHint: operation.effect === 'delete',
      idempotentHint: operation.effect !== 'write',
      openWorldHint: false,
    },
  }
}

/** Operations answer with an object that `execute` checked against the output schema. */
function answer(output: unknown, text: string): CallToolResult {
  return { content: [{ type: 'text', text }], structuredContent: output }
}

/**
 * Runs a tool call. A failure is a result the model can read; only a tool that does not exist is a
 * protocol error (-32602).
 */
export async function callTool(
  tools: readonly ToolEntry[],
  request: CallToolRequest,
  call: Omit<ToolCall, 'input'>,
): Promise<CallToolResult | InputRequiredResult> {
  const { name } = request.params
  const tool = tools.find((entry) => entry.definition.name === name)
  if (tool === undefined) {
    const known = tools.map((entry) => entry.definition.name).join(', ')
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `Unknown tool; the tools are ${known}.`,
    )
  }
  try {
    return await tool.call({ ...call, input: request.params.arguments ?? {} })
  } catch (error) {
    if (error instanceof ProtocolError) throw error
    return toolError(error, call.principal.requestId)
  }
}
