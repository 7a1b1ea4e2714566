/** One tool: its definition, made once, and what a call of it does. */
import type { CallToolResult, InputRequiredResult, Tool } from '@modelcontextprotocol/server'
import type { z } from 'zod'
import type { NeededOperation, Operation } from '../operation.ts'
import type { Scope } from '../principal.ts'
import type { McpHost } from './host.ts'
import { tokensField } from './answer.ts'
import { progressOf } from './progress.ts'
import type { ToolCall } from './tool-call.ts'
import { inputSchema, outputSchema } from './tool-schema.ts'

export interface ToolEntry {
  readonly definition: Tool
  /** What a call runs; its scope and tool are asked for before the call is dispatched. */
  readonly operation: NeededOperation
  /** Scopes that a call with these arguments needs besides that of the operation. */
  furtherScopes?(input: Readonly<Record<string, unknown>>): readonly Scope[]
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

/** What a client is told of a tool: schemas as JSON Schema, behaviour by the operation's effect. */
export function definitionOf(
  operation: Pick<Operation, 'name' | 'tool' | 'title' | 'description' | 'effect'>,
  input: z.ZodType,
  output: z.ZodObject,
): Tool {
  const isRead = operation.effect === 'read'
  return {
    name: operation.tool ?? operation.name,
    title: operation.title,
    description: operation.description,
    inputSchema: inputSchema(input),
    outputSchema: outputSchema(output.extend(tokensField)),
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
