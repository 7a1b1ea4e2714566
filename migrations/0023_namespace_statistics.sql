-- Purpose: no statistics on the column that every key starts with. A namespace that was filled since the
--   last analyze is in none of them, so it counted as one row and any index that starts with it as good as
--   the right one: reading 300 documents read all of its 6,000 rows 300 times. Without statistics every
--   namespace passes for a two-hundredth of its table.
-- Lock cost: SHARE UPDATE EXCLUSIVE on each table for an instant.

set role mindglue_owner;
set local search_path = mindglue, public;

alter table memories alter column namespace set statistics 0;
alter table memory_keys alter column namespace set statistics 0;
alter table postings alter column namespace set statistics 0;
alter table embeddings alter column namespace set statistics 0;
alter table sealed_embeddings alter column namespace set statistics 0;
alter table mentions alter column namespace set statistics 0;
alter table entities alter column namespace set statistics 0;

{{#postgres}}
-- Analyze leaves what an earlier one counted. The function is new in PostgreSQL 18; before it, old figures stay.
do $$
declare
  target text;
begin
  if to_regprocedure('pg_clear_attribute_stats(text, text, text, boolean)') is not null then
    foreach target in array array['memories', 'memory_keys', 'postings', 'embeddings', 'sealed_embeddings',
      'mentions', 'entities']
    loop
      perform pg_clear_attribute_stats('mindglue', target, 'namespace', false);
    end loop;
  end if;
end
$$;
{{/postgres}}

reset role;
