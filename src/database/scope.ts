/** The only way to a handle: a transaction in one namespace, under a context that the database verifies. */
import { createHash, createHmac } from 'node:crypto'
import { AppError } from '../errors.ts'
import type { Principal } from '../principal.ts'
import { fragment, nothing, type Database, type Sql, type TransactionOptions } from './database.ts'

/** Life of a signed context: longer than a statement may run, short enough to be worthless later. */
const contextLifeSeconds = 300
/** What a transaction with a statement timeout of its own gets beyond it. */
const contextGraceSeconds = 60
const hmacBlockBytes = 64

/** Runs SQL inside one namespace; repositories bind `tx.namespace` in every statement besides the policies. */
export interface NamespaceTransaction extends Sql {
  readonly namespace: bigint
  readonly agent: string
  /** True when the context reaches quarantined memories; otherwise the policies hide them. */
  readonly seesQuarantined: boolean
}

export interface ScopeOptions extends TransactionOptions {
  /**
   * Reach quarantined memories as well. Left out: for an administrator, so that a job or command that
   * walks over all memories misses none. Operations never leave it out (execute.ts).
   */
  readonly seesQuarantined?: boolean
}

/** Who a transaction acts for; a Principal is one. */
export type Actor = Pick<Principal, 'namespace' | 'agent' | 'scopes'>

/** One transaction in the actor's namespace; durable when the promise resolves. */
export type InNamespace = <T>(
  actor: Actor,
  options: ScopeOptions,
  work: (tx: NamespaceTransaction) => Promise<T>,
) => Promise<T>

/** A grant as a transaction under it names it; the database asks whether it is in force. */
export interface GrantName {
  /** UUID of the grant. */
  readonly id: string
  /** Whose memories it shows. */
  readonly namespace: bigint
}

export interface NamespaceScope {
  /** For requests: the application's role. */
  readonly withNamespace: InNamespace
  /** For jobs: a role that writes no memory, and a signed mark that opens the directory of due work. */
  readonly withJob: InNamespace
  /**
   * For reading what a grant shows: one read-only transaction in the granting namespace for a reader in
   * another. `tx.namespace` is the granting one; there are no rows once the grant has ended.
   */
  withGrant<T>(
    reader: Actor,
    grant: GrantName,
    work: (tx: NamespaceTransaction) => Promise<T>,
  ): Promise<T>
  /** A transaction without any namespace, for directory functions alone: no policy of a namespace shows a row. */
  withDirectory<T>(work: (sql: Sql) => Promise<T>): Promise<T>
}

/**
 * @param contextKey 32 secret bytes of this installation; the database holds its HMAC pads, the
 *   application role cannot read them (migrations/0001_roles.sql).
 */
export function createScope(database: Database, contextKey: Uint8Array): NamespaceScope {
  const inNamespace =
    (isJob: boolean): InNamespace =>
    (actor, { seesQuarantined = actor.scopes.has('admin'), ...options }, work) =>
      database.transaction(options, async (sql) => {
        // Not awaited alone: pipelined ahead of the first statement, so it costs no round trip of its own.
        const lifeSeconds = contextLife(options)
        const signed = sign(contextBody(actor, { seesQuarantined, isJob, lifeSeconds }), contextKey)
        const context = setContext(sql, signed, isJob)
        const tx = Object.assign(bindSql(sql), {
          namespace: actor.namespace,
          agent: actor.agent,
          seesQuarantined,
        })
        const [, result] = await Promise.all([context, work(tx)])
        return result
      })
  return {
    withNamespace: inNamespace(false),
    withJob: inNamespace(true),
    withGrant: (reader, grant, work) =>
      database.transaction({ readOnly: true }, async (sql) => {
        const context = setContext(sql, sign(grantBody(reader, grant), contextKey), false)
        const { namespace } = grant
        const scoped = { namespace, agent: reader.agent, seesQuarantined: false }
        const [, result] = await Promise.all([context, work(Object.assign(bindSql(sql), scoped))])
        return result
      }),
    withDirectory: (work) =>
      database.transaction({}, async (sql) => {
        await setContext(sql, sign(directoryBody(), contextKey), false)
        return work(sql)
      }),
  }
}

