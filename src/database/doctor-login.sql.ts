/** What the login that serves must not be able to do, whatever statement it is made to run. */
import type { Sql } from './database.ts'
import type { Finding } from './finding.ts'

interface LoginRow {
  readonly name: string
  readonly database: string
  readonly superuser: boolean
  readonly bypasses_policies: boolean
  readonly creates_roles: boolean
  readonly creates_databases: boolean
  readonly replicates: boolean
  /** Quoted names of the roles it belongs to, all the way up, but the one of jobs. */
  readonly roles: readonly string[]
  readonly creates_schemas: boolean
  readonly creates_temporary: boolean
  /** Quoted names of schemas it may make objects in, the system's excepted. */
  readonly writable_schemas: readonly string[]
  readonly owned: number
  readonly pinned: boolean
}

/** Rights of the login that serves, one finding for each that is too many. One row, no locks. */
export async function loginFindings(sql: Sql): Promise<readonly Finding[]> {
  const [row] = await sql<LoginRow>`
    select quote_ident(r.rolname) as name, quote_ident(current_database()) as database,
      r.rolsuper as superuser, r.rolbypassrls as bypasses_policies,
      r.rolcreaterole as creates_roles, r.rolcreatedb as creates_databases,
      r.rolreplication as replicates,
      array(select quote_ident(o.rolname) from pg_roles o
        where o.oid <> r.oid and o.rolname <> 'mindglue_job' and pg_has_role(r.oid, o.oid, 'member')
        order by 1) as roles,
      has_database_privilege(r.oid, current_database(), 'create') as creates_schemas,
      has_database_privilege(r.oid, current_database(), 'temporary') as creates_temporary,
      array(select quote_ident(n.nspname) from pg_namespace n
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
          and has_schema_privilege(r.oid, n.oid, 'create')
        order by 1) as writable_schemas,
      (select count(*)::int from pg_shdepend d
        where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o'
          and d.dbid in (0, (select b.oid from pg_database b where b.datname = current_database()))
      ) as owned,
      exists (select from pg_db_role_setting s cross join unnest(s.setconfig) as c (setting)
        where s.setrole = r.oid and c.setting = 'search_path=mindglue, public, pg_temp') as pinned
    from pg_roles r where r.rolname = current_user`
  if (row === undefined) return []
  // A superuser is everything below as well; one finding says it.
  if (row.superuser) {
    const remedy = 'Let DATABASE_URL name mindglue_app, the login that mindglue migrate prepares.'
    return [finding(row, 'is a superuser: row-level security does not bind it', remedy)]
  }
  return faults(row).flatMap(([isWrong, what, remedy]) =>
    isWrong ? [finding(row, what, remedy)] : [],
  )
}

function finding({ name }: LoginRow, what: string, remedy: string): Finding {
  const message = `The login of DATABASE_URL, ${name}, ${what}.`
  return { severity: 'problem', check: 'login', message, remedy }
}

type Fault = readonly [isWrong: boolean, what: string, remedy: string]

function faults(row: LoginRow): readonly Fault[] {
  const { name, database, roles, writable_schemas: schemas } = row
  return [
    [
      row.bypasses_policies,
      'has BYPASSRLS: row-level security does not bind it',
      `alter role ${name} nobypassrls;`,
    ],
    [
      row.creates_roles,
      'may create roles: it could give itself more rights',
      `alter role ${name} nocreaterole;`,
    ],
    [row.creates_databases, 'may create databases', `alter role ${name} nocreatedb;`],
    [
      row.replicates,
      'may replicate: it could read every change of every namespace',
      `alter role ${name} noreplication;`,
    ],
    [
      roles.length > 0,
      `is a member of ${roles.join(', ')}: it has rights that are not its own`,
      `revoke ${roles.join(', ')} from ${name};`,
    ],
    [
      row.owned > 0,
      `owns ${row.owned} objects: it could change what guards them`,
      `reassign owned by ${name} to mindglue_owner;`,
    ],
    [
      row.creates_schemas,
      'may create schemas',
      `revoke create on database ${database} from public, ${name};`,
    ],
    [
      row.creates_temporary,
      'may create temporary tables, which stand before ours in a shared session',
      `revoke temporary on database ${database} from public, ${name};`,
    ],
    [
      schemas.length > 0,
      `may create objects in the schema ${schemas.join(', ')}`,
      `revoke create on schema ${schemas.join(', ')} from public, ${name};`,
    ],
    [
      !row.pinned,
      'has no fixed search_path',
      `alter role ${name} set search_path = mindglue, public, pg_temp;`,
    ],
  ]
}
