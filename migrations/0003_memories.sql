-- Purpose: memories with their versions, readers, embeddings, postings, entities and mentions.
-- Lock cost: none (new objects).
-- Derived tables carry no foreign key to memories: a referential trigger a row and table costs more
-- than the deletion itself (docs/decisions). Every row goes through memory/remove.ts; a test counts orphans.

set role mindglue_owner;
set local search_path = mindglue, public;

-- Columns named by the encryption profile are bytea from the start: UTF-8 in profile `off`.
create table memories (
  namespace bigint not null references namespaces (namespace),
  id uuid not null,
  version integer not null check (version > 0),
  -- Small integer of this version within its namespace: the key of postings, mentions and embeddings.
  document integer not null,
  is_current boolean not null default true,
  content bytea not null,
  raw_content bytea,
  type text not null check (type in
    ('fact', 'preference', 'event', 'procedure', 'decision', 'task', 'reference', 'note')),
  metadata bytea,
  tags bytea,
  session_label bytea,
  session_key bytea,
  speaker bytea,
  speaker_key bytea,
  source_kind text not null check (source_kind in
    ('user', 'agent', 'tool', 'connector', 'web', 'import')),
  source_url bytea,
  trust smallint not null default 2 check (trust between 0 and 3),
  owner_agent text not null,
  access text not null default 'shared' check (access in ('private', 'shared', 'public')),
  importance real not null default 0.5 check (importance between 0 and 1),
  occurred_at timestamptz not null,
  event_from timestamptz,
  event_to timestamptz,
  event_grain text,
  expires_at timestamptz,
  pinned_at timestamptz,
  valid_from timestamptz not null,
  valid_to timestamptz,
  retire_reason bytea,
  recorded_at timestamptz not null,
  supersedes uuid,
  -- HMAC of content and everything that makes two memories different (see memory/dedupe.ts).
  dedupe_key bytea not null,
  -- Packed lists, so that deletion finds postings and mentions by primary key: int8 big endian each.
  terms bytea not null,
  tag_terms bytea not null,
  entities bytea not null,
  -- Length in analysed terms, repeats included (BM25).
  length integer not null,
  -- True while the vector is still to be made (the embedder failed when it was stored).
  needs_embedding boolean not null default false,
  primary key (namespace, id, version)
);
create unique index memories_document on memories (namespace, document);
create unique index memories_current on memories (namespace, id) where is_current;
-- A retired memory does not stand in the way of the same words becoming true again.
create unique index memories_dedupe on memories (namespace, dedupe_key)
  where is_current and valid_to is null;
create index memories_recent on memories (namespace, recorded_at desc, id desc) where is_current;
create index memories_session on memories (namespace, session_key, occurred_at, document)
  where session_key is not null;
create index memories_occurred on memories (namespace, occurred_at);
create index memories_expiry on memories (namespace, expires_at) where expires_at is not null;
create index memories_needs_embedding on memories (namespace, document) where needs_embedding;
-- Values of these columns must not reach pg_statistic.
alter table memories alter column content set statistics 0;
alter table memories alter column raw_content set statistics 0;
alter table memories alter column metadata set statistics 0;
alter table memories alter column tags set statistics 0;
alter table memories alter column session_label set statistics 0;
alter table memories alter column speaker set statistics 0;
alter table memories alter column source_url set statistics 0;
alter table memories alter column retire_reason set statistics 0;

-- Agents that may read a private memory besides its owner.
create table memory_agents (
  namespace bigint not null,
  id uuid not null,
  agent text not null check (length(agent) between 1 and 128),
  primary key (namespace, id, agent)
);
create index memory_agents_by_agent on memory_agents (namespace, agent, id);

create table embeddings (
  namespace bigint not null,
  document integer not null,
  embedding {{vector}} not null,
  primary key (namespace, document)
);
{{#embedded}}
alter table embeddings alter column embedding set storage plain;
{{/embedded}}

-- One row a term of a memory; term is a keyed hash, so the same table serves encrypted namespaces.
create table postings (
  namespace bigint not null,
  term bigint not null,
  document integer not null,
  frequency smallint not null,
  length smallint not null,
  primary key (namespace, term, document)
);

create table entities (
  namespace bigint not null,
  entity bigint not null,
  name bytea not null,
  kind text not null,
  primary key (namespace, entity)
);
alter table entities alter column name set statistics 0;

create table mentions (
  namespace bigint not null,
  entity bigint not null,
  document integer not null,
  primary key (namespace, entity, document)
);

alter table memories enable row level security;
alter table memories force row level security;
alter table memory_agents enable row level security;
alter table memory_agents force row level security;
alter table embeddings enable row level security;
alter table embeddings force row level security;
alter table postings enable row level security;
alter table postings force row level security;
alter table entities enable row level security;
alter table entities force row level security;
alter table mentions enable row level security;
alter table mentions force row level security;

-- Reading and changing a memory: the namespace, and for a private one the owner, a named agent or an
-- administrator. The policy of memory_agents must not look at memories (recursion).
create policy visible on memories
  using (
    namespace = (select context_namespace())
    and (
      access <> 'private'
      or owner_agent = (select context_agent())
      or (select context_sees_all())
      or exists (
        select from memory_agents a
        where a.namespace = memories.namespace and a.id = memories.id
          and a.agent = (select context_agent())
      )
    )
  )
  with check (namespace = (select context_namespace()));
create policy own_namespace on memory_agents
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
create policy own_namespace on embeddings
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
create policy own_namespace on postings
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
create policy own_namespace on entities
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));
create policy own_namespace on mentions
  using (namespace = (select context_namespace()))
  with check (namespace = (select context_namespace()));

grant select, insert, update, delete
  on memories, memory_agents, embeddings, postings, entities, mentions to mindglue_app;

reset role;
