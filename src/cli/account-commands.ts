/** The command line of `mindglue accounts`. */
import type { Command } from 'commander'
import { version } from '../version.ts'
import type { Run } from './program.ts'

/** Adds the group; `entry` is the script to run again as the daemon. */
export function addAccountCommands(program: Command, run: Run, entry: string): void {
  program
    .command('accounts')
    .description('help people with their account')
    .command('recover')
    .description('take the second factor of somebody away who lost it; they are told by letter')
    .argument('<email>', 'e-mail address of the account')
    .action(async (email: string, options: object, self: Command) => {
      const action = run(async (config) => {
        const [{ withOperator }, { print }] = await Promise.all([
          import('./operator.ts'),
          import('./output.ts'),
        ])
        await withOperator({ config, version, entry }, (operator) =>
          operator.run('accounts.recover', { email }),
        )
        print(`Done: ${email} logs in with the password alone`)
        return 0
      })
      await action(options, self)
    })
}
