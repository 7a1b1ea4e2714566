/**
 * Each function that acts with its owner's rights, called by those it is for and by those it is not for. Once
 * as the database is and once with FORCE lifted: what the text of a function says must hold by itself.
 */
import { accountCases } from './account-probes.ts'
import { clientCases } from './client-probes.ts'
import { directoryCases } from './directory-probes.ts'
import { keyCases } from './key-probes.ts'
import { memberCases } from './member-probes.ts'
import type { Probe, Role } from './probes.ts'
import { removalCases } from './removal-probes.ts'
import { strayId, type World } from './world.ts'

export function functionProbes(world: World): readonly Probe[] {
  const { hostile, homeId, readerId, leavingId } = world
  const as = (namespace: string, who: string, flags: string) =>
    hostile.agent(BigInt(namespace), who, flags)
  const people: Readonly<Record<string, readonly [Role, string]>> = {
    nobody: ['mindglue_app', ''],
    ada: ['mindglue_app', as(homeId, 'ada', '-')],
    root: ['mindglue_app', as(homeId, 'root', 'aq')],
    readerRoot: ['mindglue_app', as(readerId, 'root', 'aq')],
    granted: ['mindglue_app', world.named('all')],
    job: ['mindglue_job', as(homeId, 'job', 'aqj')],
    noJob: ['mindglue_job', as(homeId, 'job', 'aq')],
    jobOfNobody: ['mindglue_job', ''],
    readerJob: ['mindglue_job', as(readerId, 'job', 'aqj')],
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
  return cases.map(([who, call, expected]) => {
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
  })
}
