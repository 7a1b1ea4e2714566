/** Every column that could hold words: what it holds, that it holds no other thing, and that the docs say so. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { envelopeVersion } from '../../src/crypto/envelope.ts'
import { openTestMemory, type TestMemory } from '../support/memory.ts'
import { raw } from '../support/statements.ts'

/**
 * A new column of text, bytes or vectors has to be put into one of these. `encrypted`: tokens of format 0xC0
 * in an encrypted namespace. The others: what stands there in the clear, as docs/security.md says.
 */
const columns = {
  encrypted: `memories: content raw_content metadata tags session_label speaker source_url source_client
    retire_reason; entities: name key_token; memory_keys: token; sealed_embeddings: token;
    namespaces: index_key instructions instructions_token; root_keys: key_check; grants: mark_label;
    oauth_artifacts: payload`,
  'keyed hashes': `memories: session_key speaker_key source_client_key dedupe_key terms tag_terms entities;
    namespaces: common_terms; confirmations: token_hash request_hash;
    idempotency_keys: key_hash request_hash`,
  vectors: 'embeddings: embedding; partitioned_embeddings: embedding',
  agents: `memories: owner_agent source_agent readers; confirmations: agent; idempotency_keys: agent; feedback: agent;
    audit_events: agent; api_keys: agent created_by; grants: created_by;
    account_members: agent added_by; account_invitations: agent invited_by`,
  'names of namespaces': `namespaces: name; namespace_names: name; grants: namespace_name grantee_name`,
  'e-mail addresses and roles of accounts': `accounts: email; account_mails: email kind;
    account_members: role; account_invitations: email role`,
  'labels of API keys': 'api_keys: label',
  'clients and what they may do': 'oauth_clients: id metadata; oauth_grants: client scopes',
  'the audit log (ids and hashes)': `audit_events: channel action outcome resource_ids counts;
    confirmations: operation resource_ids; idempotency_keys: operation result`,
  'times, types': 'memories: type event_grain; entities: kind; grants: types; feedback: verdict',
  'source kind': 'memories: source_kind',
  access: 'memories: access',
  // Nothing of a memory: settings of the installation, random bytes, hashes of secrets.
  '': `namespaces: profile plan embedder_model credentials_policy personal_policy; namespace_keys: salt; context_keys: inner_pad outer_pad;
    api_keys: scopes tools secret_hash previous_hash; due: kind; migrations: name checksum;
    vector_partitions: state; accounts: password_hash; account_mails: code_hash;
    account_invitations: code_hash; account_delays: key; account_networks: network; account_recovery_codes: code_hash;
    oauth_artifacts: id_hash`,
} as const

const parse = (text: string): string[] =>
  text.split(';').flatMap((part) => {
    const [table = '', names = ''] = part.split(':')
    return names
      .trim()
      .split(/\s+/u)
      .map((name) => `${table.trim()}.${name}`)
  })

let memory: TestMemory
beforeAll(async () => {
  memory = await openTestMemory()
})
afterAll(() => memory.close())

test('every column that could hold words is known', async () => {
  const rows = await memory.test.owner.ownerTransaction(
    (sql) => sql<{ name: string }>`
      select c.relname || '.' || a.attname as name
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      join pg_type t on t.oid = a.atttypid
      where c.relnamespace = 'mindglue'::regnamespace and c.relkind in ('r', 'p')
        and not c.relispartition
        and t.typname not in ('int2', 'int4', 'int8', 'float4', 'bool', 'timestamptz', 'uuid')`,
  )
  const onPostgres = ['partitioned_embeddings', 'vector_partitions']
  const known = Object.values(columns)
    .flatMap(parse)
    .filter(
      (name) => memory.test.engine === 'postgres' || !onPostgres.includes(name.split('.')[0] ?? ''),
    )
  expect(rows.map(({ name }) => name).toSorted()).toEqual(known.toSorted())
})

test('the documentation names everything that stays readable', () => {
  const text = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8').replaceAll(
    /\s+/gu,
    ' ',
  )
  for (const kind of Object.keys(columns)) expect(text).toContain(kind)
})

test('what is called encrypted holds tokens and nothing else, in both profiles', async () => {
  for (const profile of ['field', 'sealed'] as const) {
    const principal = await memory.principal({ namespaceName: `columns-${profile}`, profile })
    const client = { name: 'a client', version: '1' }
    await memory.execute(
      memory.operations.store,
      { ...principal, client },
      {
        content: 'Ada Lovelace met Grace Hopper in Lisbon.',
        raw_content: 'um',
        metadata: { a: 1 },
        tags: ['home'],
        session: 'one',
        speaker: 'Ada',
        source_url: 'https://example.org/',
      },
    )
    const root = { ...principal, scopes: new Set(['admin'] as const) }
    const instructions = 'Keep decisions with their reasons.'
    await memory.execute(memory.operations.instructionsSet, root, { instructions })
  }
  const empty: string[] = []
  for (const name of parse(columns.encrypted)) {
    const [table = '', column = ''] = name.split('.')
    const [row] = await memory.test.owner.ownerTransaction(
      (sql) => sql<{ filled: number; other: number }>`
        select count(*)::int as filled,
          count(*) filter (where get_byte(t.value, 0) <> ${envelopeVersion}::int)::int as other
        from (select ${raw(column)} as value from ${raw(`mindglue.${table}`)}) t
        where t.value is not null`,
    )
    expect([name, row?.other]).toEqual([name, 0])
    if (row?.filled === 0) empty.push(name)
  }
  // Nothing here writes these.
  expect(empty).toEqual(['memories.retire_reason', 'grants.mark_label', 'oauth_artifacts.payload'])
})
