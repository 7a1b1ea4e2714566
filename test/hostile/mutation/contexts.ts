/** Everybody who may come: contexts of agents, administrators, jobs and readers under grants, and forgeries. */
import { hexOf, inAnHour } from '../../support/statements.ts'
import type { World } from './world.ts'

/** What a context says, and the text that says it. */
export interface Context {
  readonly name: string
  readonly signed: string
  /** Namespace of an agent's context. */
  readonly own?: string
  readonly agent?: string
  readonly flags: string
  /** Namespace of a reader, and the grant it names. */
  readonly reader?: string
  readonly home?: string
  readonly grant?: string
  /** Not one that the database accepts. */
  readonly isFalse?: boolean
}

export function contextsOf(world: World): readonly Context[] {
  const { homeId, readerId, hostile } = world
  const agent = (name: string, own: string, who: string, flags: string): Context => ({
    name,
    signed: hostile.agent(BigInt(own), who, flags),
    own,
    agent: who,
    flags,
  })
  const under = (grant: string, changes: { home?: string; reader?: string } = {}): Context => {
    const parts = { home: homeId, reader: readerId, ...changes }
    return {
      name: `under grant ${grant} ${Object.keys(changes).join()}`,
      signed: world.under({ ...parts, grant: world.grantId(grant) }),
      flags: 'g',
      grant: world.grantId(grant),
      ...parts,
    }
  }
  const ada = agent('ada', homeId, 'ada', '-')
  const cut = ada.signed.replace(/-\|/u, 'a|')
  return [
    { name: 'nobody', signed: '', flags: '' },
    ada,
    agent('ada who sees quarantine', homeId, 'ada', 'q'),
    agent('bob', homeId, 'bob', '-'),
    agent('eve', homeId, 'eve', '-'),
    agent('root', homeId, 'root', 'a'),
    agent('root who sees quarantine', homeId, 'root', 'aq'),
    agent('reader bob', readerId, 'bob', '-'),
    agent('reader root', readerId, 'root', 'aq'),
    agent('job', homeId, 'job', 'aqj'),
    agent('reader job', readerId, 'job', 'aqj'),
    { name: 'directory', signed: world.directory, flags: 'd' },
    // With a namespace in it the mark says nothing.
    agent('ada with the mark of a directory', homeId, 'ada', 'd'),
    ...['all', 'facts', 'tagged', 'named', 'shared', 'revoked', 'expired'].map((grant) =>
      under(grant),
    ),
    under('all', { reader: world.leavingId }),
    under('all', { home: world.leavingId }),
    { ...ada, name: 'forged ada', signed: cut, isFalse: true },
    {
      name: 'under a grant without its flag',
      signed: world.under({ grant: world.grantId('all'), flags: 'aq' }),
      flags: '',
      isFalse: true,
    },
    {
      ...ada,
      name: 'late ada',
      signed: hostile.sign(homeId, hexOf('ada'), '-', inAnHour() - 7200),
      isFalse: true,
    },
    {
      ...ada,
      name: 'ada of five parts',
      signed: hostile.sign(homeId, hexOf('ada'), '-', inAnHour(), 'more'),
      isFalse: true,
    },
    {
      name: 'a directory of six parts',
      signed: hostile.sign('', '', 'd', inAnHour(), '', ''),
      flags: 'd',
      isFalse: true,
    },
    {
      name: 'a grant of seven parts',
      signed: hostile.sign(homeId, '', 'g', inAnHour(), readerId, world.grantId('all'), ''),
      flags: 'g',
      isFalse: true,
    },
  ]
}
