/** The plan of a namespace for its operator: what it allows, how much is held, and another one. */
import { z } from 'zod'
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { changePlan, readUsage } from '../namespaces/namespaces.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { Plans } from '../namespaces/plans.ts'
import type { Principal } from '../principal.ts'

export interface PlanHost {
  readonly scope: NamespaceScope
  readonly namespaces: Pick<Namespaces, 'settings'>
  readonly plans: Plans
  /** Whether plans bound anything here. */
  readonly hasLimits: boolean
}

export interface PlanReport {
  readonly plan: string
  /** False where no plan bounds anything: on the embedded database, unless it was asked for. */
  readonly is_enforced: boolean
  /** Null: unlimited. */
  readonly requests_per_minute: number | null
  readonly memories: { readonly held: number; readonly allowed: number | null }
  readonly bytes: { readonly held: number; readonly allowed: number | null }
  /** When what is held was last counted. */
  readonly counted_at: string
}

const planInput = z.strictObject({ plan: z.string().max(32).optional() })

/**
 * Reports on the plan of the principal's namespace, after it was changed when `input` names another.
 * Throws AppError `invalid_input` for a plan that the configuration does not name.
 */
export async function planOf(
  { scope, namespaces, plans, hasLimits }: PlanHost,
  principal: Principal,
  input: unknown,
): Promise<PlanReport> {
  const { plan: wanted } = planInput.parse(input)
  if (wanted !== undefined && !plans.names.includes(wanted)) {
    const names = plans.names.join(', ')
    throw new AppError('invalid_input', `There is no plan of this name; the plans are: ${names}.`)
  }
  const { plan: current } = await namespaces.settings(principal)
  const report = async (tx: NamespaceTransaction): Promise<PlanReport> => {
    if (wanted !== undefined) {
      await changePlan(tx, wanted)
      await recordEvent(tx, principal, 'plan.change', 'ok', {})
    }
    const held = await readUsage(tx)
    const plan = wanted ?? current
    const allowed = plans.of(plan)
    return {
      plan,
      is_enforced: hasLimits,
      requests_per_minute: orNull(allowed.requestsPerMinute),
      memories: { held: held.memories, allowed: orNull(allowed.memories) },
      bytes: { held: held.bytes, allowed: orNull(allowed.bytes) },
      counted_at: held.countedAt.toISOString(),
    }
  }
  return await scope.withNamespace(principal, { readOnly: wanted === undefined }, report)
}

function orNull(figure: number): number | null {
  return Number.isFinite(figure) ? figure : null
}
