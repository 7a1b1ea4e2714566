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
  readonly email: string
  readonly password_hash: string
  readonly totp_generation: number | null
  readonly created_at: Date
}

export async function readAccount(sql: Sql, id: string): Promise<AccountRow | undefined> {
  const [row] = await sql<AccountRow>`
    select r.email, r.password_hash, r.totp_generation, r.created_at
    from account_read(${id}::uuid) r`
  return row
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

/** Undefined generation: no second factor from now on. `step`: the code of it is used. */
export async function setTotp(sql: Sql, id: string, generation: number | undefined, step: number) {
  await sql`select account_set_totp(${id}::uuid, ${generation ?? null}::int, ${step}::bigint)`
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

/** Without `session` every session of the account. */
export async function endSessions(sql: Sql, account: string, session: string | undefined) {
  await sql`select account_session_end(${account}::uuid, ${session ?? null}::uuid)`
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
