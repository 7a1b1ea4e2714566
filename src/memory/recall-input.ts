/** What `recall` is asked: the ways of asking and their bounds. */
import { z } from 'zod'
import { details } from './budget.ts'
import { filterFields } from './filter.ts'
import { resultsMax } from './hits.ts'
import { boundedText, memoryId, timestamp } from './memory.ts'

export const questionsMax = 5
export const questionBytesMax = 8 * 1024
export const defaultResults = 10

/** Which versions a request asks for; undefined: those that hold now. */
export function momentOf({
  as_of: asOf,
  include_history: isHistory,
}: Pick<RecallInput, 'as_of' | 'include_history'>) {
  return isHistory === true ? ('ever' as const) : asOf
}

export const recallInput = z
  .strictObject({
    query: boundedText(questionBytesMax, 'query')
      .optional()
      .describe('A question in natural language'),
    queries: z
      .array(boundedText(questionBytesMax, 'a query'))
      .min(1)
      .max(questionsMax)
      .optional()
      .describe('Several phrasings or parts of one question, ranked together'),
    ids: z.array(memoryId).min(1).max(resultsMax).optional().describe('Read exactly these'),
    ...filterFields,
    limit: z.int().min(1).max(resultsMax).optional().describe('At most so many results (10)'),
    as_of: timestamp.optional().describe('What was known and true at this time (ISO 8601)'),
    include_history: z
      .boolean()
      .optional()
      .describe('Also superseded and retired versions, marked as such'),
    min_score: z.number().min(0).max(1).optional(),
    max_tokens: z
      .int()
      .min(400)
      .max(200_000)
      .optional()
      .describe('Most tokens of the answer, best hits first (the tool: 4000)'),
    detail: z
      .enum(details)
      .optional()
      .describe('full (default), brief: facts and the beginning, or ids alone'),
    neighbours: z
      .int()
      .min(0)
      .max(5)
      .optional()
      .describe('Also give so many memories before and after each hit in its session'),
    include_quarantined: z
      .boolean()
      .optional()
      .describe('Also what is quarantined; for administrators'),
    include_granted: z
      .boolean()
      .optional()
      .describe('With a question: also what other namespaces let this one read'),
    explain: z.boolean().optional().describe('Show what each part added to the score'),
    cursor: z.string().max(1024).optional().describe('next_cursor of the page before'),
  })
  .superRefine((input, context) => {
    const ways = [input.query, input.queries, input.ids].filter((way) => way !== undefined)
    if (ways.length > 1) {
      context.addIssue({
        code: 'custom',
        path: ['query'],
        message: 'give one of query, queries and ids',
      })
    }
    const unused = input.ids && narrowing.find((field) => input[field] !== undefined)
    if (unused !== undefined) {
      context.addIssue({
        code: 'custom',
        path: [unused],
        message: `ids read exactly what they name; leave ${unused} out, or the ids`,
      })
    }
    // A client that fills in every field sends zeros, which ask for nothing.
    const unanswered = ways.length === 0 && ofQuestions.find((field) => (input[field] ?? 0) > 0)
    if (unanswered) {
      context.addIssue({
        code: 'custom',
        path: [unanswered],
        message: `${unanswered} is of hits; give query or queries`,
      })
    }
    if (input.include_history === true && input.as_of !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['as_of'],
        message: 'give as_of or include_history: history is of every time',
      })
    }
    if (input.include_granted === true && (input.query ?? input.queries) === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['include_granted'],
        message: 'what was granted is found by a question; give query or queries',
      })
    }
    if (input.include_granted === true && momentOf(input) !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['include_granted'],
        message: 'a grant shows what holds now; leave as_of and include_history out',
      })
    }
    if (input.cursor !== undefined && ways.length > 0) {
      context.addIssue({
        code: 'custom',
        path: ['cursor'],
        message: 'a cursor pages through browsing; leave query, queries and ids out',
      })
    }
  })

/** What chooses among memories, and so says nothing beside ids. */
const narrowing = [
  'types',
  'tags',
  'entity',
  'agent',
  'session',
  'speaker',
  'after',
  'before',
  'limit',
  'min_score',
  'neighbours',
] as const

/** What says something about hits alone. */
const ofQuestions = ['min_score', 'neighbours'] as const

export type RecallInput = z.output<typeof recallInput>
