/** A second namespace with a copy of every row of the first, for as long as one statement runs. */
import type { OwnerDatabase, Sql } from '../../../src/database/database.ts'

export interface Seen {
  readonly state: string | null
  readonly rows: readonly unknown[]
  readonly changed: Readonly<Record<string, number>>
}

/**
 * Creates `public.beside_twin`, which runs a statement with its owner's rights, an administrator's: no policy
 * binds it. `twin`: the namespace that has the copies meanwhile; null: none. `is_other`: the
 * twin then goes on to differ where existence matters: it has what the first one lacks. Everything is undone.
 */
export async function installTwin(owner: OwnerDatabase): Promise<void> {
  await owner.ownerTransaction((_, script) =>
    script(`
      create function public.make_empty(own bigint, emptied text) returns void
      language plpgsql volatile security definer set search_path = mindglue, public as $$
      declare name text;
      begin
        if emptied = 'renewed' then
          update confirmations set expires_at = '2100-01-01' where namespace = own;
          update idempotency_keys set created_at = '2100-01-01' where namespace = own;
          return;
        end if;
        if emptied = 'retired' then
          -- Memories of which no version is current, as an import may leave them.
          update memories set is_current = false where namespace = own;
          return;
        end if;
        foreach name in array case when emptied = 'all'
          then array['postings', 'mentions', 'entities', 'embeddings', 'sealed_embeddings', 'memory_keys', 'memories',
            'confirmations', 'idempotency_keys', 'grants', 'feedback', 'partitioned_embeddings']
          else array[emptied] end
        loop
          if to_regclass(name) is not null then
            execute format('delete from %I where namespace = $1', name) using own;
          end if;
        end loop;
      end
      $$;
      create function public.make_other(own bigint, twin bigint) returns void
      language plpgsql volatile security definer set search_path = mindglue, public as $$
      begin
        update memories set expires_at = '2000-01-01', needs_embedding = true, quarantine = 0
          where namespace = twin;
        update confirmations set expires_at = '2000-01-01' where namespace = twin;
        update idempotency_keys set created_at = '2000-01-01' where namespace = twin;
        insert into memories select (jsonb_populate_record(m, jsonb_build_object('namespace', twin,
            'version', m.version + 1000, 'is_current', false, 'document', (400000000 + row_number() over (order by m.document)) * sign(m.document + 0.5)))).*
          from memories m where m.namespace = own;
        insert into memories select (jsonb_populate_record(m, jsonb_build_object('namespace', twin, 'id', a.id,
            'document', 500000000 + a.place, 'access', 'shared', 'readers', null, 'is_current', true,
            'valid_to', null, 'dedupe_key', sha256(a.id::text::bytea)))).*
          from (select distinct on (r.id) r.id, row_number() over () as place from audit_events e
            cross join unnest(e.resource_ids) as r (id)
            where e.namespace = own and not exists (
              select from memories k where k.namespace = twin and k.id = r.id)) a
          cross join memories m
          where m.ctid = (select o.ctid from memories o where o.namespace = own limit 1);
        update memories t set is_current = true where t.namespace = twin
          and t.version = (select max(v.version) from memories v where v.namespace = twin and v.id = t.id)
          and not exists (select from memories c where c.namespace = twin and c.is_current
            and (c.id = t.id or c.dedupe_key = t.dedupe_key));
        insert into grants (namespace, id, grantee, namespace_name, grantee_name, created_by)
          values (twin, gen_random_uuid(), twin + 1, 'twin', 'other', 'root');
        insert into memory_keys select twin, m.id, m.version, 1, 1, '\\x00' from memories m
          where m.namespace = own on conflict do nothing;
        insert into sealed_embeddings select twin, m.document, '\\x00' from memories m
          where m.namespace = own on conflict do nothing;
        insert into embeddings select twin, m.document, v.embedding from memories m
          cross join (select embedding from embeddings where namespace = own limit 1) v
          where m.namespace = own on conflict do nothing;
        insert into feedback select distinct twin, m.id, 'ada', 'helpful', now() from memories m
          where m.namespace = own on conflict do nothing;
        insert into mentions select twin, e.entity, m.document from memories m cross join entities e
          where m.namespace = own and e.namespace = own on conflict do nothing;
        insert into postings select twin, t.term, m.document, 1, 1 from memories m
          cross join (select distinct ('x' || encode(substr(o.tag_terms, i.item * 8 + 1, 8), 'hex'))::bit(64)::bigint
            as term from memories o cross join generate_series(0, length(o.tag_terms) / 8 - 1) as i (item)
            where o.namespace = own) t
          where m.namespace = own on conflict do nothing;
      end
      $$;
      create function public.beside_twin(statement text, own bigint, twin bigint, is_other boolean,
        emptied text) returns jsonb
      language plpgsql volatile security definer set search_path = mindglue, public as $$
      declare
        before jsonb;
        found record;
        rows jsonb := '[]';
        state text;
        part record;
        is_made boolean := false;
      begin
        begin
          if twin is not null then
            perform set_config('session_replication_role', 'replica', true);
            for part in
              select c.oid::regclass::text as name, c.relname,
                (select string_agg(quote_ident(a.attname), ', ') from pg_attribute a
                  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                    and a.attname <> 'namespace' and (a.attname <> 'grantee')) as columns
              from pg_class c
              join pg_attribute n on n.attrelid = c.oid and n.attname = 'namespace'
              where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p')
                and not c.relispartition
                and c.relname not in ('namespace_names', 'api_keys', 'account_members', 'account_invitations', 'due')
            loop
              if part.relname = 'grants' then
                execute format('insert into grants (namespace, grantee, %1$s) select $1, $1 + 1, %1$s from grants
                  where namespace = $2 or grantee = $2', part.columns) using twin, own;
              else
                execute format('insert into %1$s (namespace, %2$s) select $1, %2$s from %1$s where namespace = $2',
                  part.name, part.columns) using twin, own;
              end if;
            end loop;
            if is_other then
              perform public.make_other(own, twin);
            end if;
          end if;
          if emptied <> '' then
            perform set_config('session_replication_role', 'replica', true);
            perform public.make_empty(own, emptied);
          end if;
          perform set_config('session_replication_role', 'origin', true);
          is_made := true;
          before := public.replay_counts();
          begin
            for found in execute statement loop
              rows := rows || jsonb_build_array(to_jsonb(found));
            end loop;
          exception when invalid_cursor_definition then
            execute statement;
          end;
          select coalesce(jsonb_object_agg(a.key, a.value::int - coalesce((before ->> a.key)::int, 0)), '{}')
            into before
          from jsonb_each_text(public.replay_counts()) a
          where a.value::int <> coalesce((before ->> a.key)::int, 0);
          raise exception 'undone' using errcode = 'ZZ999';
        exception when others then
          if not is_made then
            raise;
          end if;
          if sqlstate <> 'ZZ999' then
            state := sqlstate;
            rows := '[]';
            before := '{}';
          end if;
        end;
        return jsonb_build_object('state', state, 'rows', rows, 'changed', before);
      end
      $$`),
  )
}

/** How the two namespaces are before a statement runs. */
export interface Beside {
  /** Has the copies; null: there is none. */
  readonly twin: bigint | null
  /** The twin differs where existence matters. */
  readonly isOther: boolean
  /** A table of which the first namespace has no rows left, or all of them; empty: it has its rows. */
  readonly emptied: string
}

/** What a statement does in that state. */
export async function besideTwin(
  sql: Sql,
  own: bigint,
  text: string,
  { twin, isOther, emptied }: Beside,
): Promise<string> {
  const [row] = await sql<{ seen: string }>`
    select public.beside_twin(${text}, ${own}::bigint, ${twin}::bigint, ${isOther}::boolean,
      ${emptied})::text as seen`
  if (row === undefined) throw new TypeError('no answer')
  return comparable(row.seen)
}

/** Rows in any order: nothing promises one among equals. */
function comparable(text: string): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- public.beside_twin makes this shape
  const { state, rows, changed } = JSON.parse(text) as Seen
  // Where a row lies is no part of what it says.
  const texts = rows.map((row) => JSON.stringify(row).replaceAll(/"\(\d+,\d+\)"/gu, '"(0,0)"'))
  return JSON.stringify([state, texts.toSorted(), changed])
}
