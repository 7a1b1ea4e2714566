/** Account rows, reached through definer functions alone: the application has no right on their tables. */
import type { Sql } from '../database/database.ts'

export interface FoundAccount {
  readonly id: string
  readonly password_hash: string
  /** Null: no second factor. */
  readonly totp_generation: number | null
  readonly is_known_network: boolean
}

export type MailKind = 'sign-up' | 'reset'

/** One row by its unique index, no locks. */
export async function findAccount(
  sql: Sql,
  email: string,
  network: Uint8Array | undefined,
): Promise<FoundAccount | undefined> {
  const [row] = await sql<FoundAccount>`
    select f.id, f.password_hash, f.totp_generation, f.is_known_network
    from account_find(${email}, ${network ?? null}::bytea) f`
  return row
}

export interface AccountRow {
  readonly id: string
  readonly email: string
  readonly password_hash: string
  readonly totp_generation: number | null
  /** The last one whose code was used. */
  readonly totp_step: bigint
  /** How many are left. */
  readonly recovery_codes: number
  readonly created_at: Date
}

export async function readAccount(sql: Sql, id: string): Promise<AccountRow | undefined> {
  const [row] = await sql<Omit<AccountRow, 'id'>>`
    select r.email, r.password_hash, r.totp_generation, r.totp_step, r.recovery_codes, r.created_at
    from account_read(${id}::uuid) r`
  return row && { ...row, id }
}

export async function rehashAccount(sql: Sql, id: string, old: string, hash: string) {
  await sql`select account_rehash(${id}::uuid, ${old}, ${hash})`
}

/** Ends all sessions; false when the password was changed meanwhile. */
export async function changePassword(
  sql: Sql,
  id: string,
  old: string,
  hash: string,
): Promise<boolean> {
  const [row] = await sql<{ changed: boolean }>`
    select account_change_password(${id}::uuid, ${old}, ${hash}) as changed`
  return row?.changed === true
}

export interface NewTotp {
  readonly generation: number
  /** The code of it is used. */
  readonly step: number
  readonly recoveryHashes: readonly Uint8Array[]
}

export async function setTotp(sql: Sql, id: string, totp: NewTotp) {
  const { generation, step, recoveryHashes } = totp
  await sql`
    select account_set_totp(${id}::uuid, ${generation}::int, ${step}::bigint, ${recoveryHashes}::bytea[])`
}

/** With its recovery codes. */
export async function dropTotp(sql: Sql, id: string) {
  await sql`select account_set_totp(${id}::uuid, null, 0, '{}')`
}

/** Uses it up; how many are left, undefined when it is none. */
export async function useRecoveryCode(
  sql: Sql,
  id: string,
  hash: Uint8Array,
): Promise<number | undefined> {
  const [row] = await sql<{ left: number | null }>`
    select account_use_recovery_code(${id}::uuid, ${hash}) as left`
  return row?.left ?? undefined
}

/** False when a code of this time step was used before. */
export async function useTotp(sql: Sql, id: string, step: number): Promise<boolean> {
  const [row] = await sql<{ fresh: boolean }>`
    select account_use_totp(${id}::uuid, ${step}::bigint) as fresh`
  return row?.fresh === true
}

export interface NewMail {
  readonly codeHash: Uint8Array
  readonly kind: MailKind
  readonly email: string
  readonly lifeSeconds: number
  readonly hourlyMax: number
}

/** False when this mailbox was sent enough in the last hour. */
export async function addMail(sql: Sql, mail: NewMail): Promise<boolean> {
  const [row] = await sql<{ added: boolean }>`
    select account_mail_add(${mail.codeHash}, ${mail.kind}, ${mail.email},
      ${mail.lifeSeconds}::int, ${mail.hourlyMax}::int) as added`
  return row?.added === true
}

/** Uses the code up; the account with the new password, made with `newId` when there was none. */
export async function redeemMail(
  sql: Sql,
  codeHash: Uint8Array,
  newId: string,
  passwordHash: string,
): Promise<string | undefined> {
  const [row] = await sql<{ id: string | null }>`
    select account_redeem(${codeHash}, ${newId}::uuid, ${passwordHash}) as id`
  return row?.id ?? undefined
}

export async function addSession(
  sql: Sql,
  id: string,
  account: string,
  network: Uint8Array | undefined,
  lifeSeconds: number,
) {
  await sql`
    select account_session_add(${id}::uuid, ${account}::uuid, ${network ?? null}::bytea,
      ${lifeSeconds}::int)`
}

/** Whose session it is; undefined when it has ended. One row by primary key, no locks. */
export async function findSession(sql: Sql, id: string): Promise<string | undefined> {
  const [row] = await sql<{ account: string | null }>`
    select account_session_find(${id}::uuid) as account`
  return row?.account ?? undefined
}

export interface SessionRow {
  readonly id: string
  readonly created_at: Date
  readonly expires_at: Date
}

/** Those that go on, the newest first; a hundred at most. */
export function listSessions(sql: Sql, account: string): Promise<SessionRow[]> {
  return sql`
    select l.id, l.created_at, l.expires_at from account_session_list(${account}::uuid) l`
}

/** Without `session` every session of the account. */
export async function endSessions(sql: Sql, account: string, session: string | undefined) {
  await sql`select account_session_end(${account}::uuid, ${session ?? null}::uuid)`
}

/** False while it is a member anywhere, or when there is none. */
export async function deleteAccount(sql: Sql, account: string): Promise<boolean> {
  const [row] = await sql<{ gone: boolean }>`select account_delete(${account}::uuid) as gone`
  return row?.gone === true
}

export interface AttemptLimit {
  readonly key: Uint8Array
  readonly free: number
  readonly secondsMax: number
}

/** Counts an attempt; the seconds to wait when it may not be made. Locks the rows of the keys. */
export async function takeAttempt(sql: Sql, limits: readonly AttemptLimit[]): Promise<number> {
  const [row] = await sql<{ wait: number }>`
    select account_attempt(${limits.map(({ key }) => key)}::bytea[],
      ${limits.map(({ free }) => free)}::int[],
      ${limits.map(({ secondsMax }) => secondsMax)}::int[]) as wait`
  return row?.wait ?? 0
}

/** The attempt was right and does not count. */
export async function forgiveAttempt(sql: Sql, limits: readonly AttemptLimit[]) {
  await sql`select account_attempt_right(${limits.map(({ key }) => key)}::bytea[])`
}
