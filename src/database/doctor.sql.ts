/** Finds what makes a Postgres set-up unsafe: versions with holes, rights too wide, tables left open. */
import type { Database, Sql } from './database.ts'

/** One thing that is wrong, why it matters, and what mends it. */
export interface Finding {
  /** `problem`: isolation or data is at risk and the program must not serve. */
  readonly severity: 'problem' | 'warning'
  readonly check: string
  readonly message: string
  /** A command or statement that mends it. */
  readonly remedy: string
}

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
/** CVE-2026-3172: a parallel HNSW build leaks rows of other relations, fixed in 0.8.2. */
const safeVectorVersion = [0, 8, 2] as const

/** Every function that may run with its owner's rights; held to the migrations by a test. */
const listedDefiners: ReadonlySet<string> = new Set([
  'audit_append',
  'context_agent',
  'context_namespace',
  'context_sees_all',
  'context_sees_quarantined',
  'due_add',
  'due_done',
  'due_page',
  'namespace_find',
  'namespace_page',
  'namespace_register',
  'namespace_unregister',
  'root_key_add',
  'root_key_remove',
  'root_keys_known',
  'verified_context',
])

/**
 * Inspects the database with the rights of the given login, the one that serves. Read only, a few
 * catalogue queries. Returns nothing on the embedded engine: there the program is the only user, a
 * superuser by design, and its policies guard against our own mistakes alone.
 */
export async function inspectDatabase(database: Database): Promise<readonly Finding[]> {
  if (database.dialect.engine === 'embedded') return []
  return await database.transaction({ readOnly: true }, async (sql) => [
    ...(await versions(sql)),
    ...(await login(sql)),
    ...(await openTables(sql)),
    ...(await openViews(sql)),
    ...(await definers(sql)),
  ])
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
  const parts = version.split('.').map(Number)
  const order = safeVectorVersion
    .map((wanted, index) => (parts[index] ?? 0) - wanted)
    .find((difference) => difference !== 0)
  if (order === undefined || order > 0) return []
  return [
    {
      severity: 'problem',
      check,
      message: `pgvector ${version} can leak rows of other tables (CVE-2026-3172).`,
      remedy: 'Install pgvector 0.8.2 or newer, then: alter extension vector update;',
    },
  ]
}

/** Rights of the login that serves. One row, no locks. */
async function login(sql: Sql): Promise<readonly Finding[]> {
  const [row] = await sql<LoginRow>`
    select r.rolname as name, r.rolsuper as superuser, r.rolbypassrls as bypasses_policies,
      r.rolcreaterole as creates_roles,
      coalesce((select pg_has_role(current_user, o.oid, 'member') from pg_roles o
        where o.rolname = 'mindglue_owner'), false) as owns,
      coalesce(has_schema_privilege(to_regnamespace('mindglue'), 'create'), false) as creates
    from pg_roles r where r.rolname = current_user`
  if (row === undefined) return []
  const remedy = 'Let DATABASE_URL name mindglue_app, the login that mindglue migrate prepares.'
  const wrong = [
    [row.superuser, 'is a superuser: row-level security does not bind it'],
    [row.bypasses_policies, 'has BYPASSRLS: row-level security does not bind it'],
    [row.owns, 'is a member of mindglue_owner: it could take policies away'],
    [row.creates_roles, 'may create roles: it could give itself more rights'],
    [row.creates, 'may create objects in the schema mindglue'],
  ] as const
  // A superuser is everything below as well; one finding says it.
  const found = wrong.find(([isWrong]) => isWrong)
  if (found === undefined) return []
  const message = `The login of DATABASE_URL, ${row.name}, ${found[1]}.`
  return [{ severity: 'problem', check: 'login', message, remedy }]
}

interface LoginRow {
  readonly name: string
  readonly superuser: boolean
  readonly bypasses_policies: boolean
  readonly creates_roles: boolean
  readonly owns: boolean
  readonly creates: boolean
}

/**
 * Tables the application may touch without a policy that binds even their owner. `migrations` holds
 * names of files and no memory. TRUNCATE is not held by policies, so nobody but the owner may have it.
 */
async function openTables(sql: Sql): Promise<readonly Finding[]> {
  const rows = await sql<{ name: string; forced: boolean; truncatable: boolean }>`
    select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as forced,
      has_table_privilege('mindglue_app', c.oid, 'truncate') as truncatable
    from pg_class c
    where c.relnamespace = to_regnamespace('mindglue') and c.relkind in ('r', 'p')
      and c.relname <> 'migrations'
      and exists (select from pg_roles where rolname = 'mindglue_app')
      and has_table_privilege('mindglue_app', c.oid, 'select, insert, update, delete, truncate')
      and (not c.relrowsecurity or not c.relforcerowsecurity
        or has_table_privilege('mindglue_app', c.oid, 'truncate'))
    order by c.relname`
  return rows.map(({ name, forced, truncatable }) => ({
    severity: 'problem',
    check: 'row-level security',
    message: truncatable
      ? `The application may truncate ${name}, which no policy prevents.`
      : `Row-level security is not ${forced ? 'complete' : 'enabled and forced'} on ${name}.`,
    remedy: truncatable
      ? `revoke truncate on mindglue.${name} from mindglue_app;`
      : `alter table mindglue.${name} enable row level security, force row level security;`,
  }))
}

/** A view runs with its owner's rights unless it says otherwise; a materialised one has no policies. */
async function openViews(sql: Sql): Promise<readonly Finding[]> {
  const rows = await sql<{ name: string; materialised: boolean }>`
    select c.relname as name, c.relkind = 'm' as materialised
    from pg_class c
    where c.relnamespace = to_regnamespace('mindglue') and c.relkind in ('v', 'm')
      and (c.relkind = 'm' or not coalesce(c.reloptions::text[] && array['security_invoker=true',
        'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'], false))
    order by c.relname`
  return rows.map(({ name, materialised }) => ({
    severity: 'problem',
    check: 'views',
    message: materialised
      ? `${name} is a materialised view: row-level security does not apply to it.`
      : `The view ${name} reads with its owner's rights.`,
    remedy: materialised
      ? `drop materialized view mindglue.${name};`
      : `alter view mindglue.${name} set (security_invoker = true);`,
  }))
}

/** Functions with their owner's rights, in any schema but the system's and those of extensions. */
async function definers(sql: Sql): Promise<readonly Finding[]> {
  const rows = await sql<{ schema: string; name: string; arguments: string; pinned: boolean }>`
    select n.nspname as schema, p.proname as name,
      pg_get_function_identity_arguments(p.oid) as arguments,
      exists (select from unnest(p.proconfig) s where s like 'search_path=%') as pinned
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
      and has_function_privilege(p.oid, 'execute')
      and not exists (select from pg_depend d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    order by n.nspname, p.proname`
  return rows
    .filter(({ schema, name, pinned }) => {
      const isListed = schema === 'mindglue' && listedDefiners.has(name)
      return !isListed || !pinned
    })
    .map((row) => definerFinding(`${row.schema}.${row.name}(${row.arguments})`, row.pinned))
}

function definerFinding(signature: string, isPinned: boolean): Finding {
  return {
    severity: 'problem',
    check: 'functions',
    message: isPinned
      ? `${signature} runs with its owner's rights and is none of ours.`
      : `${signature} runs with its owner's rights and has no fixed search_path.`,
    remedy: `revoke execute on function ${signature} from public, mindglue_app;`,
  }
}
