/** The operation `audit.query`: who did what in this namespace, newest first. */
import { z } from 'zod'
import type { Operation } from '../operation.ts'
import { queryAudit } from './audit.sql.ts'

const auditInput = z.strictObject({
  action: z.string().max(64).optional(),
  agent: z.string().max(256).optional(),
  before_id: z
    .uuid()
    .optional()
    .describe('Events older than this one: the last id of the page before'),
  limit: z.int().min(1).max(500).optional(),
})

const auditOutput = z.object({
  events: z.array(
    z.object({
      id: z.uuid(),
      occurred_at: z.string(),
      agent: z.string(),
      channel: z.string(),
      action: z.string(),
      outcome: z.string(),
      request_id: z.uuid(),
      resource_ids: z.array(z.string()),
      resource_count: z.int(),
      counts: z.record(z.string(), z.number()),
    }),
  ),
})

const storedCounts = z.record(z.string(), z.number())

/** Builds the operation; ids and counts only, as the log holds nothing else. */
export function auditQueryOperation(): Operation<typeof auditInput, typeof auditOutput, undefined> {
  return {
    name: 'audit.query',
    title: 'Read the audit log',
    description:
      'Who did what in this namespace, newest first: ids, counts and outcomes. An agent is shown its own events, an administrator everybody’s.',
    scope: 'audit:read',
    effect: 'read',
    input: auditInput,
    output: auditOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx }, _prepared, input) => {
      const { action, agent, before_id: beforeId } = input
      const rows = await queryAudit(tx, { action, agent, beforeId }, input.limit ?? 100)
      const events = rows.map(({ occurred_at: at, counts, ...row }) => ({
        ...row,
        occurred_at: at.toISOString(),
        counts: storedCounts.parse(JSON.parse(counts)),
      }))
      return { output: { events }, audit: { counts: { events: events.length } } }
    },
  }
}
