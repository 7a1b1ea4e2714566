/** The command line of `mindglue clients`; what it does is in clients.ts. */
import type { Command } from 'commander'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface ClientCommandOptions {
  readonly member?: string
  readonly json?: true
}

/** Adds the group; `entry` is the script to run again as the daemon. */
export function addClientCommands(program: Command, run: Run, entry: string): void {
  const group = program
    .command('clients')
    .description('list programs that members let in with OAuth, and shut them out')
  group
    .command('list')
    .description('list who let which program into the namespace')
    .option('--json', 'print JSON')
    .action(
      run(async (config, { json }: ClientCommandOptions) => {
        const { runListClients } = await import('./clients.ts')
        return await runListClients({ config, version, entry, isJson: json === true })
      }),
    )
  group
    .command('revoke')
    .description('shut a program out, of one member or of all')
    .argument('<client>', 'its id, from `mindglue clients list`')
    .option('--member <email>', 'only what this member allowed')
    .option('--json', 'print JSON')
    .action(async (client: string, options: ClientCommandOptions, self: Command) => {
      const action = run(async (config, { member: email, json }: ClientCommandOptions) => {
        const { runRevokeClient } = await import('./clients.ts')
        const isJson = json === true
        return await runRevokeClient({ config, version, entry, isJson, client, email })
      })
      await action(options, self)
    })
}
