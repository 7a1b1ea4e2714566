-- Purpose: what a namespace does with credentials and personal data in what it is given to keep.
-- Lock cost: ACCESS EXCLUSIVE on namespaces for an instant (columns with a constant default).

set role mindglue_owner;
set local search_path = mindglue, public;

-- Enumerations are text (docs/decisions): allow, flag, redact, refuse. Of credentials nothing is kept unless
-- somebody decides so; personal data is what memories are about, so it is kept and named.
alter table namespaces
  add column credentials_policy text not null default 'redact'
    check (credentials_policy in ('allow', 'flag', 'redact', 'refuse')),
  add column personal_policy text not null default 'flag'
    check (personal_policy in ('allow', 'flag', 'redact', 'refuse'));

reset role;
