-- Purpose: what is pinned and what has a date are found without reading the namespace, for the brief.
-- Lock cost: SHARE on memories while two partial indexes are built by one scan each: writes wait, reads go on.

set role mindglue_owner;
set local search_path = mindglue, public;

create index memories_pinned on memories (namespace, pinned_at)
  where is_current and pinned_at is not null;
create index memories_dated on memories (namespace, event_from)
  where is_current and event_from is not null;

reset role;
