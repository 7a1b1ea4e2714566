/** Two namespaces, one with memories to show, and the calls by which one shows them to the other. */
import type { z } from 'zod'
import type { Operation } from '../../src/operation.ts'
import type { Profile } from '../../src/namespaces/namespaces.ts'
import { allScopes, type Principal } from '../../src/principal.ts'
import type { TestMemory } from './memory.ts'

export interface Pair {
  readonly home: Principal
  /** Administrator of the home. */
  readonly giver: Principal
  readonly reader: Principal
  /** Administrator of the reader's namespace. */
  readonly holder: Principal
}

export const harbour = [
  { content: 'The harbour crane is painted red.', access: 'public', type: 'fact', tags: ['crane'] },
  {
    content: 'On Monday the harbour is inspected by Grace Hopper.',
    access: 'public',
    type: 'event',
  },
  { content: 'The harbour budget is four million.', access: 'shared', type: 'fact' },
  { content: 'The harbour master drinks in secret.', access: 'private', type: 'fact' },
] as const

export const contents = (answer: {
  readonly results: readonly { readonly content: string }[]
}): string[] => answer.results.map(({ content }) => content).toSorted()

/** `memory` is asked for at each call, since a suite opens it in its `beforeAll`. */
export function grantCalls(memory: () => TestMemory) {
  const run = <I extends z.ZodType, O extends z.ZodType, P>(
    operation: Operation<I, O, P>,
    principal: Principal,
    input: unknown,
  ) => memory().execute(operation, principal, input)
  const agent = (namespaceName: string, name = 'ada') =>
    memory().principal({ namespaceName, agent: name })
  const admin = (namespaceName: string) =>
    memory().principal({ namespaceName, agent: 'root', scopes: allScopes })
  return {
    run,
    agent,
    admin,
    /** The first holds what `memories` says. */
    pair: async (
      name: string,
      memories: readonly object[],
      { home: profile = 'field', reader: other = 'field' }: PairProfiles = {},
    ): Promise<Pair> => {
      await memory().principal({ namespaceName: `${name}-home`, profile })
      await memory().principal({ namespaceName: `${name}-reader`, profile: other })
      const home = await agent(`${name}-home`)
      await run(memory().operations.store, home, { memories })
      return {
        home,
        giver: await admin(`${name}-home`),
        reader: await agent(`${name}-reader`, 'bob'),
        holder: await admin(`${name}-reader`),
      }
    },
    grant: (giver: Principal, to: Principal, terms: object = {}) =>
      run(memory().operations.grantCreate, giver, { to: to.namespaceName, ...terms }),
    ask: (who: Principal, query: string, more: object = {}) =>
      run(memory().operations.recall, who, { query, include_granted: true, ...more }),
  }
}

interface PairProfiles {
  readonly home?: Profile
  readonly reader?: Profile
}
