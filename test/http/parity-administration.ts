/** What `rest-parity` asks about keys, grants, people, programs and the namespace itself, after the memories. */
import { z } from 'zod'
import type { Seen, Step } from './parity-steps.ts'

const identified = z.object({ id: z.string() })
const madeIn = (seen: Seen, step: string): string => identified.parse(seen.get(step)).id
const clientIn = (seen: Seen): string =>
  z.object({ clients: z.array(z.object({ client: z.string() })) }).parse(seen.get('clients'))
    .clients[0]?.client ?? ''
export const invitedIn = (seen: Seen) =>
  z.object({ code: z.string(), agent: z.string() }).parse(seen.get('invite'))

export const email = 'mary@example.org'

export const administrationSteps: readonly Step[] = [
  {
    name: 'issue',
    route: 'issueKey',
    input: () => ({ agent: 'reader', scopes: ['memory:read'], label: 'of a test' }),
  },
  {
    name: 'rotate',
    route: 'rotateKey',
    input: (seen) => ({ id: madeIn(seen, 'issue'), grace_seconds: 60 }),
  },
  {
    name: 'keys',
    route: 'listKeys',
    input: () => ({ limit: 10 }),
  },
  {
    name: 'revoke',
    route: 'revokeKey',
    input: (seen) => ({ id: madeIn(seen, 'issue') }),
  },
  {
    name: 'grant',
    route: 'createGrant',
    input: () => ({
      to: 'guest',
      types: ['fact'],
      tag: 'open',
      expires_at: '2099-01-01T00:00:00Z',
    }),
    tool: 'grant_create',
  },
  {
    name: 'grants',
    route: 'listGrants',
    input: () => ({ limit: 5 }),
    tool: 'grant_list',
  },
  {
    name: 'end a grant',
    route: 'revokeGrant',
    input: (seen) => ({ id: madeIn(seen, 'grant') }),
    tool: 'grant_revoke',
  },
  {
    name: 'invite',
    route: 'inviteMember',
    input: () => ({ email, role: 'member' }),
  },
  {
    name: 'change a member',
    route: 'changeMember',
    input: () => ({ email, role: 'member' }),
  },
  {
    name: 'members',
    route: 'listMembers',
    input: () => ({ limit: 10 }),
  },
  {
    name: 'clients',
    route: 'listClients',
    input: () => ({ limit: 10 }),
  },
  {
    name: 'shut a client out',
    route: 'revokeClient',
    input: (seen) => ({ client: clientIn(seen), email }),
  },
  {
    name: 'remove a member',
    route: 'removeMember',
    input: () => ({ email }),
  },
  {
    name: 'say what to keep',
    route: 'setInstructions',
    input: () => ({ instructions: 'Keep decisions with their reasons.' }),
  },
  {
    name: 'what to keep',
    route: 'readInstructions',
    input: () => ({}),
  },
  {
    name: 'namespaces',
    route: 'listNamespaces',
    input: () => ({}),
  },
  {
    name: 'change the namespace',
    route: 'changeNamespace',
    input: ({ namespaceName: name }) => ({ name, policy: { personal: 'refuse' } }),
  },
  {
    name: 'the namespace',
    route: 'readNamespace',
    input: ({ namespaceName: name }) => ({ name }),
  },
  { name: 'usage', route: 'readUsage', input: () => ({}) },
  { name: 'plans', route: 'listPlans', input: () => ({}) },
]
