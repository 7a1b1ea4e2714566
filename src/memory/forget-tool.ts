/** How much of what it would forget the tool `forget` shows: every memory, and as many of its words as fit. */
import type { z } from 'zod'
import { AppError } from '../errors.ts'
import { firstTokens } from '../pipeline/tokens.ts'
import type { forgetOutput } from './forget.ts'

type ForgetOutput = z.output<typeof forgetOutput>

/** Words of each memory, in tokens; without any it is still named. */
const wordsTokens = [30, 15, 8, 0]

/**
 * An answer within its tokens, as `sizeOf` counts them: a preview names exactly what would go, so none is left out.
 * Throws AppError `payload_too_large` when not even their ids fit.
 */
export function boundForgotten(
  output: ForgetOutput,
  maxTokens: number,
  sizeOf: (answer: ForgetOutput) => number,
): ForgetOutput {
  const { matches } = output
  if (matches === undefined || sizeOf(output) <= maxTokens) return output
  for (const words of wordsTokens) {
    const short = matches.map(({ id, version, score, type, content, occurred_at }) => ({
      id,
      version,
      score,
      type,
      content: firstTokens(content, words),
      occurred_at,
      truncated: true as const,
    }))
    const bounded = { ...output, matches: short }
    if (sizeOf(bounded) <= maxTokens) return bounded
  }
  // A preview deletes nothing, so nothing is lost by not telling it.
  throw new AppError(
    'payload_too_large',
    'So many memories cannot be named within max_tokens. Raise it, or lower limit.',
  )
}
