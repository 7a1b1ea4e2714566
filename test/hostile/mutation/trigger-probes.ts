/** What no policy can say, since it sees one row at a time: who may make a memory more trusted, or somebody else's. */
import { done, refused, type Expected, type Probe } from './probes.ts'
import type { World } from './world.ts'

const about = [
  'memories',
  'namespaces',
  'keep_access',
  'keep_instructions',
  'keep_namespace',
  'keep_trust',
]

type As = 'ada' | 'bob' | 'eve' | 'root'

export function triggerProbes(world: World): readonly Probe[] {
  const { hostile, homeId } = world
  const id = (name: string): string => `'${world.memoryId(name)}'`
  const one = (set: string, name: string) =>
    `update mindglue.memories set ${set} where id = ${id(name)} returning version`
  const newId = `'01890000-0000-7000-8000-00000000f002'`
  const wrote = { ...done, rows: ['{"version":1}'] }
  const stored = (changes: Readonly<Record<string, string>>) =>
    version(world, 'fact', { id: newId, version: '1', ...changes })
  const cases: readonly (readonly [As, string, string, Expected])[] = [
    ['ada', 'store', stored({}), done],
    ['ada', 'store what is trusted as a person', stored({ trust: '3' }), refused],
    ['root', 'store what is trusted as a person', stored({ trust: '3' }), done],
    ...['user', 'import'].flatMap((kind) => {
      const source = { source_kind: `'${kind}'` }
      return [
        ['ada', `store for a ${kind}`, stored(source), refused],
        ['root', `store for a ${kind}`, stored(source), done],
        ['ada', `write a version for a ${kind}`, version(world, 'fact', source), refused],
        ['root', `write a version for a ${kind}`, version(world, 'fact', source), done],
      ] as const
    }),
    ['ada', 'write a version of a user’s', version(world, 'shared', {}), done],
    [
      'ada',
      'write a version of it for an import',
      version(world, 'shared', { source_kind: `'import'` }),
      refused,
    ],
    ['ada', 'store in another’s name', stored({ source_agent: `'eve'` }), refused],
    ['root', 'store in another’s name', stored({ source_agent: `'eve'` }), refused],
    ...[
      `content = 'x'`,
      `raw_content = 'x'`,
      `source_kind = 'web'`,
      `source_agent = 'x'`,
      `source_request = ${newId}`,
    ].flatMap(
      (set) =>
        [
          ['ada', `${set} in place`, one(set, 'fact'), refused],
          ['root', `${set} in place`, one(set, 'fact'), wrote],
        ] as const,
    ),
    ['ada', 'raise trust', one('trust = 3', 'fact'), refused],
    ['ada', 'lower trust', one('trust = 0', 'fact'), wrote],
    ['root', 'raise trust', one('trust = 3', 'fact'), wrote],
    ['ada', 'clear quarantine', 'update mindglue.memories set quarantine = 0', refused],
    ['root', 'clear quarantine', one('quarantine = 0', 'quarantined'), wrote],
    [
      'ada',
      'open a private memory',
      one(`access = 'shared', document = 5000, readers = null`, 'private'),
      wrote,
    ],
    ['eve', 'hide another’s memory', one(`access = 'private', document = -5000`, 'fact'), refused],
    ['eve', 'publish another’s memory', one(`access = 'public'`, 'shared'), refused],
    ['eve', 'take another’s memory', one(`owner_agent = 'eve'`, 'shared'), refused],
    ['ada', 'give one’s memory away', one(`owner_agent = 'eve'`, 'shared'), refused],
    ['root', 'give a memory away', one(`owner_agent = 'eve'`, 'shared'), wrote],
    ['ada', 'change an id', one(`id = ${newId}`, 'shared'), refused],
    ['ada', 'let others read', one(`readers = array['eve']`, 'private'), wrote],
    ['bob', 'let others read', one(`readers = array['eve', 'bob']`, 'private'), refused],
    ['ada', 'write a version', version(world, 'fact', {}), done],
    ['eve', 'write a version', version(world, 'fact', {}), done],
    ['ada', 'write a version of nothing', version(world, 'fact', { id: newId }), refused],
    [
      'eve',
      'write a version as its owner',
      version(world, 'fact', { owner_agent: `'eve'` }),
      refused,
    ],
    ['eve', 'write a public version', version(world, 'shared', { access: `'public'` }), refused],
    [
      'ada',
      'write a version for more',
      version(world, 'private', { readers: `array['eve']` }),
      refused,
    ],
    ['ada', 'write a more trusted version', version(world, 'fact', { trust: '3' }), refused],
    ['ada', 'write a less trusted version', version(world, 'fact', { trust: '0' }), refused],
    [
      'ada',
      'write a version that is trusted as another memory',
      version(world, 'shared', { trust: '0', version: '9' }),
      refused,
    ],
    ['ada', 'write a version before the last', version(world, 'retired', {}), done],
    ['root', 'write a more trusted version', version(world, 'fact', { trust: '3' }), done],
    ['root', 'delete the namespace', 'update mindglue.namespaces set deleted_at = now()', refused],
    ['ada', 'say what is kept', instruct(`'\\x01'`), refused],
    ['ada', 'take back what is kept', instruct('null'), refused],
    ['ada', 'say the same again', instruct('instructions'), { ...done, rows: ['{"r":"home"}'] }],
    ['root', 'say what is kept', instruct(`'\\x01'`), { ...done, rows: ['{"r":"home"}'] }],
  ]
  const probes: Probe[] = cases.map(([as, what, statement, expected]) => ({
    about,
    name: `${as}: ${what}`,
    role: 'mindglue_app',
    context: hostile.agent(BigInt(homeId), as, as === 'root' ? 'aq' : '-'),
    statement,
    expected,
  }))
  // An administrator may ask whether it is a job's context, which the application may not.
  const administrator: Probe = {
    about: ['keep_namespace'],
    name: 'administrator: delete the namespace in the context of no job',
    role: 'administrator',
    context: hostile.agent(BigInt(homeId), 'root', 'aq'),
    statement: `update mindglue.namespaces set deleted_at = now() where namespace = ${homeId}`,
    expected: refused,
  }
  const byHand: Probe = {
    about: ['keep_trust'],
    name: 'administrator: mend words without a context',
    role: 'administrator',
    context: '',
    statement: one(`content = 'x'`, 'fact'),
    expected: done,
  }
  return [...probes, administrator, byHand]
}

/** Sets what a namespace is to keep. */
const instruct = (value: string): string =>
  `update mindglue.namespaces set instructions = ${value} returning 'home' as r`

/** The second version of a memory, with some columns replaced by SQL of ours. */
export function version(
  world: World,
  name: string,
  changes: Readonly<Record<string, string>>,
): string {
  const columns = (world.rows.get('memories') ?? []).find(
    ({ columns: of }) => of['id'] === world.memoryId(name) && of['namespace'] === world.homeId,
  )?.columns
  const document = Number(columns?.['document']) < 0 ? '-900002' : '900002'
  const set: Readonly<Record<string, string>> = {
    version: '2',
    document,
    dedupe_key: `'\\xfe'`,
    is_current: 'false',
    source_agent: 'mindglue.context_agent()',
    ...changes,
  }
  const names = Object.keys(columns ?? {})
  const values = names.map((column) => set[column] ?? `m.${column}`)
  return `insert into mindglue.memories (${names.join()}) select ${values.join()}
    from mindglue.memories m
    where m.namespace = ${world.homeId} and m.id = '${world.memoryId(name)}' and m.version < 4`
}
