/** The operation `feedback`: how a recalled memory served. It moves the memory's rank a little, whoever speaks. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Operation } from '../operation.ts'
import { touchedBy } from './audience.ts'
import { changeFields } from './edit.ts'
import { countVoices, putVoices } from './feedback.sql.ts'
import { verdicts, voicesMax } from './memory.ts'
import { describeRow, storeOutput } from './stored.ts'
import { lockExpected, requireStanding } from './versions.ts'

export const feedbackFields = {
  feedback: z
    .enum(verdicts)
    .describe(
      'With id: how a recalled memory served. helpful: it answered; stale: it was true once; wrong: it misled. What is known to be no longer true is better retired or edited',
    ),
}

const feedbackInput = z.strictObject({ ...changeFields, ...feedbackFields })

/**
 * Builds the operation. One voice an agent and memory: speaking again replaces it. No version is made. Throws
 * as `edit` does: what nobody here answers for has no voice.
 */
export function feedbackOperation(): Operation<
  typeof feedbackInput,
  typeof storeOutput,
  undefined
> {
  return {
    name: 'feedback',
    title: 'Say how a memory served',
    description:
      'Say of a recalled memory that it was helpful, stale or wrong. Each agent has one voice a memory; together they move its rank a little, never more, until its words change.',
    scope: 'memory:write',
    tool: 'store',
    effect: 'write',
    input: feedbackInput,
    output: storeOutput,
    quarantine: () => 'reached',
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async (context, _prepared, { id, expected_version: expected, feedback: verdict }) => {
      const { tx, settings, now } = context
      const row = await lockExpected(context, id, expected)
      requireStanding(context, { ...row, trust: 0 })
      await putVoices(tx, [{ id, agent: tx.agent, verdict, givenAt: now }])
      if ((await countVoices(tx, [id])) > voicesMax) {
        throw new AppError('conflict', `${voicesMax} agents have said how this memory served.`)
      }
      return {
        output: {
          results: [describeRow(settings, row, 'rated')],
          stored: 0,
          duplicates: 0,
          replayed: false,
        },
        audit: { resourceIds: [id], counts: { [verdict]: 1 } },
        touched: touchedBy([row]),
      }
    },
  }
}
