/** The command line of `mindglue members`; what it does is in members.ts. */
import { Option, type Command } from 'commander'
import { roles } from '../accounts/roles.ts'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface MemberCommandOptions {
  readonly role?: string
  readonly actsAs?: string
  readonly json?: true
}

/** Adds the group; `entry` is the script to run again as the daemon. */
export function addMemberCommands(program: Command, run: Run, entry: string): void {
  const group = program
    .command('members')
    .description('invite people with accounts to the namespace, change their role, remove them')
  const role = (): Option =>
    new Option('--role <role>', 'admin: everything; member: memories; reader: reads memories')
      .choices(roles)
      .makeOptionMandatory()
  group
    .command('list')
    .description('list who may enter the namespace, and who was invited')
    .option('--json', 'print JSON')
    .action(
      run(async (config, { json }: MemberCommandOptions) => {
        const { runListMembers } = await import('./members.ts')
        return await runListMembers({ config, version, entry, isJson: json === true })
      }),
    )
  const about = (command: Command, change: 'invite' | 'set' | 'remove'): void => {
    command
      .argument('<email>', 'e-mail address of the person')
      .option('--json', 'print JSON')
      .action(async (email: string, options: MemberCommandOptions, self: Command) => {
        const action = run(async (config, { role: asRole, actsAs, json }: MemberCommandOptions) => {
          const { runChangeMember } = await import('./members.ts')
          const isJson = json === true
          const given = { change, email, role: asRole, agent: actsAs }
          return await runChangeMember({ config, version, entry, isJson, ...given })
        })
        await action(options, self)
      })
  }
  const invite = group
    .command('invite')
    .description(
      'invite a person; the code that is printed is for the account of this address alone',
    )
    .addOption(role())
    .option(
      '--acts-as <agent>',
      'agent that the person acts as; what stands before the @ if left out',
    )
  about(invite, 'invite')
  about(group.command('set').description("change a member's role").addOption(role()), 'set')
  about(
    group.command('remove').description('take the namespace from a member; what they stored stays'),
    'remove',
  )
}
