/** One row for each constraint that it refuses; the administrator is bound as well. */
import { wrote } from './function-cases.ts'
import type { Expected, Probe } from './probes.ts'
import type { World } from './world.ts'

/** Columns that break a constraint, as an update of a row that is there. */
const broken: Readonly<Record<string, readonly [table: string, set: string]>> = {
  account_delays_key_check: ['account_delays', `key = decode(repeat('00', 33), 'hex')`],
  account_invitations_agent_check: ['account_invitations', `agent = ''`],
  account_invitations_code_hash_check: ['account_invitations', `code_hash = '\\x00'`],
  account_invitations_email_check: ['account_invitations', `email = repeat('a', 255)`],
  account_invitations_role_check: ['account_invitations', `role = 'owner'`],
  account_mails_code_hash_check: ['account_mails', `code_hash = '\\x00'`],
  account_mails_email_check: ['account_mails', `email = repeat('a', 255)`],
  account_mails_kind_check: ['account_mails', `kind = 'other'`],
  account_members_agent_check: ['account_members', `agent = ''`],
  account_members_role_check: ['account_members', `role = 'owner'`],
  account_networks_network_check: ['account_networks', `network = decode(repeat('00', 33), 'hex')`],
  account_recovery_codes_code_hash_check: ['account_recovery_codes', `code_hash = '\\x00'`],
  accounts_email_check: ['accounts', `email = 'Ada@example.org'`],
  accounts_password_hash_check: ['accounts', `password_hash = repeat('a', 513)`],
  api_keys_agent_check: ['api_keys', `agent = ''`],
  api_keys_check: [
    'api_keys',
    `rotated_at = now(), previous_until = now() + interval '8 days', previous_hash = decode(repeat('00', 32), 'hex')`,
  ],
  api_keys_check1: ['api_keys', `secret_hash = null, revoked_at = null`],
  api_keys_check2: [
    'api_keys',
    `previous_hash = decode(repeat('00', 32), 'hex'), previous_until = null`,
  ],
  api_keys_label_check: ['api_keys', `label = repeat('a', 129)`],
  api_keys_previous_hash_check: [
    'api_keys',
    `previous_hash = '\\x00', rotated_at = now(), previous_until = now()`,
  ],
  api_keys_requests_per_minute_check: ['api_keys', `requests_per_minute = 0`],
  api_keys_secret_hash_check: ['api_keys', `secret_hash = '\\x00', revoked_at = null`],
  context_keys_inner_pad_check: ['context_keys', `inner_pad = '\\x00'`],
  context_keys_outer_pad_check: ['context_keys', `outer_pad = '\\x00'`],
  context_keys_singleton_check: ['context_keys', `singleton = false`],
  due_kind_check: ['due', `kind = 'other'`],
  feedback_agent_check: ['feedback', `agent = ''`],
  feedback_verdict_check: ['feedback', `verdict = 'great'`],
  grants_check: ['grants', `grantee = namespace`],
  grants_check1: ['grants', `mark = 1, mark_label = null`],
  grants_penalty_check: ['grants', `penalty = -1`],
  grants_types_check: ['grants', `types = 'fact; drop'`],
  instructions_key_is_whole: [
    'namespaces',
    `instructions_token = '\\x00', instructions_key_id = null`,
  ],
  memories_access_check: [
    'memories',
    `access = 'secret', document = abs(document), readers = null`,
  ],
  memories_feedback_check: ['memories', `feedback = 2`],
  memories_importance_check: ['memories', `importance = 2`],
  memories_private_document: [
    'memories',
    `access = 'shared', document = -abs(document) - 100000, readers = null`,
  ],
  memories_quarantine_check: ['memories', `quarantine = -1`],
  memories_readers: [
    'memories',
    `access = 'private', document = -abs(document) - 100000, readers = '{}'`,
  ],
  memories_source_kind_check: ['memories', `source_kind = 'god'`],
  memories_trust_check: ['memories', `trust = 4`],
  memories_type_check: ['memories', `type = 'rumour'`],
  memories_version_check: ['memories', `version = 0`],
  namespace_keys_salt_check: ['namespace_keys', `salt = '\\x00'`],
  namespace_names_name_check: ['namespace_names', `name = ''`],
  namespaces_credentials_policy_check: ['namespaces', `credentials_policy = 'show'`],
  namespaces_embedder_dimension_check: ['namespaces', `embedder_dimension = 4097`],
  namespaces_next_document_check: ['namespaces', `next_document = 0`],
  namespaces_next_private_document_check: ['namespaces', `next_private_document = 0`],
  namespaces_personal_policy_check: ['namespaces', `personal_policy = 'show'`],
  namespaces_profile_check: ['namespaces', `profile = 'open'`],
  oauth_artifacts_id_hash_check: ['oauth_artifacts', `id_hash = '\\x00'`],
  oauth_artifacts_payload_check: [
    'oauth_artifacts',
    `payload = decode(repeat('00', 65537), 'hex')`,
  ],
  oauth_clients_id_check: ['oauth_clients', `id = ''`],
  oauth_clients_metadata_check: ['oauth_clients', `metadata = repeat('a', 16385)`],
  oauth_grants_scopes_check: ['oauth_grants', `scopes = repeat('a', 201)`],
  partitioned_embeddings_document_check: ['partitioned_embeddings', `document = -document - 1`],
  vector_partitions_dimension_check: ['vector_partitions', `dimension = 0`],
  vector_partitions_state_check: ['vector_partitions', `state = 'other'`],
}

