/** Operations → tools. What a tool is called, promises and answers; the work is in `execute`. */
import type {
  CallToolRequest,
  CallToolResult,
  InputRequiredResult,
} from '@modelcontextprotocol/server'
import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import { briefAnswer, recallToolInput, recallToolOutput } from '../memory/recall-tool.ts'
import { boundStored, storeToolInput, storeToolOutput } from '../memory/store-tool.ts'
import { boundForgotten } from '../memory/forget-tool.ts'
import { fence } from '../memory/text.ts'
import type { Principal } from '../principal.ts'
import {
  answer,
  answerTokens,
  answerTokensMax,
  budgetField,
  pageTokensMax,
  previewTokensMax,
  withoutBudget,
} from './answer.ts'
import { connectorTools } from './connector-tools.ts'
import { confirmForget } from './confirm.ts'
import type { ForgetOutput, McpHost, StoreOutput } from './host.ts'
import { grantTools } from './grant-tools.ts'
import { renderExport, renderForget, renderRecall, renderStore } from './render.ts'
import type { ToolCall } from './tool-call.ts'
import { definitionOf, run, type ToolEntry } from './tool-entry.ts'
import { toolError } from './tool-error.ts'

/** Tools that are offered only where somebody asked for them. */
const connectors: ReadonlySet<string> = new Set(['search', 'fetch'])
/** Of these, only a key that names them has any. */
const administrative: ReadonlySet<string> = new Set(['grant_create', 'grant_list', 'grant_revoke'])

/** False for a tool that nobody asked for: there is none of that name then. */
export function isThere({ config }: McpHost, { credential }: Principal, name: string): boolean {
  if (administrative.has(name)) return credential?.tools?.has(name) === true
  if (!connectors.has(name)) return true
  return credential?.tools?.has(name) ?? config.connectorTools === 'on'
}

/** The default tools in their fixed order, exactly four, then the optional ones. */
export function createTools(host: McpHost): readonly ToolEntry[] {
  const { forget, export: exportPage } = host.operations
  return [
    storeTool(host),
    recallTool(host),
    {
      definition: definitionOf(forget, forget.input.safeExtend(budgetField), forget.output),
      operation: forget,
      // What a question finds is shown before it is confirmed, and only then.
      furtherScopes: ({ query, confirm_token: token }) =>
        query !== undefined && token === undefined ? ['memory:read'] : [],
      call: async (given) => {
        const { call, maxTokens } = withoutBudget(given)
        const whole = await confirmForget(host, call)
        if (isQuestion(whole)) return whole
        const sizeOf = (one: ForgetOutput) => answerTokens(one, renderForget(one))
        const output = boundForgotten(whole, maxTokens ?? previewTokensMax, sizeOf)
        return answer(output, renderForget(output))
      },
    },
    {
      definition: definitionOf(exportPage, exportPage.input, exportPage.output),
      operation: exportPage,
      call: async (call) => {
        const output = await run(host, exportPage, bounded(call, pageTokensMax))
        return answer(output, renderExport(output))
      },
    },
    ...connectorTools(host),
    ...grantTools(host),
  ]
}

/** With the usual budget where the call names none. */
function bounded(call: ToolCall, maxTokens = answerTokensMax): ToolCall {
  return { ...call, input: { max_tokens: maxTokens, ...call.input } }
}

/** One tool for what reads: memories, or a brief of them. */
function recallTool(host: McpHost): ToolEntry {
  const { recall, brief } = host.operations
  return {
    definition: definitionOf(recall, recallToolInput, recallToolOutput),
    operation: recall,
    call: async (call) => {
      const { brief: view, ...input } = call.input
      if (view === undefined) {
        const output = await run(host, recall, bounded(call))
        return answer(output, renderRecall(output))
      }
      const output = await run(host, brief, { ...call, input: { ...input, view } })
      return answer(briefAnswer(output), `${fence([output.text])}\n(${output.tokens} tokens)`)
    },
  }
}

/** One tool for what changes a memory: with an id it changes that one, and a field says how. */
function storeTool(host: McpHost): ToolEntry {
  const { store, edit, retire, restore, pin, feedback } = host.operations
  const change = async (call: ToolCall): Promise<StoreOutput> => {
    const { input } = call
    if ('retire' in input) return await run(host, retire, call)
    if ('restore_version' in input) return await run(host, restore, call)
    if ('pin' in input) return await run(host, pin, call)
    if ('feedback' in input) return await run(host, feedback, call)
    return await ('id' in input ? run(host, edit, call) : run(host, store, call))
  }
  return {
    definition: definitionOf(store, storeToolInput.extend(budgetField), storeToolOutput),
    operation: store,
    call: async (given) => {
      const { call, maxTokens } = withoutBudget(given)
      const whole = await change(call)
      const output = boundStored(whole, maxTokens, (one) => answerTokens(one, renderStore(one)))
      return answer(output, renderStore(output))
    },
  }
}

function isQuestion(output: object): output is InputRequiredResult {
  return 'resultType' in output
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
