/** What a namespace does with credentials and personal data, for its operator: say it, and change it. */
import { z } from 'zod'
import { recordEvent } from '../audit/events.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { changePolicy, readNamespace } from '../namespaces/namespaces.sql.ts'
import { doorActions, type DoorPolicy } from '../operation.ts'
import type { Principal } from '../principal.ts'

const policyInput = z.strictObject({
  credentials: z.enum(doorActions).optional(),
  personal: z.enum(doorActions).optional(),
})
export type PolicyInput = z.input<typeof policyInput>

/**
 * The policy of the principal's namespace, after what `input` names was changed; each change is an audit
 * event. Writes under way end under the policy of before. Throws AppError `invalid_input`.
 */
export async function policyOf(
  { scope }: { readonly scope: NamespaceScope },
  principal: Principal,
  input: unknown,
): Promise<DoorPolicy> {
  const parsed = policyInput.safeParse(input)
  if (!parsed.success) {
    throw new AppError('invalid_input', `A policy is one of ${doorActions.join(', ')}.`)
  }
  const wanted = Object.entries(parsed.data).filter(([, action]) => action !== undefined)
  return await scope.withNamespace(principal, { readOnly: wanted.length === 0 }, async (tx) => {
    const row = await readNamespace(tx)
    if (!row) throw new AppError('not_found', 'There is no such namespace.')
    const before = { credentials: row.credentials_policy, personal: row.personal_policy }
    const { credentials = before.credentials, personal = before.personal } = parsed.data
    if (wanted.length === 0) return before
    await changePolicy(tx, { credentials, personal })
    for (const [what, action] of wanted) {
      await recordEvent(tx, principal, `policy.${what}.${action}`, 'ok', {})
    }
    return { credentials, personal }
  })
}
