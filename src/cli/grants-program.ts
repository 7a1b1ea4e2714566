/** The command lines of `mindglue grants`; what they do is in grants.ts. */
import { Option, type Command } from 'commander'
import { memoryTypes } from '../memory/memory.ts'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface CreateOptions {
  readonly type?: readonly string[]
  readonly tag?: string
  readonly entity?: string
  readonly includeShared?: true
  readonly penalty?: string
  readonly expiresDays?: string
  readonly expiresAt?: string
  readonly json?: true
}

/** Adds the group; `entry` is the script to run again as the daemon. */
export function addGrants(program: Command, run: Run, entry: string): void {
  const group = program
    .command('grants')
    .description('let other namespaces read memories of this one, and end it')
    .helpCommand(false)
  addCreate(group, run, entry)
  group
    .command('list', { isDefault: true })
    .description('print what the namespace gives and holds, newest first')
    .option('--json', 'print JSON')
    .allowExcessArguments()
    .action(
      run(async (config, { json }: { readonly json?: true }) => {
        const { runGrantList } = await import('./grants.ts')
        return await runGrantList({ config, version, entry, isJson: json === true })
      }),
    )
  group
    .command('revoke')
    .description('end a grant for good, given or held, from the next statement on')
    .argument('<id>', 'as the list prints it')
    .option('--json', 'print JSON')
    .action(async (id: string, options: { readonly json?: true }, command: Command) => {
      const action = run(async (config, { json }: { readonly json?: true }) => {
        const { runGrantRevoke } = await import('./grants.ts')
        return await runGrantRevoke({ config, version, entry, id, isJson: json === true })
      })
      await action(options, command)
    })
}

function addCreate(group: Command, run: Run, entry: string): void {
  group
    .command('create')
    .description('let a namespace read public memories of this one')
    .argument('<namespace>', 'who may read')
    .addOption(new Option('--type <type...>', 'only memories of these types').choices(memoryTypes))
    .option('--tag <tag>', 'only memories with this tag')
    .option('--entity <name>', 'only memories that mention this name')
    .option('--include-shared', 'memories that are shared within the namespace as well')
    .option(
      '--penalty <number>',
      'taken off the score of what is found: 0.15 when left out, 0 to 1',
    )
    .option('--expires-days <number>', 'end it after so many days')
    .option('--expires-at <time>', 'end it at this time (ISO 8601)')
    .option('--json', 'print JSON')
    .action(async (to: string, options: CreateOptions, command: Command) => {
      const action = run(async (config, { json, ...terms }: CreateOptions) => {
        const { runGrantCreate } = await import('./grants.ts')
        return await runGrantCreate({ config, version, entry, to, terms, isJson: json === true })
      })
      await action(options, command)
    })
}
