/** Every guard of the database, found in its catalogue, with the SQL that takes it away. */
import type { Sql } from '../../../src/database/database.ts'
import { functionGuards, policyGuards } from './guard-patterns.ts'

export interface Mutant {
  readonly kind: string
  readonly name: string
  /** Tables, functions or constraints whose probes are asked first. */
  readonly about: readonly string[]
  readonly sql: string
  /** The same without one more guard of its function: where two say the same, each holds without the other. */
  readonly doubled?: readonly { readonly other: string; readonly both: string }[]
}

/** What the schema of `sql` holds; partitions, which namespaces make as they grow, included. */
export async function databaseMutants(sql: Sql): Promise<readonly Mutant[]> {
  return [
    ...(await policies(sql)),
    ...(await forces(sql)),
    ...(await tableRights(sql)),
    ...(await columnRights(sql)),
    ...(await functionRights(sql)),
    ...(await triggers(sql)),
    ...(await constraints(sql)),
    ...(await functionTexts(sql)),
  ]
}

interface PolicyRow {
  readonly name: string
  readonly table_name: string
  readonly using: string | null
  readonly check: string | null
}

async function policies(sql: Sql): Promise<Mutant[]> {
  const rows = await sql<PolicyRow>`
    select p.polname as name, c.relname as table_name, pg_get_expr(p.polqual, p.polrelid) as using,
      pg_get_expr(p.polwithcheck, p.polrelid) as check
    from pg_policy p join pg_class c on c.oid = p.polrelid
    where c.relnamespace = 'mindglue'::regnamespace order by 2, 1`
  return rows.flatMap(({ name, table_name: table, using, check }) => {
    const on = `${name} on mindglue.${table}`
    const about = [table]
    const clauses = [
      ['using', using],
      ['with check', check],
    ] as const
    const dropped = { kind: 'policy dropped', name: on, about, sql: `drop policy ${on}` }
    const weaker = clauses.flatMap(([clause, text]) =>
      text === null
        ? []
        : [
            {
              kind: 'policy opened',
              name: `${on}: ${clause}`,
              about,
              sql: `alter policy ${on} ${clause} (true)`,
            },
            ...policyGuards.flatMap(({ kind, pattern, instead }) =>
              sitesOf(text, pattern, instead).map(({ found, without }, index) => ({
                kind,
                name: `${on}: ${clause}, ${index + 1}. ${found}`,
                about,
                sql: `alter policy ${on} ${clause} (${without})`,
              })),
            ),
          ],
    )
    return [dropped, ...weaker]
  })
}

/** Each match of a pattern with the text in which `true` or another text stands for it. */
export function sitesOf(
  text: string,
  pattern: RegExp,
  instead: string,
): { readonly found: string; readonly without: string }[] {
  return [...text.matchAll(pattern)].map((match) => {
    const [found] = match
    const after = text.slice(match.index + found.length)
    return { found, without: text.slice(0, match.index) + instead + after }
  })
}

async function forces(sql: Sql): Promise<Mutant[]> {
  const rows = await sql<{ name: string }>`
    select c.relname as name from pg_class c
    where c.relnamespace = 'mindglue'::regnamespace and c.relforcerowsecurity order by 1`
  return rows.flatMap(({ name }) =>
    [
      ['FORCE', 'no force row level security'],
      ['ENABLE', 'disable row level security'],
    ].map(([kind = '', change = '']) => ({
      kind,
      name,
      about: [name],
      sql: `alter table mindglue.${name} ${change}`,
    })),
  )
}

async function tableRights(sql: Sql): Promise<Mutant[]> {
  const rows = await sql<{ role: string; name: string; verb: string }>`
    select r.role, c.relname as name, v.verb from pg_class c
    cross join unnest(array['mindglue_app', 'mindglue_job', 'mindglue_audit', 'public']) as r (role)
    cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'])
      as v (verb)
    where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and not has_table_privilege(r.role, c.oid, v.verb)
    order by 1, 2, 3`
  const places = ['mindglue', 'public'].flatMap((schema) =>
    ['mindglue_app', 'mindglue_job', 'mindglue_audit', 'public'].map((role) => ({
      kind: 'right on a schema',
      name: `create in ${schema} for ${role}`,
      about: ['rights'],
      sql: `grant create on schema ${schema} to ${role}`,
    })),
  )
  return [
    ...rows.map(({ role, name, verb }) => ({
      kind: 'right on a table',
      name: `${verb} on ${name} for ${role}`,
      about: ['rights', name],
      sql: `grant ${verb} on mindglue.${name} to ${role}`,
    })),
    ...places,
  ]
}

