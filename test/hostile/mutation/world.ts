/** Two namespaces with rows in every table, grants between them, a third one on its way out: what probes look at. */
import type { Sql } from '../../../src/database/database.ts'
import { jobPrincipal } from '../../../src/jobs/job-principal.ts'
import { openHostileGrants, type HostileGrants } from '../../support/hostile-grants.ts'
import { installCalls } from './lock-probes.ts'
import { installReplay } from '../../support/replay.ts'
import { inAnHour, raw } from '../../support/statements.ts'

/** A row's columns as text, and its primary key. */
export interface Row {
  readonly key: string
  readonly columns: Readonly<Record<string, string | null>>
}

export interface World extends HostileGrants {
  readonly homeId: string
  readonly readerId: string
  readonly leavingId: string
  /** The context of the directory. */
  readonly directory: string
  /** Rows of every table of the schema, as they lay when the world was made. */
  readonly rows: ReadonlyMap<string, readonly Row[]>
  /** SQL of a row's key in its table, of the row `t`. */
  readonly keys: ReadonlyMap<string, string>
  /** Runs as administrator and undoes everything. */
  undone<T>(work: (sql: Sql, script: (text: string) => Promise<void>) => Promise<T>): Promise<T>
}

export async function openWorld(): Promise<World> {
  const grants = await openHostileGrants()
  const { memory, home, giver, reader } = grants
  const { owner } = memory.test
  const leaving = await memory.principal({ namespaceName: 'leaving' })
  await memory.execute(
    memory.operations.store,
    { ...home, agent: 'eve' },
    { content: 'Eve was here.' },
  )
  const ids = { home: home.namespace, reader: reader.namespace, leaving: leaving.namespace }
  await owner.ownerTransaction((_, script) => script(furnish(ids, grants)))
  if (memory.test.engine === 'postgres') {
    for (const namespace of [home.namespace, reader.namespace]) {
      const job = jobPrincipal(namespace)
      await memory.test.scope.withJob(job, {}, (tx) => tx`select vector_partition_build()`)
    }
  }
  await installReplay(owner)
  await installCalls(owner)
  await owner.ownerTransaction((_, script) => script(partitionGuards))
  const undone: World['undone'] = async (work) => {
    const end = new Error('undone')
    let done: { value: Awaited<ReturnType<typeof work>> } | undefined
    await owner
      .ownerTransaction(async (sql, script) => {
        done = { value: await work(sql, script) }
        throw end
      })
      .catch((error: unknown) => {
        if (error !== end) throw error
      })
    if (done === undefined) throw new Error('the transaction did not run')
    return done.value
  }
  return {
    ...grants,
    giver,
    homeId: `${home.namespace}`,
    readerId: `${reader.namespace}`,
    leavingId: `${leaving.namespace}`,
    directory: grants.hostile.sign('', '', 'd', inAnHour(), ''),
    undone,
    ...(await undone(readAll)),
  }
}

async function readAll(sql: Sql): Promise<Pick<World, 'rows' | 'keys'>> {
  const tables = await sql<{ name: string; key: string }>`
    select c.relname as name, 'concat_ws(''/'', ' || (select string_agg('t.' || a.attname, ', ')
      from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
      where i.indrelid = c.oid and i.indisprimary) || ')' as key
    from pg_class c
    where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p') order by 1`
  const rows = new Map<string, readonly Row[]>()
  for (const { name, key } of tables) {
    const found = await sql<{ key: string; columns: string }>`
      select ${raw(key)} as key, (select jsonb_object_agg(e.key, e.value)
        from jsonb_each_text(to_jsonb(t)) e)::text as columns
      from ${raw(`mindglue.${name}`)} t order by 1`
    rows.set(
      name,
      found.map((row) => ({ key: row.key, columns: parseColumns(row.columns) })),
    )
  }
  return { rows, keys: new Map(tables.map(({ name, key }) => [name, key])) }
}

function parseColumns(text: string): Row['columns'] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- jsonb_each_text gives text or null
  return JSON.parse(text) as Row['columns']
}

/** A memory that the reader has and of which home has the traces alone. */
export const strayId = '01890000-0000-7000-8000-00000000d001'

