/** Who has which right on what, as it is meant: everything that is not written here is refused. */
import type { Sql } from '../../../src/database/database.ts'

type Rights = Readonly<Record<string, string>>

/** s select, i insert, u update, d delete. Of a job's updates the columns. */
const ofAll = 'sidu'
export const appRights: Rights = {
  migrations: 's',
  audit_events: 's',
  confirmations: 'sid',
  grants: 'si u(revoked_at)',
  vector_partitions: 'sd',
  embeddings: ofAll,
  entities: ofAll,
  feedback: ofAll,
  idempotency_keys: ofAll,
  memories: ofAll,
  memory_keys: ofAll,
  mentions: ofAll,
  namespace_keys: ofAll,
  namespaces: ofAll,
  partitioned_embeddings: ofAll,
  postings: ofAll,
  sealed_embeddings: ofAll,
}
export const jobRights: Rights = {
  confirmations: 'sd',
  embeddings: ofAll,
  entities: 'sd u(epoch,key_id,key_token,kind)',
  feedback: 'sd',
  grants: 'sd',
  idempotency_keys: 'sd',
  memories: 'sd u(needs_embedding,terms)',
  memory_keys: 'sd u(epoch,key_id,token)',
  mentions: 'sd',
  namespace_keys: 's',
  namespaces:
    's u(byte_count,common_terms,counted_at,document_count,mean_length,memory_count,revision)',
  partitioned_embeddings: ofAll,
  postings: 'sd',
  sealed_embeddings: ofAll,
  vector_partitions: 'sd u(state)',
}
const auditRights: Rights = { audit_events: 'i' }

/** Functions that a job alone may call, and those that both roles may. All others: the application alone. */
const jobFunctions = [
  'context_is_job',
  'due_done',
  'due_page',
  'namespace_erase',
  'namespace_erase_events',
  'namespace_forsake',
  'namespace_page',
  'root_key_remove',
  'vector_partition_build',
  'vector_partition_drop',
]
const sharedFunctions = [
  'audit_append',
  'context_agent',
  'context_granted_home',
  'context_granted_kinds',
  'context_granted_mark',
  'context_is_own',
  'context_namespace',
  'context_reader',
  'context_reads',
  'context_sees_all',
  'context_sees_quarantined',
  'due_add',
  'holds_mark',
]
const auditFunctions = ['audit_append', 'context_agent', 'context_namespace', 'context_sees_all']
/** Everybody's: it says what the server is, and nothing of any namespace. */
const publicFunctions = ['session_names_hidden']
/** Nobody's: what triggers and other functions call with their owner's rights. */
const innerFunctions = [
  'context_is_directory',
  'keep_access',
  'keep_instructions',
  'keep_namespace',
  'keep_trust',
  'live_grant',
  'mirror_embeddings',
  'verified_context',
]

const meant: readonly (readonly [role: string, rights: Rights])[] = [
  ['mindglue_app', appRights],
  ['mindglue_job', jobRights],
  ['mindglue_audit', auditRights],
  ['public', {}],
]

/** Rights that are held and not meant, or meant and not held, and functions whose names are not pinned. */
export async function wrongRights(sql: Sql): Promise<string[]> {
  return [
    ...(await wrongTables(sql)),
    ...(await wrongFunctions(sql)),
    ...(await wrongPlaces(sql)),
    ...(await unpinned(sql)),
  ]
}

async function wrongTables(sql: Sql): Promise<string[]> {
  const held = await sql<{ role: string; name: string; rights: string; columns: string }>`
    select r.role, c.relname as name,
      concat_ws('', case when has_table_privilege(r.role, c.oid, 'select') then 's' end,
        case when has_table_privilege(r.role, c.oid, 'insert') then 'i' end,
        case when has_table_privilege(r.role, c.oid, 'delete') then 'd' end,
        case when has_table_privilege(r.role, c.oid, 'update') then 'u' end,
        case when has_table_privilege(r.role, c.oid, 'truncate, references, trigger') then '!' end
      ) as rights,
      (select string_agg(w.verb || '(' || a.attname || ')', ' ' order by w.verb, a.attname::text collate "C")
        from pg_attribute a cross join unnest(array['select', 'insert', 'update', 'references']) as w (verb)
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and has_column_privilege(r.role, c.oid, a.attnum, w.verb)
          and not has_table_privilege(r.role, c.oid, w.verb)) as columns
    from pg_class c cross join unnest(array['mindglue_app', 'mindglue_job', 'mindglue_audit', 'public'])
      as r (role)
    where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')`
  return held.flatMap(({ role, name, rights, columns }) => {
    const has = [rights, columns].filter(Boolean).join(' ')
    const wanted = meantFor(role, name)
    return has === wanted ? [] : [`${role} on ${name}: ${has} and not ${wanted}`]
  })
}

function meantFor(role: string, table: string): string {
  const text = meant.find(([name]) => name === role)?.[1][table] ?? ''
  const [verbs = '', columns = ''] = text.split(' ')
  const updates = /^(?:(?<more>[sid]*)|u\((?<names>.*)\))$/u
  const names = updates.exec(columns)?.groups?.['names']
  const sorted = 'sidu!'
    .split('')
    .filter((verb) => verbs.includes(verb))
    .join('')
  const listed = names?.split(',').map((name) => `update(${name})`)
  return [sorted, ...(listed ?? [])].filter(Boolean).join(' ')
}

async function wrongFunctions(sql: Sql): Promise<string[]> {
  const held = await sql<{ name: string; roles: string[] }>`
    select p.proname as name, array(select r.role
      from unnest(array['mindglue_app', 'mindglue_audit', 'mindglue_job', 'public']) as r (role)
      where has_function_privilege(r.role, p.oid, 'execute')) as roles
    from pg_proc p where p.pronamespace = 'mindglue'::regnamespace`
  return held.flatMap(({ name, roles }) => {
    const wanted = callersOf(name).join()
    return roles.join() === wanted ? [] : [`${name}: for ${roles.join()} and not ${wanted}`]
  })
}

function callersOf(name: string): readonly string[] {
  if (innerFunctions.includes(name)) return []
  if (publicFunctions.includes(name)) {
    return ['mindglue_app', 'mindglue_audit', 'mindglue_job', 'public']
  }
  if (jobFunctions.includes(name)) return ['mindglue_job']
  const audit = auditFunctions.includes(name) ? ['mindglue_audit'] : []
  const job = sharedFunctions.includes(name) ? ['mindglue_job'] : []
  return ['mindglue_app', ...audit, ...job]
}

/** Nobody of ours makes an object anywhere. */
async function wrongPlaces(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }>`
    select r.role || ' in ' || n.nspname as name from pg_namespace n
    cross join unnest(array['mindglue_app', 'mindglue_job', 'mindglue_audit', 'public']) as r (role)
    where n.nspname in ('mindglue', 'public') and has_schema_privilege(r.role, n.oid, 'create')`
  return rows.map(({ name }) => `${name} may create`)
}

async function unpinned(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }>`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace = 'mindglue'::regnamespace
      and not coalesce('search_path=pg_catalog' = any (p.proconfig), false)`
  return rows.map(({ name }) => `${name} has no fixed search_path`)
}
