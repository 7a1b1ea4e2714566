/** Everything the tool `store` takes and how much it answers, flat; each operation behind it checks its own part again. */
import { z } from 'zod'
import { changeFields } from './edit.ts'
import { feedbackFields } from './feedback.ts'
import { pinFields } from './pin.ts'
import { restoreFields, retireFields } from './retire.ts'
import { storeInput } from './store.ts'
import { storedItem, storeOutput, type StoreOutput } from './stored.ts'

/** For the definition of the tool alone. */
export const storeToolInput = z
  .strictObject({
    ...changeFields,
    ...retireFields,
    ...restoreFields,
    ...pinFields,
    ...feedbackFields,
  })
  .partial()
  .extend(storeInput.shape)

/** An entry of a long batch: what tells it from others, and what is to be known of it. */
const shortItem = storedItem.partial({
  type: true,
  occurred_at: true,
  entities: true,
  embedded: true,
})

export const storeToolOutput = storeOutput.extend({
  results: z
    .array(shortItem)
    .describe('One entry for each memory, in the order given; of many memories in short'),
  left_out: z.int().optional().describe('Entries at the end that did not fit into max_tokens'),
})
export type StoreToolOutput = z.output<typeof storeToolOutput>

/** In short a batch of 500 takes some 20,000 tokens as JSON, so that no id is left out unless that is asked for. */
export const batchTokens = { whole: 4_000, short: 30_000 } as const

/**
 * An answer whose size, as `sizeOf` counts it, is within its tokens: whole, or in short with as many entries as
 * fit. `sizeOf` grows with every entry.
 */
export function boundStored(
  output: StoreOutput,
  maxTokens: number | undefined,
  sizeOf: (answer: StoreToolOutput) => number,
): StoreToolOutput {
  if (sizeOf(output) <= (maxTokens ?? batchTokens.whole)) return output
  const most = maxTokens ?? batchTokens.short
  const results = output.results.map(({ id, version, status, quarantined, found }) => ({
    id,
    version,
    status,
    ...(quarantined && { quarantined }),
    ...(found && { found }),
  }))
  const first = (count: number): StoreToolOutput => ({
    ...output,
    results: results.slice(0, count),
    ...(count < results.length && { left_out: results.length - count }),
  })
  let [low, high] = [0, results.length]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (sizeOf(first(middle)) <= most) low = middle
    else high = middle - 1
  }
  return first(low)
}
