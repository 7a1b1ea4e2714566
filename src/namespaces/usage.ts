/** The operations `usage.read` and `plan.list`: what a namespace holds, what its plan allows, what others would. */
import { z } from 'zod'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { Operation } from '../operation.ts'
import { readUsage } from './namespaces.sql.ts'
import type { Plans } from './plans.ts'

/** Null: unlimited. */
const allowed = z.int().nullable()
const bound = z.object({ held: z.int(), allowed })

export const planReport = z.object({
  plan: z.string(),
  is_enforced: z
    .boolean()
    .describe('False where no plan bounds anything: on the embedded database, unless asked for'),
  requests_per_minute: allowed,
  memories: bound,
  bytes: bound.describe('Text, versions of before included'),
  counted_at: z.string().describe('When what is held was last counted'),
})
export type PlanReport = z.output<typeof planReport>

const plansOutput = z.object({
  plans: z.array(
    z.object({ name: z.string(), requests_per_minute: allowed, memories: allowed, bytes: allowed }),
  ),
})

export interface UsageDependencies {
  /** Left out: nothing is bounded, and there are no plans. */
  readonly plans?: Plans | undefined
  /** Whether plans bound anything here. */
  readonly hasLimits?: boolean | undefined
}

const nothing = z.strictObject({})
const unlimitedPlans: Plans = {
  names: [],
  of: () => ({ requestsPerMinute: Infinity, memories: Infinity, bytes: Infinity }),
}

/** Reads what the transaction's namespace, which is on `plan`, holds and may hold. */
export async function reportUsage(
  tx: NamespaceTransaction,
  plan: string,
  { plans = unlimitedPlans, hasLimits = false }: UsageDependencies,
): Promise<PlanReport> {
  const held = await readUsage(tx)
  const figures = plans.of(plan)
  return {
    plan,
    is_enforced: hasLimits,
    requests_per_minute: orNull(figures.requestsPerMinute),
    memories: { held: held.memories, allowed: orNull(figures.memories) },
    bytes: { held: held.bytes, allowed: orNull(figures.bytes) },
    counted_at: held.countedAt.toISOString(),
  }
}

export function usageReadOperation(
  dependencies: UsageDependencies,
): Operation<typeof nothing, typeof planReport, undefined> {
  return {
    name: 'usage.read',
    title: 'Read usage',
    description:
      'What this namespace holds and what its plan allows. What is held is counted once a minute.',
    // The count holds private memories: to an agent that sees some, it would tell of the others.
    scope: 'admin',
    effect: 'read',
    input: nothing,
    output: planReport,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx, settings }) => ({
      output: await reportUsage(tx, settings.plan, dependencies),
      audit: {},
    }),
  }
}

/** No namespace can change its own plan: that is the operator's, with `mindglue plan`. */
export function planListOperation({
  plans = unlimitedPlans,
}: UsageDependencies): Operation<typeof nothing, typeof plansOutput, undefined> {
  return {
    name: 'plan.list',
    title: 'List plans',
    description: 'The plans of this server with their figures; whoever runs it puts you on one.',
    scope: 'memory:read',
    effect: 'read',
    input: nothing,
    output: plansOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: () => {
      const listed = plans.names.map((name) => {
        const { requestsPerMinute, memories, bytes } = plans.of(name)
        return {
          name,
          requests_per_minute: orNull(requestsPerMinute),
          memories: orNull(memories),
          bytes: orNull(bytes),
        }
      })
      return Promise.resolve({ output: { plans: listed }, audit: {} })
    },
  }
}

function orNull(figure: number): number | null {
  return Number.isFinite(figure) ? figure : null
}
