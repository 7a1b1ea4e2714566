/** Finds what makes a Postgres set-up unsafe: versions with holes, rights too wide, tables left open. */
import { AppError } from '../errors.ts'
import { fragment, type Database, type Sql } from './database.ts'
import { loginFindings } from './doctor-login.sql.ts'
import { partitionFindings, vectorIndexFindings } from './doctor-partitions.sql.ts'
import { roleFindings } from './doctor-roles.sql.ts'
import { sessionFindings } from './doctor-sessions.sql.ts'
import type { Finding } from './finding.ts'

/**
 * First minor of each major without a known hole that a role of the application could use:
 * CVE-2026-14662 (tsvector overflow) and all before it, fixed 2026-08-13. A later major has them all.
 */
const safeMinors: ReadonlyMap<number, number> = new Map([
  [15, 19],
  [16, 15],
  [17, 11],
  [18, 6],
])
const oldestMajor = 15
/**
 * What reaches us: a parallel HNSW build leaks rows of other relations (CVE-2026-3172, until 0.8.2), and a
 * vacuum corrupts an HNSW index (until 0.8.4).
 */
const safeVectorVersion = [0, 8, 4] as const
/**
 * Building an IVFFlat index overflows a buffer (CVE-2026-18022 until 0.8.6, another until 0.8.7): we build
 * none, and the application may make no index; another login of the same server may.
 */
const soundVectorVersion = [0, 8, 7] as const

/** Every function that may run with its owner's rights; held to the migrations by a test. */
const listedDefiners: ReadonlySet<string> = new Set([
  'account_accept(bytea, uuid)',
  'account_attempt(bytea[], integer[], integer[])',
  'account_attempt_right(bytea[])',
  'account_change_password(uuid, text, text)',
  'account_delete(uuid)',
  'account_enter(uuid, uuid, text)',
  'account_find(text, bytea)',
  'account_is_invited(text)',
  'account_mail_add(bytea, text, text, integer, integer)',
  'account_memberships(uuid)',
  'account_needed(uuid)',
  'account_own(uuid)',
  'account_read(uuid)',
  'account_redeem(bytea, uuid, text)',
  'account_rehash(uuid, text, text)',
  'account_session_add(uuid, uuid, bytea, integer)',
  'account_session_end(uuid, uuid)',
  'account_session_find(uuid)',
  'account_session_list(uuid)',
  'account_set_totp(uuid, integer, bigint, bytea[])',
  'account_use_recovery_code(uuid, bytea)',
  'account_use_totp(uuid, bigint)',
  'api_key_count()',
  'api_key_find(uuid)',
  'api_key_issue(uuid, text, text, text, text, integer, bytea, timestamp with time zone)',
  'api_key_list(uuid, integer)',
  'api_key_revoke(uuid)',
  'api_key_rotate(uuid, bytea, integer)',
  'api_key_used(uuid[], double precision[])',
  'audit_append(uuid, text, text, text, uuid, uuid[], integer, text)',
  'client_list(text, text, integer)',
  'client_revoke(text, text)',
  'context_agent()',
  'context_granted_home()',
  'context_granted_kinds()',
  'context_granted_mark()',
  'context_is_directory()',
  'context_is_job()',
  'context_is_own()',
  'context_namespace()',
  'context_reader()',
  'context_reads()',
  'context_sees_all()',
  'context_sees_quarantined()',
  'due_add(text, timestamp with time zone)',
  'due_done(text, timestamp with time zone)',
  'due_page(text, timestamp with time zone, integer, timestamp with time zone, bigint)',
  'live_grant()',
  'namespace_erase()',
  'namespace_erase_events(integer)',
  'member_invite(bytea, text, text, text, integer, integer)',
  'member_leave(uuid)',
  'member_list(text, integer)',
  'member_remove(text)',
  'member_set_role(text, text)',
  'namespace_find(text)',
  'namespace_forsake()',
  'namespace_page(bigint, integer)',
  'namespace_register(text)',
  'oauth_artifact_consume(bytea)',
  'oauth_artifact_drop(bytea)',
  'oauth_artifact_find(bytea)',
  'oauth_artifact_put(bytea, uuid, bytea, integer, integer, integer)',
  'oauth_client_end(uuid, text)',
  'oauth_client_find(text)',
  'oauth_client_put(text, text, integer, integer)',
  'oauth_clients_of(uuid)',
  'oauth_enter(uuid, uuid, text)',
  'oauth_grant_add(uuid, uuid, text, text, integer, integer)',
  'oauth_grant_end(uuid)',
  'oauth_grant_find(uuid)',
  'oauth_purge(integer)',
  'root_key_add(integer, bytea)',
  'root_key_remove(integer)',
  'root_keys_known()',
  'vector_partition_build()',
  'vector_partition_drop()',
  'verified_context()',
])

