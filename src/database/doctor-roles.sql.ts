/** What the roles that are put on, and never log in, must not be: their attributes hold after SET ROLE. */
import type { Sql } from './database.ts'
import type { Finding } from './finding.ts'

interface RoleRow {
  /** One of ours by its fixed name. */
  readonly name: string
  /** What `alter role` takes each attribute away with. */
  readonly attributes: readonly string[]
  /** Quoted names of the roles it was made a member of. */
  readonly roles: readonly string[]
}

/** One finding for each role that is more than the migrations made it. A few rows, no locks. */
export async function roleFindings(sql: Sql): Promise<readonly Finding[]> {
  const rows = await sql<RoleRow>`
    select r.rolname as name,
      array(select a.taken_away from (values (r.rolsuper, 'nosuperuser'),
          (r.rolbypassrls, 'nobypassrls'), (r.rolcreaterole, 'nocreaterole'),
          (r.rolcreatedb, 'nocreatedb'), (r.rolreplication, 'noreplication'),
          (r.rolcanlogin, 'nologin')) as a (is_set, taken_away)
        where a.is_set) as attributes,
      array(select quote_ident(o.rolname) from pg_auth_members m join pg_roles o on o.oid = m.roleid
        where m.member = r.oid order by 1) as roles
    from pg_roles r where r.rolname in ('mindglue_owner', 'mindglue_job', 'mindglue_audit')
    order by 1`
  return rows.flatMap(({ name, attributes, roles }) => [
    ...(attributes.length === 0
      ? []
      : [
          finding(
            `The role ${name} must be ${attributes.join(' ')}: its attributes hold for whoever puts it on.`,
            `alter role ${name} ${attributes.join(' ')};`,
          ),
        ]),
    ...(roles.length === 0
      ? []
      : [
          finding(
            `The role ${name} is a member of ${roles.join(', ')}: it has rights that are not its own.`,
            `revoke ${roles.join(', ')} from ${name};`,
          ),
        ]),
  ])
}

const finding = (message: string, remedy: string): Finding => ({
  severity: 'problem',
  check: 'roles',
  message,
  remedy,
})