/** What guards the partition that its caller has just built, and what the application and a job may do with it. */
const partitionGuards = `
  create function public.partition_guards(copied bigint) returns text language plpgsql volatile as $$
  declare part oid := to_regclass('mindglue.partitioned_embeddings_' || mindglue.context_namespace());
  begin
    return concat_ws('; ', copied,
      (select c.relrowsecurity || ' ' || c.relforcerowsecurity from pg_class c where c.oid = part),
      (select string_agg(a.attstattarget::text, ' ') from pg_attribute a where a.attname = 'embedding'
        and (a.attrelid = part or a.attrelid in (select i.indexrelid from pg_index i where i.indrelid = part))),
      (select string_agg(concat_ws(' ', p.polname, p.polcmd, pg_get_expr(p.polqual, part),
        pg_get_expr(p.polwithcheck, part)), ', ') from pg_policy p where p.polrelid = part),
      (select string_agg(r.role || ' ' || v.verb, ', ')
        from unnest(array['mindglue_app', 'mindglue_job', 'public']) as r (role)
        cross join unnest(array['select', 'insert', 'update', 'delete']) as v (verb)
        where has_table_privilege(r.role, part, v.verb)));
  end
  $$`

interface Ids {
  readonly home: bigint
  readonly reader: bigint
  readonly leaving: bigint
}

