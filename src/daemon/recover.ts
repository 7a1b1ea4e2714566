/** For somebody who lost the second factor and has no recovery code: the operator takes it away. */
import { z } from 'zod'
import { emailAddress } from '../accounts/email.ts'
import { recordEvent } from '../audit/events.ts'
import { AppError } from '../errors.ts'
import type { Principal } from '../principal.ts'
import type { UpkeepHost } from './operator-commands.ts'

const shape = z.strictObject({ email: emailAddress })

/** The person is told by letter. Throws AppError `not_found` for an account without one, `unsupported` without accounts. */
export async function recoverAccount(
  { accounts, scope }: Pick<UpkeepHost, 'accounts' | 'scope'>,
  principal: Principal,
  input: unknown,
): Promise<object> {
  const parsed = shape.safeParse(input)
  if (!parsed.success) throw new AppError('invalid_input', 'Name the e-mail address of an account.')
  if (accounts === undefined) {
    const text = 'There are no accounts here: set MINDGLUE_ACCOUNTS as the server has it.'
    throw new AppError('unsupported', text)
  }
  const id = await accounts.accounts.recover(parsed.data.email)
  // An account belongs to no namespace: the event is kept where the operator works.
  await scope.withNamespace(principal, {}, (tx) =>
    recordEvent(tx, principal, 'account.recover', 'ok', { resourceIds: [id] }),
  )
  return {}
}
