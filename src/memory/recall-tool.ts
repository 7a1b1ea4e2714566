/** Everything the tool `recall` takes and answers, flat; each operation behind it checks its own part again. */
import { z } from 'zod'
import { briefFields, type BriefOutput } from './brief.ts'
import { recallOutput } from './recall.ts'
import { recallInput } from './recall-input.ts'

/** For the definition of the tool alone. */
export const recallToolInput = z.strictObject({
  ...recallInput.shape,
  brief: briefFields.view.describe(
    `In place of a question, a summary within max_tokens. ${briefFields.view.description}`,
  ),
})

export const recallToolOutput = recallOutput.extend({
  brief: z.string().optional().describe('With brief: lines of stored memories under headings'),
})

/** A brief as an answer of the tool. */
export function briefAnswer({
  text,
  left_out,
  tokens,
}: BriefOutput): z.output<typeof recallToolOutput> {
  return { results: [], brief: text, ...(left_out > 0 && { left_out }), tokens }
}
