/** Two steps for what cannot be undone: the first counts an exact set, the second does it to that set alone. */
import { randomBytes } from 'node:crypto'
import { blindIndex } from '../crypto/term-hash.ts'
import { AppError } from '../errors.ts'
import type { CommitContext, OperationName } from '../operation.ts'
import { insertConfirmation, redeemConfirmation } from './confirmations.sql.ts'

const confirmationLifeSeconds = 600

/** Both in one request: one asks to change nothing, the other to delete. */
export function wantsBoth(input: {
  readonly dry_run?: boolean | undefined
  readonly confirm_token?: string | undefined
}): boolean {
  return input.dry_run === true && input.confirm_token !== undefined
}

export const bothWanted =
  'dry_run only counts: leave it out to delete what confirm_token stands for'

export interface Asked {
  readonly confirm_token: string
  readonly confirm_before: string
}

/** Keeps the set for ten minutes under a token that this agent can redeem once. */
export async function askToConfirm(
  context: CommitContext,
  operation: OperationName,
  requestHash: Buffer,
  set: Buffer,
): Promise<Asked> {
  const token = randomBytes(24).toString('base64url')
  const expiresAt = new Date(context.now.getTime() + confirmationLifeSeconds * 1000)
  await insertConfirmation(context.tx, {
    tokenHash: blindIndex(context.settings.indexKey, 'confirmation', token),
    operation,
    requestHash,
    resourceIds: set,
    expiresAt,
  })
  return { confirm_token: token, confirm_before: expiresAt.toISOString() }
}

/**
 * The set that was counted; the token is spent. `requestHash`: of the request that came with the token;
 * undefined when it came alone. Throws `not_found` for a spent, foreign or expired token, `conflict` for
 * another request's.
 */
export async function confirmedSet(
  context: CommitContext,
  operation: OperationName,
  token: string,
  requestHash: Buffer | undefined,
): Promise<Buffer> {
  const tokenHash = blindIndex(context.settings.indexKey, 'confirmation', token)
  const confirmation = await redeemConfirmation(context.tx, operation, tokenHash)
  if (!confirmation) {
    throw new AppError(
      'not_found',
      `This confirm_token is unknown, used or expired. Call ${operation} again without it for a new one.`,
    )
  }
  if (requestHash && !confirmation.request_hash.equals(requestHash)) {
    throw new AppError(
      'conflict',
      'The confirm_token belongs to another request. Send it alone, or with the same filters.',
    )
  }
  return confirmation.resource_ids
}