/** The two HMAC pads that `context_keys` holds: RFC 2104 with the key shorter than a block. */
export function contextPads(contextKey: Uint8Array): { inner: Buffer; outer: Buffer } {
  const inner = Buffer.alloc(hmacBlockBytes, 0x36)
  const outer = Buffer.alloc(hmacBlockBytes, 0x5c)
  for (const [index, byte] of contextKey.entries()) {
    inner[index] = (inner[index] ?? 0) ^ byte
    outer[index] = (outer[index] ?? 0) ^ byte
  }
  return { inner, outer }
}

/**
 * Writes the context key's pads as the owner. Throws `misconfigured` when the database was set up with
 * another secret, before anything is written with it.
 */
export async function installContextKey(sql: Sql, contextKey: Uint8Array): Promise<void> {
  const { inner, outer } = contextPads(contextKey)
  await sql`
    insert into mindglue.context_keys (inner_pad, outer_pad) values (${inner}, ${outer})
    on conflict (singleton) do nothing`
  const [row] = await sql<{ inner_pad: Buffer }>`select inner_pad from mindglue.context_keys`
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  if (row === undefined || digest(row.inner_pad) !== digest(inner)) {
    throw new AppError('misconfigured', foreignSecret)
  }
}

/** Throws `misconfigured` when the database does not accept contexts signed with our key. */
export async function verifyContextKey(scope: NamespaceScope): Promise<void> {
  const nobody: Actor = { namespace: 0n, agent: 'mindglue', scopes: new Set() }
  try {
    await scope.withNamespace(nobody, { readOnly: true }, (tx) => tx`select context_namespace()`)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'unauthenticated') throw error
    throw new AppError('misconfigured', foreignSecret, { cause: error })
  }
}

const foreignSecret =
  'This database was set up with another installation secret. Give this process the same MINDGLUE_SECRET or MINDGLUE_SECRET_FILE.'

interface Marks {
  readonly seesQuarantined: boolean
  readonly isJob: boolean
  readonly lifeSeconds: number
}

/** The policies of the last statement ask the context as well: it outlives the longest statement. */
function contextLife({ statementTimeoutMs = 0 }: TransactionOptions): number {
  return Math.max(contextLifeSeconds, Math.ceil(statementTimeoutMs / 1000) + contextGraceSeconds)
}

function contextBody(actor: Actor, { seesQuarantined, isJob, lifeSeconds }: Marks): string {
  const isAdmin = actor.scopes.has('admin')
  const flags = `${isAdmin ? 'a' : '-'}${seesQuarantined ? 'q' : ''}${isJob ? 'j' : ''}`
  return `${actor.namespace}|${hexOf(actor.agent)}|${flags}|${expiresIn(lifeSeconds)}`
}

/** Six parts instead of four, so that no kind can be read as another (migrations/0018_grants.sql). */
function grantBody({ namespace: reader, agent }: Actor, { id, namespace }: GrantName): string {
  const expires = expiresIn(contextLifeSeconds)
  return `${namespace}|${hexOf(agent)}|g|${expires}|${reader}|${id}`
}

/** Five parts (migrations/0031_directory.sql). */
function directoryBody(): string {
  return `||d|${expiresIn(contextLifeSeconds)}|`
}

function hexOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('hex')
}

/** Seconds since the epoch. */
function expiresIn(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

function sign(body: string, key: Uint8Array): string {
  return `${body}|${createHmac('sha256', key).update(body).digest('hex')}`
}

/** The role first: a job has no moment with the rights of the application. */
async function setContext(sql: Sql, context: string, isJob: boolean): Promise<void> {
  const role = isJob ? fragment`set_config('role', 'mindglue_job', true),` : nothing
  await sql`select ${role} set_config('mindglue.context', ${context}, true)`
}

/** A tag of our own, so that `namespace` and `agent` are not written onto the engine's. */
function bindSql(sql: Sql): Sql {
  const bound: Sql = Object.assign(
    <Row extends object>(...query: Parameters<Sql>): Promise<Row[]> => sql<Row>(...query),
    { stream: sql.stream.bind(sql), dialect: sql.dialect },
  )
  return bound
}
