/** The commands of `mindglue api-keys` with their options and help. */
import { Option, type Command } from 'commander'
import { allScopes } from '../principal.ts'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface IssueCommandOptions {
  readonly label?: string
  readonly scope?: readonly string[]
  readonly tool?: readonly string[]
  readonly requestsPerMinute?: string
  readonly expiresDays?: string
  readonly json?: true
}

interface ByIdOptions {
  readonly grace?: string
  readonly json?: true
}

/** Adds the group; `entry` is the script to run again as the daemon. */
export function addApiKeyCommands(program: Command, run: Run, entry: string): void {
  const group = program
    .command('api-keys')
    .description('issue, list, rotate and revoke the keys of HTTP clients')
  addIssue(group, run, entry)
  group
    .command('list')
    .description('list the keys of the namespace, newest first, without their secrets')
    .option('--json', 'print JSON')
    .action(
      run(async (config, options: { readonly json?: true }) => {
        const { runList } = await import('./api-keys.ts')
        return await runList({ config, version, entry, isJson: options.json === true })
      }),
    )
  addById(group, run, entry)
}

function addIssue(group: Command, run: Run, entry: string): void {
  group
    .command('issue')
    .description('make a key of the namespace for an agent; it is shown once')
    .argument('<agent>', 'agent that the key acts as')
    .option('--label <text>', 'where the key is used, for the list')
    .addOption(
      new Option(
        '--scope <scope...>',
        'what the key may do; memory:read memory:write memory:forget when left out',
      ).choices(allScopes),
    )
    .option('--tool <name...>', 'the only tools the key may see and call')
    .option('--requests-per-minute <number>', 'a limit of its own, below that of the namespace')
    .option('--expires-days <number>', 'refuse the key after so many days')
    .option('--json', 'print JSON')
    .action(async (agent: string, options: IssueCommandOptions, command: Command) => {
      const action = run(async (config, given: IssueCommandOptions) => {
        const { runIssue } = await import('./api-keys.ts')
        return await runIssue({
          config,
          version,
          entry,
          forAgent: agent,
          label: given.label,
          scopes: given.scope,
          tools: given.tool,
          requestsPerMinute: given.requestsPerMinute,
          expiresDays: given.expiresDays,
          isJson: given.json === true,
        })
      })
      await action(options, command)
    })
}

function addById(group: Command, run: Run, entry: string): void {
  group
    .command('rotate')
    .description('give a key a new secret, shown once; the one before stays valid for a while')
    .argument('<id>', 'id of the key, or its public part (mgk_…)')
    .option('--grace <hours>', 'how long it does: 24 hours when left out, 0 to 168')
    .option('--json', 'print JSON')
    .action(async (id: string, options: ByIdOptions, command: Command) => {
      const action = run(async (config, { grace, json }: ByIdOptions) => {
        const { runRotate } = await import('./api-keys.ts')
        return await runRotate({ config, version, entry, id, grace, isJson: json === true })
      })
      await action(options, command)
    })
  group
    .command('revoke')
    .description('end a key for good, on every server within five seconds')
    .argument('<id>', 'id of the key, or its public part; - reads it, or a whole key, from stdin')
    .option('--json', 'print JSON')
    .action(async (id: string, options: ByIdOptions, command: Command) => {
      const action = run(async (config, { json }: ByIdOptions) => {
        const { runRevoke } = await import('./api-keys.ts')
        return await runRevoke({ config, version, entry, id, isJson: json === true })
      })
      await action(options, command)
    })
}
