-- Purpose: audit events, idempotency keys and confirmations.
-- Lock cost: none (new objects).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Appended in the operation's own transaction by audit_append alone; holds ids and keyed hashes, no content.
create table audit_events (
  namespace bigint not null,
  id uuid not null,
  occurred_at timestamptz not null,
  agent text not null,
  channel text not null,
  action text not null,
  outcome text not null,
  request_id uuid not null,
  resource_ids uuid[] not null,
  resource_count integer not null,
  counts text not null,
  primary key (namespace, id)
);
alter table audit_events enable row level security;
alter table audit_events force row level security;
create policy own_namespace on audit_events
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
grant select on audit_events to mindglue_app;
grant insert, select on audit_events to mindglue_audit;

create table idempotency_keys (
  namespace bigint not null,
  agent text not null,
  operation text not null,
  key_hash bytea not null,
  request_hash bytea not null,
  created_at timestamptz not null,
  -- Ids and outcomes of the first run, no content.
  result bytea not null,
  primary key (namespace, agent, operation, key_hash)
);
create index idempotency_keys_created on idempotency_keys (namespace, created_at);
alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy own_namespace on idempotency_keys
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
grant select, insert, update, delete on idempotency_keys to mindglue_app;

-- A confirmation names exactly the set that was counted; confirming deletes it in the same transaction.
create table confirmations (
  namespace bigint not null,
  token_hash bytea not null,
  agent text not null,
  operation text not null,
  -- The ids, packed, 16 bytes each, and the hash of the request they were counted for.
  resource_ids bytea not null,
  request_hash bytea not null,
  expires_at timestamptz not null,
  primary key (namespace, token_hash)
);
create index confirmations_expiry on confirmations (namespace, expires_at);
alter table confirmations enable row level security;
alter table confirmations force row level security;
create policy own_namespace on confirmations
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
grant select, insert, delete on confirmations to mindglue_app;

reset role;

-- Owned by the audit role, which can insert and nothing else; the namespace and the agent come from the
-- signed context, so no caller can write an event in another's name.
create function mindglue.audit_append(
  event_id uuid, event_channel text, event_action text, event_outcome text, event_request uuid,
  event_resources uuid[], event_resource_count integer, event_counts text
) returns void
language sql volatile security definer set search_path = pg_catalog
as $$
  insert into mindglue.audit_events (namespace, id, occurred_at, agent, channel, action, outcome,
    request_id, resource_ids, resource_count, counts)
  values (mindglue.context_namespace(), event_id, clock_timestamp(), mindglue.context_agent(),
    event_channel, event_action, event_outcome, event_request, event_resources,
    event_resource_count, event_counts)
$$;
alter function mindglue.audit_append(uuid, text, text, text, uuid, uuid[], integer, text)
  owner to mindglue_audit;
revoke all on function mindglue.audit_append(uuid, text, text, text, uuid, uuid[], integer, text)
  from public;
grant execute on function
  mindglue.audit_append(uuid, text, text, text, uuid, uuid[], integer, text) to mindglue_app;