/** Foreign keys: a row that points at nothing. */
const loose: Readonly<Record<string, readonly [table: string, column: string]>> = {
  account_invitations_namespace_fkey: ['account_invitations', 'namespace'],
  account_members_account_fkey: ['account_members', 'account'],
  account_members_namespace_fkey: ['account_members', 'namespace'],
  account_networks_account_fkey: ['account_networks', 'account'],
  account_recovery_codes_account_fkey: ['account_recovery_codes', 'account'],
  account_sessions_account_fkey: ['account_sessions', 'account'],
  api_keys_namespace_fkey: ['api_keys', 'namespace'],
  grants_namespace_fkey: ['grants', 'namespace'],
  memories_namespace_fkey: ['memories', 'namespace'],
  namespace_keys_namespace_fkey: ['namespace_keys', 'namespace'],
  oauth_artifacts_grant_id_fkey: ['oauth_artifacts', 'grant_id'],
  oauth_grants_client_fkey: ['oauth_grants', 'client'],
  oauth_grants_namespace_account_fkey: ['oauth_grants', 'namespace'],
}

const accountKeys = [
  'account_members_account_fkey',
  'account_networks_account_fkey',
  'account_recovery_codes_account_fkey',
  'account_sessions_account_fkey',
  'oauth_artifacts_grant_id_fkey',
  'oauth_grants_namespace_account_fkey',
]

export function constraintProbes(world: World): readonly Probe[] {
  const probe = (name: string, table: string, set: string, state: string): Probe => ({
    about: [name, table],
    name: `${name} holds`,
    role: 'administrator',
    context: world.hostile.agent(BigInt(world.homeId), 'root', 'aq'),
    // One row: what follows it would break other constraints.
    statement: `update mindglue.${table} t set ${set} where ctid = (select min(o.ctid) from mindglue.${table} o)`,
    expected: { state },
  })
  const absent = (column: string) =>
    column === 'namespace' ? '123' : `'01890000-0000-7000-8000-00000000ffff'`
  const ada = `'01890000-0000-7000-8000-00000000a001'`
  const whole = (about: readonly string[], statement: string, expected: Expected): Probe => ({
    about,
    name: `administrator: ${statement}`,
    role: 'administrator',
    context: '',
    statement,
    expected,
  })
  const has = ([, [table]]: [string, readonly [string, string]]) => world.rows.has(table)
  return [
    ...Object.entries(broken)
      .filter(has)
      .map(([name, [table, set]]) => probe(name, table, set, '23514')),
    ...Object.entries(loose).map(([name, [table, column]]) =>
      probe(name, table, `${column} = ${absent(column)}`, '23503'),
    ),
    // What is let in holds the memberships that are there: a new one points at nothing.
    ...[
      ['account_members_account_fkey', world.homeId, absent('account')] as const,
      ['account_members_namespace_fkey', '123', ada] as const,
    ].map(([about, namespace, account]) =>
      whole(
        [about],
        `insert into mindglue.account_members (namespace, account, agent, role, added_by)
          values (${namespace}, ${account}, 'carl', 'member', 'root')`,
        { state: '23503' },
      ),
    ),
    // An account leaves nothing: who was a member, on which network, and what was let in.
    whole(
      accountKeys,
      `delete from mindglue.accounts where id = ${ada}`,
      wrote({
        accounts: 1,
        account_members: 3,
        account_networks: 2,
        account_recovery_codes: 2,
        account_sessions: 2,
        oauth_grants: 3,
        oauth_artifacts: 2,
      }),
    ),
  ]
}
