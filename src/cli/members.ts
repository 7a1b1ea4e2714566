/** `mindglue members`: who may enter the namespace with an account. */
import type { OperatorCommands } from '../daemon/operate.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson } from './output.ts'

export interface MembersOptions extends OperatorOptions {
  readonly isJson: boolean
}

export interface ChangeMemberOptions extends MembersOptions {
  readonly change: 'invite' | 'set' | 'remove'
  readonly email: string
  /** As typed; checked by the operation. */
  readonly role: string | undefined
  readonly agent: string | undefined
}

type Member = OperatorCommands['memberList']['output']['members'][number]
type Role = OperatorCommands['memberSet']['input']['role']

const pageMax = 500
/** More people than a namespace can have. */
const peopleMax = 10_000

/** Exit code 0. */
export async function runListMembers(options: MembersOptions): Promise<number> {
  const members = await withOperator(options, async (operator) => {
    const all: Member[] = []
    while (all.length < peopleMax) {
      const last = all.at(-1)
      const page = await operator.run('memberList', {
        limit: pageMax,
        ...(last !== undefined && { after_email: last.email }),
      })
      all.push(...page.members)
      if (page.members.length < pageMax) break
    }
    return all
  })
  if (options.isJson) printJson(members)
  else if (members.length === 0) print('Nobody: mindglue members invite ADDRESS --role member')
  else {
    const rows = members.map(({ email, role, agent, state, since }) => [
      email,
      role,
      agent,
      state,
      since.slice(0, 10),
    ])
    print(columns([['address', 'role', 'acts as', 'state', 'since'], ...rows]))
  }
  return 0
}

/** Exit code 0. Throws AppError: what the operation throws. */
export async function runChangeMember(options: ChangeMemberOptions): Promise<number> {
  const { change, email, agent } = options
  // The operation knows the roles and says which one is wrong.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked there, by its schema
  const role = options.role as Role
  if (change === 'invite') {
    const input = { email, role, ...(agent !== undefined && { agent }) }
    const invited = await withOperator(
      options,
      async (operator) => await operator.run('memberInvite', input),
    )
    if (options.isJson) printJson(invited)
    else {
      print(invited.code)
      print(`For ${invited.email} as ${invited.agent} in namespace ${options.config.namespaceName}`)
      print(`Valid until ${invited.expires_at.slice(0, 16).replace('T', ' ')} UTC`)
    }
    return 0
  }
  const done = await withOperator(options, async (operator) =>
    change === 'set'
      ? await operator.run('memberSet', { email, role })
      : await operator.run('memberRemove', { email }),
  )
  if (options.isJson) printJson(done)
  else print(`Done: ${done.email}`)
  return 0
}