/** Where a role may write some columns, each of the others. */
async function columnRights(sql: Sql): Promise<Mutant[]> {
  const rows = await sql<{ role: string; name: string; column: string }>`
    select r.role, c.relname as name, a.attname as column from pg_class c
    cross join unnest(array['mindglue_app', 'mindglue_job']) as r (role)
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'mindglue'::regnamespace and has_any_column_privilege(r.role, c.oid, 'update')
      and not has_column_privilege(r.role, c.oid, a.attnum, 'update')
    order by 1, 2, 3`
  return rows.map(({ role, name, column }) => ({
    kind: 'right on a column',
    name: `update (${column}) on ${name} for ${role}`,
    about: ['rights', name],
    sql: `grant update (${column}) on mindglue.${name} to ${role}`,
  }))
}

async function functionRights(sql: Sql): Promise<Mutant[]> {
  const rows = await sql<{ signature: string; name: string; role: string }>`
    select p.oid::regprocedure::text as signature, p.proname as name, r.role from pg_proc p
    cross join unnest(array['mindglue_app', 'mindglue_job', 'mindglue_audit', 'public']) as r (role)
    where p.pronamespace = 'mindglue'::regnamespace
      and not has_function_privilege(r.role, p.oid, 'execute')
    order by 1, 3`
  const unpinned = [...new Map(rows.map((row) => [row.signature, row])).values()]
  return [
    ...rows.map(({ signature, name, role }) => ({
      kind: 'right on a function',
      name: `execute of ${name} for ${role}`,
      about: ['rights', name],
      sql: `grant execute on function ${signature} to ${role}`,
    })),
    ...unpinned.map(({ signature, name }) => ({
      kind: 'search_path',
      name: signature,
      about: ['rights', name],
      sql: `alter function ${signature} reset search_path`,
    })),
  ]
}

async function triggers(sql: Sql): Promise<Mutant[]> {
  const rows = await sql<{ name: string; table_name: string }>`
    select t.tgname as name, c.relname as table_name from pg_trigger t
    join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = 'mindglue'::regnamespace and not t.tgisinternal order by 2, 1`
  return rows.map(({ name, table_name: table }) => ({
    kind: 'trigger',
    name: `${name} on ${table}`,
    about: [table],
    sql: `drop trigger ${name} on mindglue.${table}`,
  }))
}

async function constraints(sql: Sql): Promise<Mutant[]> {
  const rows = await sql<{ name: string; table_name: string }>`
    select n.conname as name, c.relname as table_name from pg_constraint n
    join pg_class c on c.oid = n.conrelid
    where n.connamespace = 'mindglue'::regnamespace and n.contype in ('c', 'f')
      and not c.relispartition order by 2, 1`
  return rows.map(({ name, table_name: table }) => ({
    kind: 'check or foreign key',
    name: `${name} on ${table}`,
    about: [name],
    sql: `alter table mindglue.${table} drop constraint ${name}`,
  }))
}

/** Conditions in the text of functions. */
async function functionTexts(sql: Sql): Promise<Mutant[]> {
  const rows = await sql<{ name: string; text: string }>`
    select p.proname as name, pg_get_functiondef(p.oid) as text from pg_proc p
    where p.pronamespace = 'mindglue'::regnamespace order by p.oid::regprocedure::text`
  return rows.flatMap(({ name, text }) => {
    const start = text.indexOf('AS $function$')
    const [head, body] = [text.slice(0, start), text.slice(start)]
    return functionGuards.flatMap(({ kind, pattern, instead }) => {
      const sites = sitesOf(body, pattern, instead)
      return sites.map(({ found, without }, index) => ({
        kind,
        name: `${name}, ${index + 1}. ${found}`,
        about: [name],
        sql: head + without,
        ...(kind === 'scope in a function' && {
          doubled: sites.flatMap((_, other) => {
            if (other === index) return []
            const [low, high] = [Math.min(index, other), Math.max(index, other)]
            // From the end, so that the first keeps its place.
            const late = sites[high]?.without ?? ''
            const both = sitesOf(late, pattern, instead)[low]?.without ?? late
            return [{ other: head + (sites[other]?.without ?? ''), both: head + both }]
          }),
        }),
      }))
    })
  })
}
