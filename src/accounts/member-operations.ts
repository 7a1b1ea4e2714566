/** The operations `member.list`, `member.invite`, `member.set` and `member.remove`, for administrators. */
import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Operation } from '../operation.ts'
import { emailAddress } from './email.ts'
import {
  inviteMember,
  listMembers,
  removeMember,
  setMemberRole,
  type InviteOutcome,
  type MemberRow,
} from './members.sql.ts'
import { roles } from './roles.ts'

const peopleMax = 1000
const pageMax = 500
const pageDefault = 100
/** A week: long enough for a holiday weekend, short enough that old letters open nothing. */
const invitationSeconds = 604_800
const codeBytes = 20

// oxlint-disable-next-line no-control-regex -- control characters are exactly what is refused
const plainName = /^[^\s\u0000-\u001f\u007f](?:[^\u0000-\u001f\u007f]*[^\s\u0000-\u001f\u007f])?$/u
const role = z
  .enum(roles)
  .describe('`admin`: everything, members too. `member`: memories. `reader`: reads memories')

const described = z.object({
  email: z.string(),
  agent: z.string(),
  role: z.enum(roles),
  state: z.enum(['member', 'invited']),
  since: z.string(),
  by: z.string(),
  /** Of an invitation. */
  expires_at: z.string().nullable(),
})

const listInput = z.strictObject({
  limit: z.int().min(1).max(pageMax).optional().describe('People of a page; 100 when left out'),
  after_email: z.string().max(254).optional().describe('The last address of the page before'),
})
const listOutput = z.object({ members: z.array(described) })

/** Who may enter the namespace, and who was invited to. */
export function memberListOperation(): Operation<typeof listInput, typeof listOutput, undefined> {
  return {
    name: 'member.list',
    title: 'List members',
    description: 'Lists who may enter this namespace, and who was invited to, by e-mail address.',
    scope: 'admin',
    effect: 'read',
    input: listInput,
    output: listOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx }, _, { after_email: after, limit = pageDefault }) => {
      const members = (await listMembers(tx, after, limit)).map(describe)
      return { output: { members }, audit: { counts: { members: members.length } } }
    },
  }
}

function describe(row: MemberRow): z.output<typeof described> {
  return {
    email: row.email,
    agent: row.agent,
    role: z.enum(roles).parse(row.role),
    state: row.expires_at === null ? 'member' : 'invited',
    since: row.since.toISOString(),
    by: row.by_agent,
    expires_at: row.expires_at?.toISOString() ?? null,
  }
}

const inviteInput = z.strictObject({
  email: emailAddress,
  role,
  agent: z
    .string()
    .max(128)
    .regex(plainName)
    .optional()
    .describe('Agent that the person acts as; left out, what stands before the @'),
})
const inviteOutput = z.object({
  email: z.string(),
  agent: z.string(),
  role: z.enum(roles),
  /** To hand over: it opens nothing but for the account of this very address. */
  code: z.string(),
  expires_at: z.string(),
})

/** The code is worth nothing to anybody else, so its maker may see it and hand it over in any way. */
export function memberInviteOperation(): Operation<
  typeof inviteInput,
  typeof inviteOutput,
  string
> {
  return {
    name: 'member.invite',
    title: 'Invite a member',
    description:
      'Invites a person by e-mail address. The code that comes back is for them: signed in as that ' +
      'address they accept with it, within a week. A new invitation replaces the one before.',
    scope: 'admin',
    effect: 'write',
    input: inviteInput,
    output: inviteOutput,
    isIdempotent: () => false,
    prepare: () => Promise.resolve(randomBytes(codeBytes).toString('base64url')),
    commit: async ({ tx, now }, code, input) => {
      const { email } = input
      const agent = input.agent ?? email.slice(0, email.lastIndexOf('@'))
      const outcome = await inviteMember(tx, {
        codeHash: invitationHash(code),
        email,
        agent,
        role: input.role,
        lifeSeconds: invitationSeconds,
        peopleMax,
      })
      if (outcome !== 'invited') throw refusal(outcome)
      const expiresAt = new Date(now.getTime() + invitationSeconds * 1000).toISOString()
      const output = { email, agent, role: input.role, code, expires_at: expiresAt }
      return { output, audit: { counts: { members: 1 } } }
    },
  }
}

/** What is stored of an invitation's code. */
export function invitationHash(code: string): Buffer {
  return createHash('sha256').update(`invitation|${code}`).digest()
}

function refusal(outcome: Exclude<InviteOutcome, 'invited'> | undefined): Error {
  if (outcome === 'member') return new AppError('conflict', 'This person is a member already.')
  if (outcome === 'agent') {
    return new AppError('conflict', 'Another person acts as this agent; choose another `agent`.')
  }
  if (outcome === 'full') {
    return new AppError('conflict', `A namespace has at most ${peopleMax} members.`)
  }
  return new TypeError('an administrator could not invite')
}

const setInput = z.strictObject({ email: emailAddress, role })
const setOutput = z.object({ email: z.string(), role: z.enum(roles) })

/** Acts within two seconds, on sessions that are open as well. */
export function memberSetOperation(): Operation<typeof setInput, typeof setOutput, undefined> {
  return {
    name: 'member.set',
    title: "Change a member's role",
    description: 'Gives a member, or somebody who was invited, another role.',
    scope: 'admin',
    effect: 'write',
    input: setInput,
    output: setOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx }, _, input) => {
      if (!(await setMemberRole(tx, input.email, input.role))) throw nobody()
      return { output: input, audit: { counts: { members: 1 } } }
    },
  }
}

const removeInput = z.strictObject({ email: emailAddress })
const removeOutput = z.object({ email: z.string() })

/** What the person stored stays, under the agent's name. */
export function memberRemoveOperation(): Operation<
  typeof removeInput,
  typeof removeOutput,
  undefined
> {
  return {
    name: 'member.remove',
    title: 'Remove a member',
    description:
      'Takes the namespace from a member, within two seconds, or an invitation back. What the ' +
      'person stored stays.',
    scope: 'admin',
    effect: 'write',
    input: removeInput,
    output: removeOutput,
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async ({ tx }, _, { email }) => {
      if (!(await removeMember(tx, email))) throw nobody()
      return { output: { email }, audit: { counts: { members: 1 } } }
    },
  }
}

function nobody(): AppError {
  return new AppError('not_found', 'This namespace has no member with this address.')
}
