/**
 * Each function that acts with its owner's rights, called by those it is for and by those it is not for. Once
 * as the database is and once with FORCE lifted: what the text of a function says must hold by itself.
 */
import { accountCases } from './account-probes.ts'
import { clientCases } from './client-probes.ts'
import { directoryCases } from './directory-probes.ts'
import { keyCases } from './key-probes.ts'
import { memberCases } from './member-probes.ts'
import { silent, type Expected, type Probe, type Role } from './probes.ts'
import { removalCases } from './removal-probes.ts'
import { strayId, type World } from './world.ts'

export interface FunctionProbes {
  readonly all: readonly Probe[]
  /** With FORCE lifted. */
  readonly lifted: readonly Probe[]
  /** What is the directory's, asked by those it is not for. */
  readonly silent: readonly Probe[]
}

export function functionProbes(world: World): FunctionProbes {
  const { hostile, homeId, readerId, leavingId } = world
  const as = (namespace: string, who: string, flags: string) =>
    hostile.agent(BigInt(namespace), who, flags)
  const people: Readonly<Record<string, readonly [Role, string]>> = {
    nobody: ['mindglue_app', ''],
    directory: ['mindglue_app', world.directory],
    ada: ['mindglue_app', as(homeId, 'ada', '-')],
    adaRoot: ['mindglue_app', as(homeId, 'ada', 'aq')],
    annieRoot: ['mindglue_app', as(homeId, 'annie', 'aq')],
    readerBobRoot: ['mindglue_app', as(readerId, 'bob', 'aq')],
    annie: ['mindglue_app', as(homeId, 'annie', '-')],
    eve: ['mindglue_app', as(homeId, 'eve', '-')],
    root: ['mindglue_app', as(homeId, 'root', 'aq')],
    readerBob: ['mindglue_app', as(readerId, 'bob', '-')],
    readerRoot: ['mindglue_app', as(readerId, 'root', 'aq')],
    granted: ['mindglue_app', world.named('all')],
    job: ['mindglue_job', as(homeId, 'job', 'aqj')],
    noJob: ['mindglue_job', as(homeId, 'job', 'aq')],
    jobOfNobody: ['mindglue_job', ''],
    readerJob: ['mindglue_job', as(readerId, 'job', 'aqj')],
    ghostEve: ['mindglue_app', as('12345', 'eve', '-')],
    ghostRoot: ['mindglue_app', as('12345', 'root', 'aq')],
    ghostAppJob: ['mindglue_app', as('12345', 'job', 'aqj')],
    ghostJob: ['mindglue_job', as('12345', 'job', 'aqj')],
    wrongReader: ['mindglue_app', world.under({ reader: leavingId, grant: world.grantId('all') })],
    wrongHome: ['mindglue_app', world.under({ home: leavingId, grant: world.grantId('all') })],
    wrongGrant: ['mindglue_app', world.under({ grant: strayId })],
    revoked: ['mindglue_app', world.named('revoked')],
    expired: ['mindglue_app', world.named('expired')],
    leavingRoot: ['mindglue_app', as(leavingId, 'root', 'aq')],
    leavingJob: ['mindglue_job', as(leavingId, 'job', 'aqj')],
    leavingNoJob: ['mindglue_job', as(leavingId, 'job', 'aq')],
  }
  const cases = [
    ...keyCases(),
    ...memberCases(),
    ...accountCases(world),
    ...directoryCases(world),
    ...removalCases(world),
    ...clientCases(),
  ]
  const probe = (who: string, call: string, expected: Expected): Probe => {
    const [role, context] = people[who] ?? ['mindglue_app', '']
    return {
      about: [
        ...(call.match(/\b[a-z]+_[a-z_]+(?=\()/gu) ?? []),
        ...(call.includes('context_granted') ? ['live_grant'] : []),
      ],
      name: `${who}: ${call}`,
      role,
      context,
      statement: call,
      expected,
    }
  }
  const all = cases.map(([who, call, expected]) => probe(who, call, expected))
  return {
    all,
    lifted: cases.map(([who, call, expected, lifted]) => probe(who, call, lifted ?? expected)),
    silent: cases
      .filter(
        ([who, call, { state }]) =>
          who === 'directory' && state === null && !call.includes(`('new')`),
      )
      .flatMap(([, call]) =>
        strangers.filter((who) => !isOpen(who, call)).map((who) => probe(who, call, silent)),
      ),
  }
}

/** Whom the directory tells nothing: the mark is not theirs, and they are nobody there. */
const strangers = ['nobody', 'eve', 'ghostEve', 'ghostRoot', 'ghostAppJob', 'granted']

/** Jobs walk over names and root keys, and an agent knows its own namespace's name. */
function isOpen(who: string, call: string): boolean {
  // Who sees all of a namespace that is not there fails on its key instead.
  if (/^ghost(?:Root|AppJob)$/u.test(who) && call.includes('account_own')) return true
  if (who === 'ghostAppJob') return /namespace_find|root_keys_known/u.test(call)
  return who === 'eve' && /namespace_find\('home'/u.test(call)
}
