/** Rows of programs that people let in with OAuth, reached through definer functions alone. */
import type { Sql } from '../database/database.ts'
import type { NamespaceTransaction } from '../database/scope.ts'

export interface FoundClient {
  readonly metadata: string
  /** Seconds since it last said what it is. */
  readonly age: number
}

/** A new client or new metadata of a known one; the oldest of more than `unusedMax` that nobody let in leave. */
export async function putClient(
  sql: Sql,
  id: string,
  metadata: string,
  lifeSeconds: number,
  unusedMax: number,
) {
  await sql`
    select oauth_client_put(${id}, ${metadata}, ${lifeSeconds}::int, ${unusedMax}::int)`
}

/** One row by primary key, no locks. */
export async function findClient(sql: Sql, id: string): Promise<FoundClient | undefined> {
  const [row] = await sql<FoundClient>`select f.metadata, f.age from oauth_client_find(${id}) f`
  return row
}

export interface NewGrant {
  readonly id: string
  readonly account: string
  readonly client: string
  /** Words with spaces. */
  readonly scopes: string
  readonly lifeSeconds: number
  readonly clientSeconds: number
}

/** False where the account is not the member that the transaction acts as. */
export async function addGrant(tx: NamespaceTransaction, grant: NewGrant): Promise<boolean> {
  const { id, account, client, scopes, lifeSeconds, clientSeconds } = grant
  const [row] = await tx<{ added: boolean }>`
    select oauth_grant_add(${id}::uuid, ${account}::uuid, ${client}, ${scopes},
      ${lifeSeconds}::int, ${clientSeconds}::int) as added`
  return row?.added === true
}

export interface FoundGrant {
  readonly account: string
  readonly client: string
  readonly scopes: string
  readonly created_at: Date
  readonly expires_at: Date
}

export async function findGrant(sql: Sql, id: string): Promise<FoundGrant | undefined> {
  const [row] = await sql<FoundGrant>`
    select f.account, f.client, f.scopes, f.created_at, f.expires_at
    from oauth_grant_find(${id}::uuid) f`
  return row
}

/** With every code and token of it. */
export async function endGrant(sql: Sql, id: string) {
  await sql`select oauth_grant_end(${id}::uuid)`
}

export interface ClientEntry {
  readonly namespace: bigint
  readonly namespace_name: string
  readonly agent: string
  readonly role: string
  /** Words with spaces. */
  readonly scopes: string
}

/** Undefined once the grant or the membership has ended. Three rows by primary key, no locks. */
export async function enterAsClient(
  sql: Sql,
  grant: string,
  account: string,
  client: string,
): Promise<ClientEntry | undefined> {
  const [row] = await sql<ClientEntry>`
    select e.namespace, e.namespace_name, e.agent, e.role, e.scopes
    from oauth_enter(${grant}::uuid, ${account}::uuid, ${client}) e`
  return row
}

export interface NewArtifact {
  readonly idHash: Uint8Array
  readonly grant: string | undefined
  readonly payload: Uint8Array
  readonly lifeSeconds: number
  /** The grant was used: it lives on so long, and its client `clientSeconds`. */
  readonly keepSeconds?: number
  readonly clientSeconds: number
}

/** False when its grant has ended. */
export async function putArtifact(sql: Sql, artifact: NewArtifact): Promise<boolean> {
  const { idHash, grant, payload, lifeSeconds, keepSeconds, clientSeconds } = artifact
  const [row] = await sql<{ put: boolean }>`
    select oauth_artifact_put(${idHash}, ${grant ?? null}::uuid, ${payload}, ${lifeSeconds}::int,
      ${keepSeconds ?? null}::int, ${clientSeconds}::int) as put`
  return row?.put === true
}

export interface FoundArtifact {
  readonly payload: Buffer
  readonly is_consumed: boolean
}

export async function findArtifact(
  sql: Sql,
  idHash: Uint8Array,
): Promise<FoundArtifact | undefined> {
  const [row] = await sql<FoundArtifact>`
    select f.payload, f.is_consumed from oauth_artifact_find(${idHash}) f`
  return row
}

/** True once, whatever comes at once. */
export async function consumeArtifact(sql: Sql, idHash: Uint8Array): Promise<boolean> {
  const [row] = await sql<{ consumed: boolean }>`
    select oauth_artifact_consume(${idHash}) as consumed`
  return row?.consumed === true
}

export async function dropArtifact(sql: Sql, idHash: Uint8Array) {
  await sql`select oauth_artifact_drop(${idHash})`
}

/** What somebody let in; several grants of one client are one row. */
export interface ListedRow {
  readonly client: string
  readonly metadata: string
  /** Words with spaces, some of them more than once. */
  readonly scopes: string
  readonly since: Date
  readonly used_at: Date
}

export type OwnClientRow = ListedRow & { readonly namespace_name: string }

/** What a person let in, a row for each client and namespace; the last used first. */
export function listOwnClients(sql: Sql, account: string): Promise<OwnClientRow[]> {
  return sql`
    select l.client, l.metadata, l.namespace_name, l.scopes, l.since, l.used_at
    from oauth_clients_of(${account}::uuid) l`
}

/** Takes back what the member that the transaction acts as allowed a client; ids of the grants that ended. */
export async function endOwnClient(
  tx: NamespaceTransaction,
  account: string,
  client: string,
): Promise<string[]> {
  const rows = await tx<{ id: string }>`
    select e.id from oauth_client_end(${account}::uuid, ${client}) e (id)`
  return rows.map(({ id }) => id)
}

export type ClientRow = ListedRow & { readonly email: string; readonly agent: string }

/** What members of the namespace let in, by address and client; none but for an administrator. */
export function listClients(
  tx: NamespaceTransaction,
  after: { readonly email: string; readonly client: string } | undefined,
  limit: number,
): Promise<ClientRow[]> {
  return tx`
    select l.client, l.metadata, l.email, l.agent, l.scopes, l.since, l.used_at
    from client_list(${after?.email ?? null}, ${after?.client ?? null}, ${limit}::int) l
    order by l.email collate "C", l.client collate "C"`
}

/** Takes it back, of one member or of all; how much that was. */
export async function revokeClient(
  tx: NamespaceTransaction,
  client: string,
  email: string | undefined,
): Promise<number> {
  const [row] = await tx<{ gone: number }>`
    select client_revoke(${client}, ${email ?? null}) as gone`
  return row?.gone ?? 0
}

/** What has expired, at most so many of each kind; returns how many rows went. */
export async function purgeClients(sql: Sql, rowsMax: number): Promise<number> {
  const [row] = await sql<{ gone: number }>`select oauth_purge(${rowsMax}::int) as gone`
  return row?.gone ?? 0
}
