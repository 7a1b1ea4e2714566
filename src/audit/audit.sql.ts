/** Audit rows: appended by a definer function in the operation's transaction, read under the policy. */
import type { NamespaceTransaction } from '../database/scope.ts'

export interface AuditRow {
  readonly id: string
  readonly occurred_at: Date
  readonly agent: string
  readonly channel: string
  readonly action: string
  readonly outcome: string
  readonly request_id: string
  readonly resource_ids: string[]
  readonly resource_count: number
  readonly counts: string
}

export type NewAuditRow = Omit<AuditRow, 'occurred_at' | 'agent'>

/** Namespace and agent come from the signed context, so nobody writes in another's name. */
export async function appendAudit(tx: NamespaceTransaction, row: NewAuditRow): Promise<void> {
  await tx`
    select audit_append(${row.id}::uuid, ${row.channel}, ${row.action}, ${row.outcome},
      ${row.request_id}::uuid, ${row.resource_ids}::uuid[], ${row.resource_count}::int,
      ${row.counts})`
}

/** Newest first after a keyset position. Primary key, since ids are UUIDv7. */
export function queryAudit(
  tx: NamespaceTransaction,
  filter: { action: string | undefined; agent: string | undefined; beforeId: string | undefined },
  limit: number,
): Promise<AuditRow[]> {
  return tx`
    select e.id, e.occurred_at, e.agent, e.channel, e.action, e.outcome, e.request_id,
      e.resource_ids, e.resource_count, e.counts
    from audit_events e
    where e.namespace = ${tx.namespace}
      and (${filter.action ?? null}::text is null or e.action = ${filter.action ?? null}::text)
      and (${filter.agent ?? null}::text is null or e.agent = ${filter.agent ?? null}::text)
      and (${filter.beforeId ?? null}::uuid is null or e.id < ${filter.beforeId ?? null}::uuid)
    order by e.id desc limit ${limit}`
}
