/** What the doctor asks of partitions and vector indexes: nothing reaches the rows of one namespace but its own. */
import { fragment, type Sql } from './database.ts'
import type { Finding } from './finding.ts'

const partitions = fragment`pg_inherits i join pg_class c on c.oid = i.inhrelid
  join pg_class parent on parent.oid = i.inhparent
  where parent.relkind = 'p' and parent.relnamespace = to_regnamespace('mindglue')`

/**
 * A partition is read through its parent, under the parent's policies. By itself it has policies as well
 * and nobody but its owner has a right to it, so that no statement can name it instead.
 */
export async function partitionFindings(sql: Sql, everybody: string): Promise<readonly Finding[]> {
  const rows = await sql<{ name: string; forced: boolean; granted: boolean }>`
    select p.name, p.forced, p.granted from (
      select format('mindglue.%I', c.relname) as name,
        c.relrowsecurity and c.relforcerowsecurity
          and exists (select from pg_policy y where y.polrelid = c.oid) as forced,
        exists (select from aclexplode(c.relacl) a where a.grantee <> c.relowner) as granted
      from ${partitions}
    ) p where not p.forced or p.granted order by p.name`
  return rows.map(({ name, forced }) => ({
    severity: 'problem',
    check: 'partitions',
    message: forced
      ? `The partition ${name} may be touched past its parent.`
      : `Row-level security is not enabled and forced on the partition ${name}.`,
    remedy: forced
      ? `revoke all on ${name} from ${everybody};`
      : `alter table ${name} enable row level security, force row level security;`,
  }))
}

/** An index over the vectors of several namespaces tells one how dense the others are, and misses rows. */
export async function vectorIndexFindings(sql: Sql): Promise<readonly Finding[]> {
  const rows = await sql<{ name: string; relation: string }>`
    select format('mindglue.%I', index_class.relname) as name, c.relname as relation
    from pg_index x join pg_class c on c.oid = x.indrelid
      join pg_class index_class on index_class.oid = x.indexrelid
      join pg_am m on m.oid = index_class.relam
    where m.amname in ('hnsw', 'ivfflat') and c.relnamespace = to_regnamespace('mindglue')
      and not exists (select from pg_inherits i
        where i.inhrelid = c.oid and i.inhparent = to_regclass('mindglue.partitioned_embeddings'))
    order by 1`
  return rows.map(({ name, relation }) => ({
    severity: 'problem',
    check: 'vector indexes',
    message: `The index ${name} spans the namespaces of ${relation}.`,
    remedy: `drop index ${name};`,
  }))
}
