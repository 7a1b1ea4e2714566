/** What functions lock, looked at by another session: what it may not take, and what it keeps them from (Postgres). */
import type { PostgresDatabase } from '../../../src/database/postgres.ts'
import type { OwnerDatabase, Sql } from '../../../src/database/database.ts'
import { raw } from '../../support/statements.ts'
import type { Role } from './probes.ts'
import type { World } from './world.ts'

interface LockProbe {
  /** The function. */
  readonly about: string
  readonly name: string
  readonly role: Role
  readonly context: string
  readonly call: string
  /** What the other session holds meanwhile. */
  readonly held?: string
  /** What it asks afterwards; it must be told nothing. */
  readonly asked?: string
  /** `done`, the SQLSTATE of a wait that was given up, or what the call returns. */
  readonly expected: string
}

const gaveUp = '55P03'

export function lockProbes(world: World): readonly LockProbe[] {
  const { hostile, homeId, readerId, leavingId } = world
  const job = (namespace: string) => hostile.agent(BigInt(namespace), 'job', 'aqj')
  const directory = { role: 'mindglue_app', context: world.directory } as const
  const mailLock = `hashtextextended('mindglue.account_mails:bob@example.org', 0)`
  const build = { role: 'mindglue_job', call: 'select vector_partition_build() as r' } as const
  const attempt = `select account_attempt(array['\\x01'::bytea], array[3], array[60]) > 0 as r`
  const purged = [
    ['oauth_artifacts', `id_hash = decode(repeat('32', 32), 'hex')`],
    ['oauth_grants', `expires_at < now()`],
    ['oauth_clients', `id = 'c-2'`],
  ].map(([table, condition]) => ({
    about: 'oauth_purge',
    name: `a purge waits for no row of ${table} that another one holds`,
    ...directory,
    held: `select from ${table} where ${condition} for update`,
    call: 'select oauth_purge(10) as r',
    expected: '2',
  }))
  return [
    ...purged,
    {
      // A new row asks for its foreign key; one that is there already is written without.
      about: 'oauth_artifact_put',
      name: 'what is kept again waits for whoever ends its consent',
      ...directory,
      held: `select from oauth_grants where id = '01890000-0000-7000-8000-00000000e001' for update`,
      call: `select oauth_artifact_put(decode(repeat('31', 32), 'hex'),
        '01890000-0000-7000-8000-00000000e001', '\\x00', 60, null, null) as r`,
      expected: gaveUp,
    },
    {
      about: 'account_mail_add',
      name: 'mails to one address are counted one after the other',
      ...directory,
      call: `select account_mail_add(decode(repeat('09', 32), 'hex'), 'reset', 'bob@example.org', 60, 5) as r`,
      asked: `select 1 where pg_try_advisory_xact_lock(${mailLock})`,
      expected: 'true',
    },
    {
      about: 'account_attempt',
      name: 'an attempt waits for no old delay that another one holds',
      ...directory,
      held: `select from account_delays where key = '\\x03' for update`,
      call: attempt,
      expected: 'true',
    },
    {
      about: 'account_attempt',
      name: 'attempts with one key are counted one after the other',
      ...directory,
      call: attempt,
      asked: `select 1 from account_delays where key = '\\x01' for update skip locked`,
      expected: 'true',
    },
    {
      about: 'member_leave',
      name: 'administrators who leave at once leave one after the other',
      role: 'mindglue_app',
      context: hostile.agent(BigInt(readerId), 'ada', 'aq'),
      call: `select member_leave('01890000-0000-7000-8000-00000000a001') as r`,
      asked: `select 1 from account_members
        where namespace = ${readerId} and role = 'admin' for update skip locked`,
      expected: 'true',
    },
    {
      about: 'namespace_forsake',
      name: 'a namespace is not forsaken while somebody writes in it',
      role: 'mindglue_job',
      context: job(homeId),
      held: `select from namespaces where namespace = ${homeId} for key share`,
      call: 'select namespace_forsake() as r',
      expected: gaveUp,
    },
    {
      about: 'vector_partition_build',
      name: 'partitions are built one at a time',
      ...build,
      context: job(leavingId),
      held: `select pg_advisory_xact_lock(hashtextextended('mindglue vector partition', 0))`,
      expected: 'null',
    },
    {
      about: 'vector_partition_build',
      name: 'the embedder is not changed until a partition for it is there',
      ...build,
      context: job(leavingId),
      asked: `select 1 from namespaces where namespace = ${leavingId} for no key update skip locked`,
      expected: '1',
    },
  ]
}

/** Lock probes that went otherwise, in the transaction of `sql`; what they do is undone. */
export async function lockFailures(
  sql: Sql,
  other: PostgresDatabase,
  probes: readonly LockProbe[],
): Promise<string[]> {
  const failures: string[] = []
  for (const probe of probes) {
    await sql`savepoint lock_probe`
    const found = await other.ownerTransaction(async (beside) => {
      await beside`set local search_path = mindglue, public`
      if (probe.held !== undefined) await beside`${raw(probe.held)}`
      const outcome = await callOf(sql, probe)
      if (probe.asked === undefined) return outcome
      const told = await beside`${raw(probe.asked)}`
      return told.length === 0 ? outcome : `${outcome}, and it was free`
    })
    await sql`rollback to savepoint lock_probe`
    if (found !== probe.expected) failures.push(`${probe.name}: ${found}`)
  }
  return failures
}

/** What a call returns, or the SQLSTATE of its refusal. Unlike a replay, what it locked stays locked. */
async function callOf(sql: Sql, { role, context, call }: LockProbe): Promise<string> {
  await sql`select set_config('search_path', 'mindglue, public', true),
    set_config('lock_timeout', '200ms', true), set_config('mindglue.context', ${context}, true),
    set_config('role', ${role}, true)`
  const [row] = await sql<{ outcome: string }>`select public.call_of(${call}) as outcome`
  return row?.outcome ?? 'nothing'
}

export async function installCalls(owner: OwnerDatabase): Promise<void> {
  await owner.ownerTransaction((_, script) =>
    script(`
      create function public.call_of(call text) returns text language plpgsql volatile as $$
      declare found text;
      begin
        execute call into found;
        return coalesce(found, 'null');
      exception when others then
        return sqlstate;
      end
      $$`),
  )
}
