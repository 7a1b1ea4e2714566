/** `grant_create`, `grant_list` and `grant_revoke`, for administrators' keys that name them. */
import type { z } from 'zod'
import type { Operation } from '../operation.ts'
import { answer, answerTokens, pageTokensMax } from './answer.ts'
import type { McpHost } from './host.ts'
import { definitionOf, run, type ToolEntry } from './tool-entry.ts'

export function grantTools(host: McpHost): readonly ToolEntry[] {
  const { grantCreate, grantList, grantRevoke } = host.operations
  const list = named(grantList)
  return [
    plainTool(host, named(grantCreate)),
    {
      definition: definitionOf(list, list.input, list.output),
      operation: list,
      call: async (call) => {
        let { grants } = await run(host, list, call)
        // The next page begins behind the last one that is shown.
        while (answerTokens({ grants }, JSON.stringify({ grants })) > pageTokensMax) {
          grants = grants.slice(0, Math.ceil(grants.length / 2))
        }
        return answer({ grants }, JSON.stringify({ grants }))
      },
    },
    plainTool(host, named(grantRevoke)),
  ]
}

/** Clients take letters, digits, `_` and `-` in the names of tools; a key is for each of them apart. */
function named<Input extends z.ZodType, Output extends z.ZodObject, Prepared>(
  operation: Operation<Input, Output, Prepared>,
) {
  const tool = operation.name.replace('.', '_')
  return { ...operation, tool }
}

function plainTool<Input extends z.ZodType, Output extends z.ZodObject, Prepared>(
  host: McpHost,
  operation: Operation<Input, Output, Prepared>,
): ToolEntry {
  return {
    definition: definitionOf(operation, operation.input, operation.output),
    operation,
    call: async (call) => {
      const output = await run(host, operation, call)
      return answer(output, JSON.stringify(output))
    },
  }
}