/**
 * Inspects the database with the rights of the given login, the one that serves. Read only, a few
 * catalogue queries. Returns nothing on the embedded engine: there the program is the only user, a
 * superuser by design, and its policies guard against our own mistakes alone.
 */
export async function inspectDatabase(database: Database): Promise<readonly Finding[]> {
  if (database.dialect.engine === 'embedded') return []
  return await database.transaction({ readOnly: true }, async (sql) => {
    const everybody = await namesOfEverybody(sql)
    return [
      ...(await versions(sql)),
      ...(await loginFindings(sql)),
      ...(await roleFindings(sql)),
      ...(await openTables(sql, everybody)),
      ...(await freeRights(sql, everybody)),
      ...(await openPolicies(sql)),
      ...(await partitionFindings(sql, everybody)),
      ...(await vectorIndexFindings(sql)),
      ...(await openViews(sql)),
      ...(await definers(sql, everybody)),
      ...(await sessionFindings(sql, everybody)),
    ]
  })
}

/**
 * Throws `misconfigured`, with what was found and what mends it, where the database would not hold what
 * it promises: a process must not read or write a memory there.
 */
export async function requireSafe(database: Database): Promise<void> {
  const findings = await inspectDatabase(database)
  const problems = findings.filter(({ severity }) => severity === 'problem')
  if (problems.length === 0) return
  throw new AppError('misconfigured', 'This database set-up is not safe; see mindglue doctor.', {
    details: { problems: problems.map(({ message, remedy }) => `${message} → ${remedy}`) },
  })
}

async function versions(sql: Sql): Promise<readonly Finding[]> {
  const [row] = await sql<{ number: number; vector: string | null }>`
    select current_setting('server_version_num')::int as number,
      (select extversion from pg_extension where extname = 'vector') as vector`
  if (row === undefined) return []
  return [...serverVersionFindings(row.number), ...vectorVersionFindings(row.vector)]
}

/** `number` is `server_version_num`: 180006 is 18.6. */
export function serverVersionFindings(number: number): readonly Finding[] {
  const major = Math.floor(number / 10_000)
  const minor = number % 10_000
  const safe = safeMinors.get(major) ?? 0
  if (major >= oldestMajor && minor >= safe) return []
  const wanted = major < oldestMajor ? '18.6' : `${major}.${safe}`
  return [
    {
      severity: 'problem',
      check: 'server version',
      message: `PostgreSQL ${major}.${minor} has known security holes.`,
      remedy: `Update to PostgreSQL ${wanted} or newer.`,
    },
  ]
}

