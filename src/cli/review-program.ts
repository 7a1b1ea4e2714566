/** The command lines of `mindglue quarantine` and `mindglue rollback`; what they do is in review.ts. */
import { Option, type Command } from 'commander'
import { quarantineReasons } from '../memory/trust.ts'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface ListOptions {
  readonly reason?: string
  readonly by?: string
  readonly client?: string
  readonly limit: string
  readonly json?: true
}

interface ReviewOptions {
  readonly channelOnly?: true
}

interface RollbackOptions {
  readonly by?: string
  readonly client?: string
  readonly request?: string
  readonly after?: string
  readonly before?: string
  readonly yes?: true
}

/** Adds both; `entry` is the script to run again as the daemon. */
export function addReview(program: Command, run: Run, entry: string): void {
  addQuarantine(program, run, entry)
  program
    .command('rollback')
    .description('forget for good what an agent, a client or a request stored')
    .option('--by <agent>', 'what this agent stored')
    .option('--client <name>', 'what came through a client of this name')
    .option('--request <id>', 'what this one request stored, as `mindglue audit` prints it')
    .option('--after <time>', 'stored at or after (ISO 8601)')
    .option('--before <time>', 'stored before (ISO 8601)')
    .option('--yes', 'do not ask before it is done')
    .allowExcessArguments()
    .action(
      run(async (config, { by, yes, ...narrowing }: RollbackOptions) => {
        const { runRollback } = await import('./review.ts')
        return await runRollback({
          config,
          version,
          entry,
          narrowing: { ...narrowing, ...(by !== undefined && { agent: by }) },
          isConfirmed: yes === true,
        })
      }),
    )
}

function addQuarantine(program: Command, run: Run, entry: string): void {
  const group = program
    .command('quarantine')
    .description('review memories that are held back: from connectors, or written like orders')
    .helpCommand(false)
  group
    .command('list', { isDefault: true })
    .description('print what is quarantined and why, newest first')
    .addOption(
      new Option('--reason <reason>', 'only what has it among its reasons').choices(
        quarantineReasons,
      ),
    )
    .option('--by <agent>', 'only what this agent stored')
    .option('--client <name>', 'only what came through a client of this name')
    .option('--limit <number>', 'at most so many', '20')
    .option('--json', 'print JSON, with the whole text')
    .allowExcessArguments()
    .action(
      run(async (config, { by, limit, json, ...filter }: ListOptions) => {
        const { runQuarantineList } = await import('./review.ts')
        return await runQuarantineList({
          config,
          version,
          entry,
          filter: { ...filter, ...(by !== undefined && { agent: by }) },
          limit,
          isJson: json === true,
        })
      }),
    )
  const decide = (decision: 'approve' | 'reject', description: string): void => {
    group
      .command(decision)
      .description(description)
      .argument('[ids...]', 'as the list prints them')
      .option('--channel-only', 'all that only their channel holds back, and nothing in their text')
      .action(async (ids: readonly string[], options: ReviewOptions, command: Command) => {
        const action = run(async (config, { channelOnly }: ReviewOptions) => {
          const { runDecide } = await import('./review.ts')
          const isChannelOnly = channelOnly === true
          return await runDecide({ config, version, entry, decision, ids, isChannelOnly })
        })
        await action(options, command)
      })
  }
  decide('approve', 'let them be recalled, with the trust they have')
  decide('reject', 'forget them for good')
}
