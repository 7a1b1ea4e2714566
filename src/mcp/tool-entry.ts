/** One tool: its definition, made once, and what a call of it does. */
import type { CallToolResult, InputRequiredResult, Tool } from '@modelcontextprotocol/server'
import type { z } from 'zod'
import type { NeededOperation, Operation } from '../operation.ts'
import type { McpHost } from './host.ts'
import { progressOf } from './progress.ts'
import type { ToolCall } from './tool-call.ts'

export interface ToolEntry {
  readonly definition: Tool
  /** What a call runs; its scope and tool are asked for before the call is dispatched. */
  readonly operation: NeededOperation
  /** Throws AppError; an answer may be a question back to the person. */
  call(call: ToolCall): Promise<CallToolResult | InputRequiredResult>
}

/** Runs the operation of a call, with its progress. Throws AppError. */
export async function run<I extends z.ZodType, O extends z.ZodType, P>(
  host: McpHost,
  operation: Operation<I, O, P>,
  { principal, input, context }: ToolCall,
): Promise<z.output<O>> {
  const progress = progressOf(context)
  const options = { signal: context.mcpReq.signal, onProgress: progress.report }
  const output = await host.execute(operation, principal, input, options)
  await progress.finish()
  return output
}