/** `version` is null when the extension is not installed. */
export function vectorVersionFindings(version: string | null): readonly Finding[] {
  const check = 'pgvector version'
  if (version === null) {
    return [
      {
        severity: 'problem',
        check,
        message: 'The extension vector is not installed in this database.',
        remedy: 'mindglue migrate',
      },
    ]
  }
  if (isAtLeast(version, soundVectorVersion)) return []
  const remedy = 'Install pgvector 0.8.7 or newer, then: alter extension vector update;'
  if (isAtLeast(version, safeVectorVersion)) {
    const message = `pgvector ${version} has security holes that another login of this server could use.`
    return [{ severity: 'warning', check, message, remedy }]
  }
  const message = `pgvector ${version} can leak rows of other tables (CVE-2026-3172) or corrupt an index.`
  return [{ severity: 'problem', check, message, remedy }]
}

function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split('.').map(Number)
  const order = wanted
    .map((least, index) => (parts[index] ?? 0) - least)
    .find((difference) => difference !== 0)
  return order === undefined || order > 0
}

/** Roles whose statements must not pass the policies. */
const bound = fragment`(
  select r.oid as role from pg_roles r
  where not r.rolsuper and r.rolname in (current_user, 'mindglue_app', 'mindglue_job'))`
const ours = fragment`c.relnamespace = to_regnamespace('mindglue') and c.relkind in ('r', 'p')
  and c.relname <> 'migrations'`

/** Whom a remedy takes a right from: `public` and the bound roles, as a list for SQL text. */
async function namesOfEverybody(sql: Sql): Promise<string> {
  const rows = await sql<{ name: string }>`select b.role::regrole::text as name
    from ${bound} b order by 1`
  return ['public', ...rows.map(({ name }) => name)].join(', ')
}

/**
 * Tables whose policies do not bind their owner, as which functions run, and tables without any that the
 * application may touch. `migrations` holds names of files and no memory.
 */
async function openTables(sql: Sql, everybody: string): Promise<readonly Finding[]> {
  const rows = await sql<{ name: string; has_policy: boolean }>`
    select c.relname as name,
      exists (select from pg_policy p where p.polrelid = c.oid) as has_policy
    from pg_class c
    where ${ours} and not (c.relrowsecurity and c.relforcerowsecurity)
      and (not c.relispartition and exists (select from pg_policy p where p.polrelid = c.oid)
        or exists (select from ${bound} b
          where has_table_privilege(b.role, c.oid, 'delete')
            or has_any_column_privilege(b.role, c.oid, 'select, insert, update')))
    order by c.relname`
  return rows.map(({ name, has_policy: hasPolicy }) => ({
    severity: 'problem',
    check: 'row-level security',
    message: hasPolicy
      ? `Row-level security is not enabled and forced on ${name}.`
      : `The application may touch ${name}, which has no row-level security.`,
    remedy: hasPolicy
      ? `alter table mindglue.${name} enable row level security, force row level security;`
      : `revoke all on mindglue.${name} from ${everybody};`,
  }))
}

/** Rights that no policy holds: truncating passes them, a reference asks which keys are there. */
async function freeRights(sql: Sql, everybody: string): Promise<readonly Finding[]> {
  const rows = await sql<{ name: string; rights: readonly string[] }>`
    select t.name, t.rights from (
      select c.relname as name,
        array(select w.wanted from unnest(array['truncate', 'references', 'trigger']) as w (wanted)
          where exists (select from ${bound} b
            where has_table_privilege(b.role, c.oid, w.wanted)
              or w.wanted = 'references' and has_any_column_privilege(b.role, c.oid, w.wanted))
        ) as rights
      from pg_class c where ${ours}
    ) t where t.rights <> '{}' order by t.name`
  return rows.map(({ name, rights }) => ({
    severity: 'problem',
    check: 'rights',
    message: `The application has ${rights.join(', ')} on ${name}, which no policy limits.`,
    remedy: `revoke ${rights.join(', ')} on mindglue.${name} from ${everybody};`,
  }))
}

