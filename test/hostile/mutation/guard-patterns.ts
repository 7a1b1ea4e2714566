/** Forms of the conditions in policies and in functions of the database, and what stands for each without it. */

export interface Guard {
  readonly kind: string
  readonly pattern: RegExp
  readonly instead: string
}

/** Conditions that ask the context. */
const contextAtom =
  /\b(?:\w+\.)?(?:namespace|grantee|agent|owner_agent|source_agent|created_by) = \( SELECT mindglue\.context_\w+\(\) AS context_\w+\)|\( SELECT mindglue\.context_(?:is|sees)_\w+\(\) AS context_\w+\)/gu
/** Conditions that ask the row. */
const rowAtom =
  /\b(?:is_current\b|valid_to IS NULL|quarantine = 0|expires_at > statement_timestamp\(\)|document >= 0|access <> 'private'::text|revoked_at IS (?:NOT )?NULL|version > 1|trust <= 2|source_kind <> '\w+'::text|[a-z]\.\w+ = \w+\.\w+|mindglue\.holds_mark\(\(tag_terms \|\| entities\), \( SELECT \S+ AS \w+\)\))/gu
/** What is one of a list. */
const listAtom =
  /\(\(access \|\| ' '::text\) \|\| type\) = ANY \(\( SELECT \S+ AS \w+\)::text\[\]\)|\( SELECT mindglue\.context_agent\(\) AS context_agent\) = ANY \(readers\)/gu

export const policyGuards: readonly Guard[] = [contextAtom, rowAtom, listAtom].map((pattern) => ({
  kind: 'policy condition',
  pattern,
  instead: 'true',
}))

const scope =
  /\bin_namespace = mindglue\.context_namespace\(\)|\b[a-z]\.(?:namespace|grantee) = (?:mindglue\.context_namespace\(\)|own|home|new\.namespace|context\[\d\]::bigint|%s|[a-z]\.namespace|used\.namespace)(?!\w)/gu
/** A column of a row compared with anything but a namespace. */
const comparison =
  /\b[a-z]\.(?!namespace\b|grantee\b)\w+ (?:=|<>|<=?|>=?) (?:any \(\w+\)|context\[\d\]::\w+|clock_timestamp\(\)|\d+|[a-z_]+(?:\.\w+)?)(?![\w(.]| for (?:key share|update|share))|\b[a-z]\.\w+ is (?:not )?null|\b(?<!not )[a-z]\.is_current\b/gu
/** Who may: a flag of the context. */
const authority =
  /mindglue\.context_(?:sees_all|is_job)\(\)|\b[a-z]\.agent = mindglue\.context_agent\(\)|mindglue\.context_namespace\(\) is not null|coalesce\(\(mindglue\.verified_context\(\)\)\[3\] like '%\w%', false\)|\(mindglue\.verified_context\(\)\)\[1\] is not null|\b(?:parts|context)\[3\] = '[dg]'|\bcontext\[1\] is null|\bcardinality\(parts\) = \d|\bheld\.includes_shared\b/gu

export const functionGuards: readonly Guard[] = [
  { kind: 'scope in a function', pattern: scope, instead: 'true' },
  { kind: 'authority in a function', pattern: authority, instead: 'true' },
  { kind: 'condition in a function', pattern: comparison, instead: 'true' },
  {
    kind: 'condition in a function',
    pattern: /\bnew\.source_kind = any \(array\['user', 'import'\]\)/gu,
    instead: 'false',
  },
  // What a trigger finds changed.
  {
    kind: 'condition in a function',
    pattern:
      /\b(?:new|old)\.\w+ (?:>|<>|is distinct from) (?:(?:new|old)\.\w+|mindglue\.context_agent\(\))|\(old\.quarantine & ~new\.quarantine\) <> 0/gu,
    instead: 'false',
  },
  {
    kind: 'lock in a function',
    pattern:
      /\bfor (?:key share|update|share)\b(?: skip locked)?|\bperform pg_advisory_xact_lock\([^;]*\);/gu,
    instead: '',
  },
  // Which row is locked; nothing else comes of it.
  {
    kind: 'lock in a function',
    pattern: /\b[a-z]\.(?!namespace\b)\w+ = \w+(?:\.\w+)?(?= for (?:key share|update|share))/gu,
    instead: 'true',
  },
  {
    kind: 'lock in a function',
    pattern: /\bnot pg_try_advisory_xact_lock\(hashtextextended\('[^']*', 0\)\)/gu,
    instead: 'false',
  },
  { kind: 'refusal in a function', pattern: /\braise exception [^;]*;/gu, instead: 'null;' },
  { kind: 'authority in a function', pattern: /\bif own is null\b/gu, instead: 'if false' },
  // What a new partition is guarded by.
  {
    kind: 'guard of a partition',
    pattern:
      /\bexecute format\('(?:create policy|revoke all|alter (?:table|index) [^;]* set statistics 0)[^;]*;/gu,
    instead: 'null;',
  },
  {
    kind: 'guard of a partition',
    pattern: /\benable row level security, (?=force)/gu,
    instead: '',
  },
  { kind: 'guard of a partition', pattern: /, force row level security/gu, instead: '' },
  {
    kind: 'guard of a partition',
    pattern: /namespace = \(select mindglue\.context_namespace\(\)\)/gu,
    instead: 'true',
  },
]
