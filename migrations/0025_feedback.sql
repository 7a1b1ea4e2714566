-- Purpose: what agents say of a memory that they recalled: one voice an agent and memory, and beside the
--   memory what all of them come to, so that ranking reads one column.
-- Lock cost: ACCESS EXCLUSIVE on memories for an instant (a column with a constant default).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Above 0: helped more than it misled. Computed from the voices (memory/feedback.sql.ts).
alter table memories add column feedback real not null default 0 check (feedback between -1 and 1);
alter table memories alter column feedback set statistics 0;

create table feedback (
  namespace bigint not null,
  id uuid not null,
  agent text not null check (length(agent) between 1 and 128),
  verdict text not null check (verdict in ('helpful', 'wrong', 'stale')),
  given_at timestamptz not null,
  primary key (namespace, id, agent)
);
alter table feedback alter column namespace set statistics 0;
alter table feedback enable row level security;
alter table feedback force row level security;
-- A voice is seen, and goes, beside its memory; each agent speaks for itself.
create policy own_namespace on feedback
  using (
    namespace = (select context_namespace())
    and (
      (select context_sees_all())
      or exists (
        select from memories m
        where m.namespace = (select context_namespace()) and m.id = feedback.id)
    )
  )
  with check (
    namespace = (select context_namespace())
    and (agent = (select context_agent()) or (select context_sees_all()))
  );
grant select, insert, update, delete on feedback to mindglue_app;
grant select, delete on feedback to mindglue_job;

{{#embedded}}
-- What 0005 tells the planner of the other tables.
select pg_restore_relation_stats('schemaname', 'mindglue'::text, 'relname', t.name, 'relpages', 2000::integer,
  'reltuples', 20000::real)
from unnest(array['feedback', 'feedback_pkey']::text[]) as t (name);
select pg_restore_attribute_stats('schemaname', 'mindglue'::text, 'relname', 'feedback'::text,
  'attname', 'id'::text, 'inherited', false, 'null_frac', 0::real, 'avg_width', 16::integer,
  'n_distinct', (-0.5)::real);
{{/embedded}}

reset role;