/** Permissive policies are joined by OR: one that does not ask for the signed context opens the table. */
async function openPolicies(sql: Sql): Promise<readonly Finding[]> {
  const rows = await sql<{ name: string; table_name: string }>`
    select quote_ident(p.polname) as name, c.relname as table_name
    from pg_policy p join pg_class c on c.oid = p.polrelid
    where ${ours} and p.polpermissive
      and (coalesce(pg_get_expr(p.polqual, p.polrelid), 'context_') !~ 'context_'
        or coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'context_') !~ 'context_')
    order by 2, 1`
  return rows.map(({ name, table_name: table }) => ({
    severity: 'problem',
    check: 'policies',
    message: `The policy ${name} on ${table} does not ask for the signed context.`,
    remedy: `drop policy ${name} on mindglue.${table};`,
  }))
}

/**
 * A view runs with its owner's rights unless it says otherwise; a materialised one has no policies.
 * In other schemas those that the application may read, but the system's and those of extensions.
 */
async function openViews(sql: Sql): Promise<readonly Finding[]> {
  const rows = await sql<{ name: string; materialised: boolean }>`
    select format('%I.%I', n.nspname, c.relname) as name, c.relkind = 'm' as materialised
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('v', 'm')
      and n.nspname not in ('pg_catalog', 'information_schema')
      and (n.nspname = 'mindglue' or exists (select from ${bound} b
        where has_any_column_privilege(b.role, c.oid, 'select')))
      and not exists (select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
      and (c.relkind = 'm' or not coalesce(c.reloptions::text[] && array['security_invoker=true',
        'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'], false))
    order by 1`
  return rows.map(({ name, materialised }) => ({
    severity: 'problem',
    check: 'views',
    message: materialised
      ? `${name} is a materialised view: row-level security does not apply to it.`
      : `The view ${name} reads with its owner's rights.`,
    remedy: materialised
      ? `drop materialized view ${name};`
      : `alter view ${name} set (security_invoker = true);`,
  }))
}

interface DefinerRow {
  readonly schema: string
  /** Name and types of the arguments, as in `listedDefiners`. */
  readonly signature: string
  readonly pinned: boolean
  readonly unbound: boolean
  readonly for_everybody: boolean
}

/** Functions with their owner's rights, in any schema but the system's and those of extensions. */
async function definers(sql: Sql, everybody: string): Promise<readonly Finding[]> {
  const rows = await sql<DefinerRow>`
    select quote_ident(n.nspname) as schema,
      format('%I(%s)', p.proname, oidvectortypes(p.proargtypes)) as signature,
      exists (select from unnest(p.proconfig) s where s like 'search_path=%') as pinned,
      o.rolsuper or o.rolbypassrls as unbound,
      has_function_privilege('public', p.oid, 'execute') as for_everybody
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_roles o on o.oid = p.proowner
    where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
      and exists (select from ${bound} b where has_function_privilege(b.role, p.oid, 'execute'))
      and not exists (select from pg_depend d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    order by 1, 2`
  return rows.flatMap((row) => definerFindings(row, everybody))
}

function definerFindings(
  { schema, signature, pinned, unbound, for_everybody: forEverybody }: DefinerRow,
  everybody: string,
): readonly Finding[] {
  const name = `${schema}.${signature}`
  const problem = (what: string, remedy: string): readonly Finding[] => [
    {
      severity: 'problem',
      check: 'functions',
      message: `${name} runs with its owner's rights and ${what}.`,
      remedy,
    },
  ]
  if (schema !== 'mindglue' || !listedDefiners.has(signature)) {
    return problem('is none of ours', `revoke execute on function ${name} from ${everybody};`)
  }
  if (!pinned) {
    const remedy = `alter function ${name} set search_path = pg_catalog;`
    return problem('has no fixed search_path', remedy)
  }
  if (unbound) {
    const remedy = `alter function ${name} owner to mindglue_owner;`
    return problem('no policy binds that owner', remedy)
  }
  if (forEverybody) {
    const remedy = `revoke execute on function ${name} from public;`
    return problem('whoever logs in may run it', remedy)
  }
  return []
}
