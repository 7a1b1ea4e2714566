/** What an audit event holds: who did what to which ids with which outcome; never content. */
import { v7 as uuidv7 } from 'uuid'
import type { NamespaceTransaction } from '../database/scope.ts'
import type { AuditDetails } from '../operation.ts'
import type { Principal } from '../principal.ts'
import { appendAudit } from './audit.sql.ts'

/** Ids an event lists; the count is always whole. */
export const listedIdsMax = 1_000

/** Writes the event in the operation's own transaction: no audit, no answer. */
export function recordEvent(
  tx: NamespaceTransaction,
  principal: Principal,
  action: string,
  outcome: string,
  details: AuditDetails,
): Promise<void> {
  const ids = details.resourceIds ?? []
  return appendAudit(tx, {
    id: uuidv7(),
    channel: principal.channel,
    action,
    outcome,
    request_id: principal.requestId,
    resource_ids: ids.slice(0, listedIdsMax),
    resource_count: ids.length,
    counts: JSON.stringify(details.counts ?? {}),
  })
}
