-- Purpose: terms of an encrypted namespace that most of its memories share, which it therefore keeps no
--   postings of: how often a term stands in the index tells which word it is.
-- Lock cost: ACCESS EXCLUSIVE on namespaces for an instant (a column with a constant default).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Keyed hashes, in no predicate and in no policy. Only grows.
alter table namespaces add column common_terms bigint[] not null default '{}';

-- The job that finds them takes them out of the lists that memories keep of their own terms.
grant update (common_terms, revision) on namespaces to mindglue_job;
grant update (terms) on memories to mindglue_job;

reset role;
