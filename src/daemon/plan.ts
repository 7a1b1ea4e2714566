/** The plan of a namespace for its operator: what it allows, how much is held, and another one. */
import { z } from 'zod'
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { changePlan } from '../namespaces/namespaces.sql.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { Plans } from '../namespaces/plans.ts'
import { reportUsage, type PlanReport } from '../namespaces/usage.ts'
import type { Principal } from '../principal.ts'

export interface PlanHost {
  readonly scope: NamespaceScope
  readonly namespaces: Pick<Namespaces, 'settings'>
  readonly plans: Plans
  /** Whether plans bound anything here. */
  readonly hasLimits: boolean
}

export type { PlanReport }

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
    return await reportUsage(tx, wanted ?? current, { plans, hasLimits })
  }
  return await scope.withNamespace(principal, { readOnly: wanted === undefined }, report)
}
