/**
 * What the planner keeps of content (Postgres). No policy guards `pg_statistic`, and nothing but the next
 * ANALYZE takes out of it what was forgotten or encrypted: words, names and vectors never get there.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { maintain, storeSentences } from '../support/partitions.ts'

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory({ profile: 'off' })
  const large = await memory.principal({ namespaceName: 'large' })
  await storeSentences(memory, large, 300)
  await maintain(memory, large)
})
afterAll(() => memory.close())

test('no vector is in the statistics of a table, a partition, their parent or an index', async () => {
  await memory.test.owner.ownerTransaction((_, script) => script('analyze'))
  const rows = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ name: string }>`
      select c.relname || '.' || s.staattnum as name
      from pg_statistic s join pg_class c on c.oid = s.starelid
      where c.relnamespace = 'mindglue'::regnamespace and (s.*)::text like '%[%'`,
  )
  expect(rows).toEqual([])
})

/**
 * Texts and bytes that have statistics: names of agents, closed lists of words, ids, digests, and hashes under a
 * key of the namespace. Whoever adds a column decides whether what stands in it may outlive its row.
 */
const counted: Readonly<Record<string, string>> = {
  account_delays: 'key',
  account_invitations: 'agent code_hash invited_by role',
  account_mails: 'code_hash kind',
  account_recovery_codes: 'code_hash',
  account_members: 'added_by agent role',
  account_networks: 'network',
  api_keys: 'agent created_by previous_hash scopes secret_hash tools',
  audit_events: 'action agent channel counts outcome resource_ids',
  confirmations: 'agent operation request_hash resource_ids token_hash',
  due: 'kind',
  entities: 'kind',
  feedback: 'agent verdict',
  grants: 'created_by types',
  idempotency_keys: 'agent key_hash operation request_hash result',
  memories:
    'access dedupe_key entities event_grain owner_agent session_key source_agent source_client_key source_kind speaker_key tag_terms terms type',
  migrations: 'checksum name',
  namespaces: 'common_terms credentials_policy embedder_model personal_policy plan profile',
  oauth_artifacts: 'id_hash',
  oauth_clients: 'id',
  oauth_grants: 'client scopes',
  root_keys: 'key_check',
  vector_partitions: 'state',
}

test('every column of texts and bytes is kept out of the statistics or listed here', async () => {
  const rows = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ name: string; columns: string }>`
      select c.relname as name, string_agg(a.attname, ' ' order by a.attname) as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_index i on i.indexrelid = c.oid
      join pg_type t on t.oid = a.atttypid
      where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p', 'i')
        -- Of an index those that are no columns of its table.
        and (i.indexrelid is null or i.indkey[a.attnum - 1] = 0)
        and (t.typname in ('text', 'bytea', 'halfvec', 'jsonb', 'json', 'name') or t.typcategory = 'A')
        and coalesce(a.attstattarget, -1) <> 0
      group by c.relname order by 1`,
  )
  expect(Object.fromEntries(rows.map(({ name, columns }) => [name, columns]))).toEqual(counted)
  const [more] = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ count: number }>`select count(*)::int as count from pg_statistic_ext`,
  )
  expect(more?.count).toBe(0)
})
