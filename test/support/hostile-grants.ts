/** Two namespaces and grants of every kind between them, and contexts that name those or claim to. */
import type { Sql } from '../../src/database/database.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
import { openTestMemory, type TestMemory } from './memory.ts'
import { hexOf, inAnHour, statementsOf, type Statements } from './statements.ts'

export interface GrantParts {
  readonly home?: bigint | string
  readonly flags?: string
  readonly expires?: number
  readonly reader?: bigint | string
  readonly grant?: string
}

export interface HostileGrants {
  readonly memory: TestMemory
  readonly hostile: Statements
  readonly home: Principal
  /** Administrator of the home. */
  readonly giver: Principal
  readonly reader: Principal
  /** Id of a memory of the home, by what it is. */
  memoryId(name: string): string
  /** Id of a grant by its name. */
  grantId(name: string): string
  /** A context under a grant as the program signs it, with any part replaced. */
  under(parts?: GrantParts): string
  /** A context under the grant of a name. */
  named(name: string): string
  /** A context of an agent in its own namespace. */
  own(who: Principal, flags?: string): string
  /** Names of the home's memories that a context shows. */
  seen(as: string): Promise<readonly string[]>
}

const open = { access: 'public', type: 'fact' } as const
const memories = {
  open: { ...open, content: 'Open: the note about Ada Lovelace.', type: 'note', tags: ['x'] },
  fact: { ...open, content: 'Fact: the mole is long.' },
  shared: { content: 'Shared: the mole of Ada Lovelace.', type: 'fact' },
  private: { content: 'Private: the mole is cracked.', access: 'private', type: 'fact' },
  quarantined: { ...open, content: 'Quarantined: the mole.' },
  expired: { ...open, content: 'Expired: the mole.', ttl_seconds: 3600 },
  retired: { ...open, content: 'Retired: the mole.' },
  earlier: { ...open, content: 'Earlier: the mole.' },
} as const

const terms: Readonly<Record<string, object>> = {
  all: {},
  facts: { types: ['fact'] },
  tagged: { tag: 'x' },
  named: { entity: 'Ada Lovelace' },
  shared: { include_shared: true },
  revoked: {},
  expired: { expires_at: new Date(Date.now() + 3_600_000).toISOString() },
}

export async function openHostileGrants(): Promise<HostileGrants> {
  const memory = await openTestMemory()
  const hostile = statementsOf(memory.test)
  const home = await memory.principal({ namespaceName: 'home' })
  const reader = await memory.principal({ namespaceName: 'reader' })
  const { store, grantCreate, grantRevoke } = memory.operations
  const input = { memories: Object.values(memories) }
  const { results } = await memory.execute(store, home, input)
  const ids = new Map(Object.keys(memories).map((name, index) => [name, results[index]?.id ?? '']))
  await memory.execute(store, reader, { content: 'A note of the reader.' })
  const giver = { ...home, agent: 'root', scopes: new Set(allScopes) }
  const grants = new Map<string, string>()
  for (const [name, of] of Object.entries(terms)) {
    const given = await memory.execute(grantCreate, giver, { to: 'reader', ...of })
    grants.set(name, given.id)
  }
  const memoryId = (name: string): string => ids.get(name) ?? ''
  const grantId = (name: string): string => grants.get(name) ?? ''
  await memory.execute(grantRevoke, giver, { id: grantId('revoked') })
  await memory.test.owner.ownerTransaction((sql) => endThem(sql, memoryId, grantId))
  const under = (parts: GrantParts = {}): string =>
    hostile.sign(
      parts.home ?? home.namespace,
      hexOf('bob'),
      parts.flags ?? 'g',
      parts.expires ?? inAnHour(),
      parts.reader ?? reader.namespace,
      parts.grant ?? grantId('all'),
    )
  const names = new Map([...ids].map(([name, id]) => [id, name]))
  return {
    memory,
    hostile,
    home,
    giver,
    reader,
    memoryId,
    grantId,
    under,
    named: (name) => under({ grant: grantId(name) }),
    own: (who, flags = '-') => hostile.agent(who.namespace, 'bob', flags),
    seen: async (as) => {
      const rows = await hostile.attempt(as, (sql) => sql<{ id: string }>`select id from memories`)
      return rows.map(({ id }) => names.get(id) ?? id).toSorted()
    },
  }
}

/** What would take time or other operations to come about. */
async function endThem(
  sql: Sql,
  memoryId: (name: string) => string,
  grantId: (name: string) => string,
): Promise<void> {
  await sql`update mindglue.memories set quarantine = 2 where id = ${memoryId('quarantined')}::uuid`
  await sql`update mindglue.memories set expires_at = now() where id = ${memoryId('expired')}::uuid`
  await sql`update mindglue.memories set valid_to = now() where id = ${memoryId('retired')}::uuid`
  await sql`update mindglue.memories set is_current = false where id = ${memoryId('earlier')}::uuid`
  await sql`update mindglue.grants set expires_at = now() where id = ${grantId('expired')}::uuid`
}
