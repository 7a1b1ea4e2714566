/** Members of namespaces and invitations, reached through definer functions alone. */
import type { Sql } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'

export interface MemberRow {
  readonly email: string
  readonly agent: string
  readonly role: string
  readonly since: Date
  readonly by_agent: string
  /** Of an invitation; null for who is a member. */
  readonly expires_at: Date | null
}

/** By address, after `afterEmail`; none for a context that is no administrator's. */
export function listMembers(
  tx: NamespaceTransaction,
  afterEmail: string | undefined,
  limit: number,
): Promise<MemberRow[]> {
  return tx`
    select l.email, l.agent, l.role, l.since, l.by_agent, l.expires_at
    from member_list(${afterEmail ?? null}, ${limit}::int) l order by l.email collate "C"`
}

export interface NewInvitation {
  readonly codeHash: Uint8Array
  readonly email: string
  readonly agent: string
  readonly role: string
  readonly lifeSeconds: number
  /** Members and invitations of a namespace. */
  readonly peopleMax: number
}

export type InviteOutcome = 'invited' | 'member' | 'agent' | 'full'

/** Undefined for a context that is no administrator's. */
export async function inviteMember(
  tx: NamespaceTransaction,
  { codeHash, email, agent, role, lifeSeconds, peopleMax }: NewInvitation,
): Promise<InviteOutcome | undefined> {
  const [row] = await tx<{ outcome: InviteOutcome | null }>`
    select member_invite(${codeHash}, ${email}, ${agent}, ${role}, ${lifeSeconds}::int,
      ${peopleMax}::int) as outcome`
  return row?.outcome ?? undefined
}

/** False when the namespace knows nobody of this address. */
export async function setMemberRole(
  tx: NamespaceTransaction,
  email: string,
  role: string,
): Promise<boolean> {
  const [row] = await tx<{ found: boolean }>`select member_set_role(${email}, ${role}) as found`
  return row?.found === true
}

/** False when the namespace knows nobody of this address. */
export async function removeMember(tx: NamespaceTransaction, email: string): Promise<boolean> {
  const [row] = await tx<{ found: boolean }>`select member_remove(${email}) as found`
  return row?.found === true
}

export async function isInvited(sql: Sql, email: string): Promise<boolean> {
  const [row] = await sql<{ invited: boolean }>`select account_is_invited(${email}) as invited`
  return row?.invited === true
}

/** Name of the namespace; undefined when the code is none for this account. */
export async function acceptInvitation(
  sql: Sql,
  codeHash: Uint8Array,
  account: string,
): Promise<string | undefined> {
  const [row] = await sql<{ name: string | null }>`
    select account_accept(${codeHash}, ${account}::uuid) as name`
  return row?.name ?? undefined
}

export interface Membership {
  readonly namespace_name: string
  readonly agent: string
  readonly role: string
}

export function listMemberships(sql: Sql, account: string): Promise<Membership[]> {
  return sql`
    select m.namespace_name, m.agent, m.role from account_memberships(${account}::uuid) m
    order by m.namespace_name`
}

/** A namespace that nobody would administer without the account. */
export interface Needed {
  readonly namespace_name: string
  /** Other members, none of them an administrator. */
  readonly others: number
}

/** A hundred at most. */
export function listNeeded(sql: Sql, account: string): Promise<Needed[]> {
  return sql`select n.namespace_name, n.others from account_needed(${account}::uuid) n`
}

/** In an administrator's context, as the agent that the account is; false for the last administrator. */
export async function leaveNamespace(tx: NamespaceTransaction, account: string): Promise<boolean> {
  const [row] = await tx<{ has_left: boolean }>`
    select member_leave(${account}::uuid) as has_left`
  return row?.has_left === true
}

/**
 * Makes the account administrator of a namespace that was made for it alone and has no member, as the agent of
 * the context, which is an administrator's. Undefined when it is no member then: another one removed it.
 */
export async function ownNamespace(
  tx: NamespaceTransaction,
  account: string,
): Promise<{ readonly isNew: boolean } | undefined> {
  const [row] = await tx<{ namespace: bigint; is_new: boolean }>`
    select o.namespace, o.is_new from account_own(${account}::uuid) o`
  return row && { isNew: row.is_new }
}

export interface Entry {
  readonly namespace: bigint
  readonly agent: string
  readonly role: string
}

/** Undefined once the session or the membership has ended. Three rows by primary key, no locks. */
export async function enterNamespace(
  sql: Sql,
  session: { readonly id: string; readonly account: string },
  namespaceName: string,
): Promise<Entry | undefined> {
  const [row] = await sql<Entry>`
    select e.namespace, e.agent, e.role
    from account_enter(${session.id}::uuid, ${session.account}::uuid, ${namespaceName}) e`
  return row
}
