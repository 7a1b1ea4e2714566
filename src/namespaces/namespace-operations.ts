/** The operations `namespace.list`, `namespace.read` and `namespace.set`: what a credential opens, and how it is kept. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { doorActions, type Operation } from '../operation.ts'
import { allScopes, type Principal } from '../principal.ts'
import { grantsMax } from './granted.ts'
import { heldGrants } from './grants.sql.ts'
import { changePolicy } from './namespaces.sql.ts'
import { planReport, reportUsage, type UsageDependencies } from './usage.ts'

const nothing = z.strictObject({})
const name = z.string().min(1).max(63).describe('As the list of namespaces shows it')
const door = z.enum(doorActions)

const listOutput = z.object({
  namespaces: z.array(
    z.object({
      name: z.string(),
      access: z
        .enum(['own', 'granted'])
        .describe('`own`: what you store is kept there. `granted`: `include_granted` reads there'),
      agent: z.string().describe('Who you are there'),
      scopes: z.array(z.enum(allScopes)).describe('What you may do there'),
    }),
  ),
})

/** No credential opens two: what an account may enter besides is asked of the account. */
export function namespaceListOperation(): Operation<typeof nothing, typeof listOutput, undefined> {
  return {
    name: 'namespace.list',
    title: 'List namespaces',
    description:
      'The namespace that your key or token opens, and those that granted it memories to read, at most eight.',
    scope: 'memory:read',
    effect: 'read',
    input: nothing,
    output: listOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx, principal: { namespaceName, agent, scopes } }) => {
      const held = await heldGrants(tx, grantsMax)
      const givers = new Set(held.map((grant) => grant.namespaceName))
      const own = allScopes.filter((scope) => scopes.has(scope))
      const namespaces: z.output<typeof listOutput>['namespaces'] = [
        { name: namespaceName, access: 'own', agent, scopes: own },
        ...[...givers].map((giver) => ({
          name: giver,
          access: 'granted' as const,
          agent,
          scopes: ['memory:read' as const],
        })),
      ]
      return { output: { namespaces }, audit: { counts: { namespaces: namespaces.length } } }
    },
  }
}

const policyOutput = z
  .object({ credentials: door, personal: door })
  .describe('What becomes of credentials and of personal data in what is stored')
const readInput = z.strictObject({ name })
const readOutput = z.object({
  name: z.string(),
  encryption: z.enum(['off', 'field', 'sealed']),
  embedder: z.string(),
  plan: z.string(),
  policy: policyOutput,
  usage: planReport
    .omit({ plan: true })
    .optional()
    .describe('For administrators: the count holds private memories'),
})

export function namespaceReadOperation(
  dependencies: UsageDependencies,
): Operation<typeof readInput, typeof readOutput, undefined> {
  return {
    name: 'namespace.read',
    title: 'Read a namespace',
    description:
      'How this namespace keeps its memories, and what becomes of credentials and personal data in what it is given; for administrators also what it holds and may hold.',
    scope: 'memory:read',
    effect: 'read',
    input: readInput,
    output: readOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx, principal, settings }, _prepared, input) => {
      requireOwn(principal, input.name)
      const { profile: encryption, embedderModel: embedder, plan, door: policy } = settings
      const described = { name: principal.namespaceName, encryption, embedder, plan, policy }
      if (!principal.scopes.has('admin')) return { output: described, audit: {} }
      const { plan: _plan, ...usage } = await reportUsage(tx, plan, dependencies)
      return { output: { ...described, usage }, audit: {} }
    },
  }
}

const setInput = z.strictObject({
  name,
  policy: z
    .strictObject({ credentials: door.optional(), personal: door.optional() })
    .refine(({ credentials, personal }) => (credentials ?? personal) !== undefined, {
      error: 'says nothing: give credentials, personal or both',
    })
    .describe('What is to become of them; what is left out stays as it is'),
})
const setOutput = z.object({ name: z.string(), policy: policyOutput })

/** Writes under way end under the policy of before; what is stored already stays as it is until a scan. */
export function namespaceSetOperation(): Operation<typeof setInput, typeof setOutput, undefined> {
  return {
    name: 'namespace.set',
    title: 'Change a namespace',
    description:
      'Say what becomes of credentials and personal data in what this namespace is given from now on: allowed, flagged, redacted or refused. For administrators.',
    scope: 'admin',
    effect: 'write',
    input: setInput,
    output: setOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx, principal, settings }, _prepared, input) => {
      requireOwn(principal, input.name)
      const { credentials = settings.door.credentials, personal = settings.door.personal } =
        input.policy
      const policy = { credentials, personal }
      await changePolicy(tx, policy)
      const changed = Object.entries(input.policy).filter(([, action]) => action !== undefined)
      // Which action it was, from a closed list: an event holds no other words.
      const counts = Object.fromEntries(changed.map(([what, action]) => [`${what}.${action}`, 1]))
      return { output: { name: principal.namespaceName, policy }, audit: { counts } }
    },
  }
}

/** The name says which is meant, so that a mistaken key changes nothing. One of others does not exist. */
function requireOwn({ namespaceName }: Principal, wanted: string): void {
  if (wanted === namespaceName) return
  throw new AppError('not_found', 'There is no such namespace for you.')
}
