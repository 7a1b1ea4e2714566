/** The command lines of `mindglue policy` and `mindglue scan`; what they do is in policy.ts and scan.ts. */
import { Option, type Command } from 'commander'
import { doorActions, type DoorAction } from '../operation.ts'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface PolicyCommandOptions {
  readonly credentials?: DoorAction
  readonly personal?: DoorAction
  readonly json?: true
}

interface ScanCommandOptions {
  readonly dryRun?: true
  readonly json?: true
}

/** Adds both; `entry` is the script to run again as the daemon. */
export function addPolicy(program: Command, run: Run, entry: string): void {
  const choice = (flags: string, description: string) =>
    new Option(flags, description).choices([...doorActions])
  program
    .command('policy')
    .description(
      'say or change what becomes of credentials and personal data that are to be stored',
    )
    .addOption(choice('--credentials <action>', 'passwords, tokens, private keys'))
    .addOption(
      choice('--personal <action>', 'mail, phone, card, account and state numbers, addresses'),
    )
    .option('--json', 'print JSON')
    .allowExcessArguments()
    .action(
      run(async (config, { json, ...change }: PolicyCommandOptions) => {
        const { runPolicy } = await import('./policy.ts')
        return await runPolicy({ config, version, entry, change, isJson: json === true })
      }),
    )
  program
    .command('scan')
    .description('apply the policy to what is stored already, versions and indexes included')
    .option('--dry-run', 'only count')
    .option('--json', 'print JSON')
    .allowExcessArguments()
    .action(
      run(async (config, { dryRun, json }: ScanCommandOptions) => {
        const { runScan } = await import('./scan.ts')
        const isDryRun = dryRun === true
        return await runScan({ config, version, entry, isDryRun, isJson: json === true })
      }),
    )
}