/** What operations would take long to bring about, in both namespaces the same. */
function furnish(
  { home, reader, leaving }: Ids,
  named: Pick<HostileGrants, 'memoryId' | 'grantId'>,
): string {
  const grantId = named.grantId('all')
  const [privateId = '', sharedId = '', factId = '', retiredId = '', earlierId = ''] = [
    'private',
    'shared',
    'fact',
    'retired',
    'earlier',
  ].map((name) => named.memoryId(name))
  const both = [home, reader]
  const each = (text: (namespace: bigint, index: number) => string): string =>
    both.map(text).join('\n')
  return `
    set local session_replication_role = replica;
    set local search_path = mindglue, public;
    update memories set readers = array['bob'] where id = '${privateId}';
    update memories set source_kind = 'user' where id = '${sharedId}';
    update memories set owner_agent = 'eve', access = 'private',
      document = -1000 where namespace = ${home} and owner_agent = 'eve';
    insert into postings values (${home}, 77, -1000, 1, 1);
    insert into embeddings select namespace, -1000, embedding from embeddings
      where namespace = ${home} limit 1;
    insert into sealed_embeddings select namespace, document, '\\x00' from embeddings;
    insert into mentions values (${home}, 77, -1000);
    insert into entities select ${reader}, entity, name, kind, key_id, epoch, key_token from entities
      where namespace = ${home};
    insert into mentions select m.namespace, 77, m.document from memories m where m.namespace = ${reader};
    -- One that is mentioned in another namespace alone.
    insert into entities select namespace, 900, '\\x39', kind, key_id, epoch, key_token from entities
      where namespace = ${home} limit 1;
    insert into mentions select m.namespace, 900, m.document from memories m where m.namespace = ${reader};
    -- Documents and an id that are another namespace's private memory, and nobody's here.
    insert into memories select (jsonb_populate_record(m, jsonb_build_object('id', '${strayId}',
      'document', -2000, 'access', 'private', 'dedupe_key', '\\xee'))).* from memories m
      where m.namespace = ${reader} limit 1;
    insert into postings values (${home}, 78, -2000, 1, 1);
    insert into embeddings select namespace, -2000, embedding from embeddings
      where namespace = ${home} limit 1;
    insert into sealed_embeddings values (${home}, -2000, '\\x00');
    insert into mentions values (${home}, 78, -2000);
    insert into memory_keys select namespace, '${strayId}', 1, key_id, epoch, token from memory_keys
      where namespace = ${home} limit 1;
    -- A key of a version that is not there, of a memory that is shown under grants.
    insert into memory_keys select namespace, id, 7, key_id, epoch, token from memory_keys
      where namespace = ${home} and id = '${factId}';
    insert into feedback select m.namespace, m.id, a.agent, 'helpful', now() from memories m
      cross join unnest(array['ada', 'bob', 'eve']) as a (agent) where m.is_current;
    insert into feedback values (${home}, '${strayId}', 'ada', 'wrong', now());
    -- Grants that one of the two gave, and none of them holds.
    insert into grants select (jsonb_populate_record(g, jsonb_build_object('id', gen_random_uuid(),
      'namespace', n.namespace, 'grantee', ${leaving}))).* from grants g
      cross join (values (${home}::bigint), (${reader}::bigint)) as n (namespace)
      where g.id = '${grantId}';
    ${each((namespace, index) =>
      ['ada', 'bob', 'eve']
        .map(
          (agent) => `
      insert into idempotency_keys values (${namespace}, '${agent}', 'store', '\\x0${index}', '\\x00', now(), '\\x00');
      insert into confirmations values (${namespace}, '\\x0${index}${Buffer.from(agent).toString('hex')}',
        '${agent}', 'forget', '\\x00', '\\x00', now() + interval '1 hour');`,
        )
        .join(''),
    )}
    insert into accounts (id, email, password_hash, totp_generation, totp_step) values
      ('01890000-0000-7000-8000-00000000a001', 'ada@example.org', 'hash', 1, 5),
      ('01890000-0000-7000-8000-00000000a002', 'bob@example.org', 'hash', 1, 5),
      ('01890000-0000-7000-8000-00000000a003', 'zoe@example.org', 'hash', 1, 5);
    insert into account_sessions (id, account, expires_at) values
      ('01890000-0000-7000-8000-00000000b001', '01890000-0000-7000-8000-00000000a001', now() + interval '1 hour'),
      ('01890000-0000-7000-8000-00000000b002', '01890000-0000-7000-8000-00000000a002', now() + interval '1 hour'),
      ('01890000-0000-7000-8000-00000000b003', '01890000-0000-7000-8000-00000000a001', now() - interval '1 minute');
    insert into account_networks (account, network) values
      ('01890000-0000-7000-8000-00000000a001', '\\x01'), ('01890000-0000-7000-8000-00000000a002', '\\x02');
    insert into account_mails (code_hash, kind, email, expires_at) values
      (decode(repeat('01', 32), 'hex'), 'reset', 'ada@example.org', now() + interval '1 hour'),
      (decode(repeat('02', 32), 'hex'), 'reset', 'ada@example.org', now() - interval '1 minute'),
      (decode(repeat('03', 32), 'hex'), 'reset', 'bob@example.org', now() + interval '1 hour');
    insert into account_delays values ('\\x01', 4, now(), now() + interval '1 hour'),
      ('\\x02', 4, now(), now() + interval '1 hour'),
      ('\\x03', 4, now() - interval '2 days', now() - interval '1 day'),
      ('\\x04', 4, now() - interval '2 days', now() + interval '1 day');
    insert into account_recovery_codes values
      ('01890000-0000-7000-8000-00000000a001', decode(repeat('41', 32), 'hex')),
      ('01890000-0000-7000-8000-00000000a001', decode(repeat('42', 32), 'hex')),
      ('01890000-0000-7000-8000-00000000a002', decode(repeat('43', 32), 'hex'));
    insert into account_members (namespace, account, agent, role, added_by) values
      (${home}, '01890000-0000-7000-8000-00000000a001', 'ada', 'member', 'root'),
      (${reader}, '01890000-0000-7000-8000-00000000a001', 'ada', 'reader', 'root'),
      (${leaving}, '01890000-0000-7000-8000-00000000a001', 'annie', 'admin', 'root'),
      (${reader}, '01890000-0000-7000-8000-00000000a002', 'bob', 'admin', 'root');
    insert into account_invitations (code_hash, namespace, email, agent, role, invited_by, expires_at) values
      (decode(repeat('11', 32), 'hex'), ${home}, 'carl@example.org', 'carl', 'member', 'root', now() + interval '1 hour'),
      (decode(repeat('12', 32), 'hex'), ${home}, 'bob@example.org', 'bob', 'member', 'root', now() + interval '1 hour'),
      (decode(repeat('13', 32), 'hex'), ${reader}, 'carl@example.org', 'carl', 'member', 'root', now() + interval '1 hour'),
      (decode(repeat('14', 32), 'hex'), ${home}, 'late@example.org', 'late', 'member', 'root', now() - interval '1 minute'),
      (decode(repeat('15', 32), 'hex'), ${reader}, 'bob@example.org', 'later', 'member', 'root', now() - interval '1 minute');
    insert into api_keys (id, namespace, agent, label, scopes, secret_hash, created_by, expires_at) values
      ('01890000-0000-7000-8000-00000000c001', ${home}, 'ada', '', 'read', decode(repeat('01', 32), 'hex'), 'root', null),
      ('01890000-0000-7000-8000-00000000c002', ${home}, 'ada', '', 'read', decode(repeat('02', 32), 'hex'), 'root', now() + interval '1 hour'),
      ('01890000-0000-7000-8000-00000000c003', ${home}, 'ada', '', 'read', decode(repeat('03', 32), 'hex'), 'root', now() - interval '1 minute'),
      ('01890000-0000-7000-8000-00000000c005', ${reader}, 'ada', '', 'read', decode(repeat('05', 32), 'hex'), 'root', null);
    insert into api_keys (id, namespace, agent, label, scopes, created_by, revoked_at) values
      ('01890000-0000-7000-8000-00000000c004', ${home}, 'ada', '', 'read', 'root', now());
    -- One secret of before that is good no more, one that still is; and a use that is still to come.
    update api_keys set rotated_at = now() - interval '1 hour', previous_hash = decode(repeat('0a', 32), 'hex'),
      previous_until = now() - interval '1 minute', last_used_at = '2100-01-01'
      where id = '01890000-0000-7000-8000-00000000c002';
    update api_keys set rotated_at = now() - interval '1 hour', previous_hash = decode(repeat('0b', 32), 'hex'),
      previous_until = now() + interval '1 hour' where id = '01890000-0000-7000-8000-00000000c005';
    insert into root_keys (key_id, key_check) values (99, '\\x00'), (98, '\\x00') on conflict do nothing;
    delete from due;
    insert into due values ('embed', '2026-01-01', ${home}), ('embed', '2026-01-02', ${home}),
      ('expiry', '2026-01-01', ${home}), ('embed', '2026-01-01', ${reader}), ('embed', '2026-01-01', ${leaving});
    update namespaces set deleted_at = now() where namespace = ${leaving};
    update namespaces set instructions = '\\x00' where namespace in (${home}, ${reader});
    insert into account_networks (account, network, seen_at) values
      ('01890000-0000-7000-8000-00000000a001', '\\x03', '2000-01-01'),
      ('01890000-0000-7000-8000-00000000a002', '\\x03', '2100-01-01');
    insert into audit_events select ${leaving}, gen_random_uuid(), now(), agent, channel, action, outcome,
      request_id, resource_ids, resource_count, counts from audit_events where namespace = ${home};
    -- Programs that people let in: one that is used, one whose time is over.
    insert into oauth_clients (id, metadata, used_at, expires_at) values
      ('c-1', '{}', now(), now() + interval '1 hour'), ('c-2', '{}', null, now() - interval '1 minute'),
      ('c-3', '{}', now(), now() + interval '1 hour');
    insert into oauth_grants (id, account, client, namespace, scopes, used_at, expires_at) values
      ('01890000-0000-7000-8000-00000000e001', '01890000-0000-7000-8000-00000000a001', 'c-1', ${home}, 'read', now(), now() + interval '1 hour'),
      ('01890000-0000-7000-8000-00000000e002', '01890000-0000-7000-8000-00000000a001', 'c-1', ${reader}, 'read', '2001-01-01', now() + interval '1 hour'),
      ('01890000-0000-7000-8000-00000000e003', '01890000-0000-7000-8000-00000000a002', 'c-1', ${reader}, 'read', '2100-01-01', now() + interval '1 hour'),
      ('01890000-0000-7000-8000-00000000e004', '01890000-0000-7000-8000-00000000a001', 'c-1', ${home}, 'late', '2000-01-01', now() - interval '1 minute'),
      ('01890000-0000-7000-8000-00000000e005', '01890000-0000-7000-8000-00000000a002', 'c-3', ${reader}, 'read', '2100-01-01', now() + interval '1 hour');
    insert into oauth_artifacts (id_hash, grant_id, payload, expires_at) values
      (decode(repeat('31', 32), 'hex'), '01890000-0000-7000-8000-00000000e001', '\\x00', now() + interval '1 hour'),
      (decode(repeat('32', 32), 'hex'), '01890000-0000-7000-8000-00000000e002', '\\x00', now() - interval '1 minute'),
      (decode(repeat('33', 32), 'hex'), '01890000-0000-7000-8000-00000000e003', '\\x00', now() + interval '1 hour');
    insert into oauth_artifacts (id_hash, payload, consumed_at, expires_at) values
      (decode(repeat('34', 32), 'hex'), '\\x00', now(), now() + interval '1 hour');
    -- One id in two namespaces: an event, and a memory that is another agent's there and trusted less.
    insert into audit_events select (jsonb_populate_record(e, jsonb_build_object('namespace', ${reader}))).*
      from audit_events e where namespace = ${leaving} limit 1;
    insert into memories select (jsonb_populate_record(m, jsonb_build_object('namespace', ${reader},
      'version', 2, 'document', 3000, 'owner_agent', 'eve', 'access', 'public', 'trust', 0, 'source_kind', 'user'))).*
      from memories m where m.id = '${factId}';
    -- Versions to come after, with less trust.
    insert into memories select (jsonb_populate_record(m, jsonb_build_object('version', 4, 'document', 3001,
      'trust', 0, 'is_current', false))).* from memories m where m.id = '${retiredId}';
    update memories set version = 5, trust = 0 where id = '${earlierId}';
    insert into embeddings select ${leaving}, document, embedding from embeddings
      where namespace = ${home} and document > 0 limit 1;
    -- A private memory's and an earlier version's, which are in no partition.
    insert into embeddings (namespace, document, embedding, is_current)
      select ${leaving}, o.document, e.embedding, o.is_current from embeddings e
      cross join (values (-5, true), (900005, false)) as o (document, is_current)
      where e.namespace = ${leaving};
  `
}
