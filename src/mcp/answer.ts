/** A tool's answer: its text, the same as structured content, and how many tokens it takes. */
import type { CallToolResult } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { countTokens } from '../pipeline/tokens.ts'
import type { ToolCall } from './tool-call.ts'

/** What an answer may take of a conversation when the call does not say: some thirty memories. */
export const answerTokensMax = 4_000
/** Of what a query would forget: each of fifty memories is named, since the token takes them all. */
export const previewTokensMax = 8_000
/** A page of an export, which is for keeping rather than for reading. */
export const pageTokensMax = 20_000

/** Of tools whose operations have no bound of their own. */
export const budgetField = {
  max_tokens: z
    .int()
    .min(400)
    .max(200_000)
    .optional()
    .describe(`Most tokens of the answer (${answerTokensMax}; the ids of a long batch take more)`),
}
const budget = z.object(budgetField)

/** A call without its budget, and the budget. Throws AppError `invalid_input`. */
export function withoutBudget(call: ToolCall): {
  readonly call: ToolCall
  /** Undefined when the call says nothing. */
  readonly maxTokens: number | undefined
} {
  const { max_tokens: asked, ...input } = call.input
  const parsed = budget.safeParse({ max_tokens: asked })
  if (!parsed.success) {
    throw new AppError('invalid_input', 'max_tokens is a whole number from 400 to 200,000.')
  }
  return { call: { ...call, input }, maxTokens: parsed.data.max_tokens }
}

/** In the output schema of every tool. */
export const tokensField = {
  tokens: z.int().optional().describe('Of this answer, as text or as JSON, whichever is more'),
}

/** As long as any count. */
const tokensMost = 999_999

/** Tokens of an answer with its own count, as text or as JSON, whichever is more. */
export function answerTokens(output: object, text: string): number {
  const asJson = countTokens(JSON.stringify({ ...output, tokens: tokensMost }))
  return Math.max(asJson, countTokens(withCount(text, tokensMost)))
}

/** An operation's output counts its own tokens or is counted here; `text` of one that does says them itself. */
export function answer(output: object, text: string): CallToolResult {
  if ('tokens' in output) return result(output, text)
  const tokens = answerTokens(output, text)
  return result({ ...output, tokens }, withCount(text, tokens))
}

function result(structuredContent: object, text: string): CallToolResult {
  return { content: [{ type: 'text', text }], structuredContent }
}

function withCount(text: string, tokens: number): string {
  return `${text}\n(${tokens} tokens)`
}
