/** Every command with its options and help; what a command needs is loaded when it is called. */
import { Command, CommanderError, Option } from 'commander'
import { nearest } from '../config/nearest.ts'
import { loadConfig, type Config, type Overrides, type SettingKey } from '../config.ts'
import { version } from '../version.ts'
import { addAccountCommands } from './account-commands.ts'
import { addApiKeyCommands } from './api-key-commands.ts'
import { addGrants } from './grants-program.ts'
import { addClientCommands } from './client-commands.ts'
import { addMemberCommands } from './member-commands.ts'
import { addKeys } from './keys-program.ts'
import { addNamespaces } from './namespaces-program.ts'
import { styleFor } from './output.ts'
import { addPolicy } from './policy-program.ts'
import { addReview } from './review-program.ts'
import { addMemories } from './transfer-commands.ts'

/** Options every command understands, and the setting each one overrides. */
interface GlobalOptions {
  readonly dataDir?: string
  readonly namespace?: string
  readonly agent?: string
  readonly logLevel?: string
}

interface ServeFlags {
  readonly host?: string
  readonly port?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly behindProxy?: string
}

function configFrom(options: GlobalOptions, more: More = {}): Config {
  const given = {
    dataDirectory: options.dataDir,
    namespaceName: options.namespace,
    agent: options.agent,
    logLevel: options.logLevel,
    ...more,
  }
  const overrides: Overrides = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  )
  return loadConfig(undefined, overrides)
}

/**
 * Parses the command line and runs its command. Resolves with the exit code: 2 when it was typed
 * wrong, as shells have it. Throws what the command throws.
 */
export async function runCommandLine(entry: string): Promise<number> {
  const style = styleFor(process.stdout)
  let exitCode = 0
  const program = new Command('mindglue')
    .description('Memory for AI agents over the Model Context Protocol.')
    .version(version, '-V, --version', 'print the version')
    .option('--data-dir <directory>', 'directory of the embedded database')
    .option('--namespace <name>', 'namespace to work in')
    .option('--agent <name>', 'agent to act as')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .configureHelp({
      styleTitle: style.bold,
      styleCommandText: style.cyan,
      styleSubcommandTerm: (term) => style.cyan(term),
      styleOptionTerm: (term) => style.cyan(term),
    })
    .addHelpText('after', examples(style.dim))
    .exitOverride()
  const run: Run = (action, overrides) => async (options, command) => {
    refuseUnknown(command)
    // Settings first: a mistyped one is told before anything is loaded or touched.
    const config = configFrom(program.opts<GlobalOptions>(), overrides?.(options))
    exitCode = await action(config, options, command)
  }
  addServing(program, run, entry)
  addMemories(program, run, entry)
  addUpkeep(program, run)
  addKeys(program, run, entry)
  addChecks(program, run)
  addAudit(program, run, entry)
  addReview(program, run, entry)
  addApiKeyCommands(program, run, entry)
  addGrants(program, run, entry)
  addNamespaces(program, run, entry)
  addPolicy(program, run, entry)
  addAccountCommands(program, run, entry)
  addMemberCommands(program, run, entry)
  addClientCommands(program, run, entry)
  addPlan(program, run, entry)
  try {
    await program.parseAsync()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? 0 : 2
  }
  return exitCode
}

type More = Readonly<Partial<Record<SettingKey, string | undefined>>>

/**
 * Makes a command's action of a function that gets the settings and resolves with an exit code.
 * `overrides` names the settings that the command's own options stand for.
 */
export type Run = <Options extends object>(
  action: (config: Config, options: Options, command: Command) => Promise<number>,
  overrides?: (options: Options) => More,
) => (options: Options, command: Command) => Promise<void>

/** Commander would count arguments; a person wants to know which word was wrong. */
function refuseUnknown(command: Command): void {
  const unknown = command.args[command.registeredArguments.length]
  if (unknown === undefined) return
  // The default command gets what names no command; elsewhere it names no subcommand.
  const siblings = command.commands.length > 0 ? command.commands : (command.parent?.commands ?? [])
  const names = siblings.map((known) => known.name())
  command.error(
    `error: there is no command '${unknown}'; did you mean '${nearest(unknown, names)}'?`,
  )
}

function addServing(program: Command, run: Run, entry: string): void {
  program.commandsGroup('Serve:')
  program
    .command('stdio', { isDefault: true })
    .description('serve one client on stdin and stdout; what runs when no command is named')
    .allowExcessArguments()
    .action(
      run(async (config) => {
        const { runStdio } = await import('./stdio.ts')
        return await runStdio({ config, version, entry })
      }),
    )
  program
    .command('serve')
    .description('serve any number of clients over HTTP, with health and metrics beside it')
    .option('--host <address>', 'address to listen on')
    .option('--port <number>', 'port to listen on; 0 takes a free one')
    .option('--tls-cert <file>', 'serve HTTPS with this certificate (PEM), taken anew on change')
    .option('--tls-key <file>', 'private key of the certificate')
    .option('--behind-proxy <cidr>', 'proxies in front that do TLS, separated by commas')
    .allowExcessArguments()
    .action(
      run(
        async (config) => {
          const { runServe } = await import('./serve.ts')
          return await runServe({ config, version })
        },
        (options: ServeFlags) => ({
          httpHost: options.host,
          httpPort: options.port,
          tlsCert: options.tlsCert,
          tlsKey: options.tlsKey,
          behindProxy: options.behindProxy,
        }),
      ),
    )
  addDaemon(program, run)
}

function addDaemon(program: Command, run: Run): void {
  const daemon = program
    .command('daemon')
    .description('own the local data directory; clients start it when they need it')
    .addOption(new Option('--report', 'say on file descriptor 3 how the start went').hideHelp())
    .allowExcessArguments()
    .action(
      run(async (config, options: { readonly report?: true }) => {
        const { runDaemon } = await import('./daemon.ts')
        return await runDaemon({ config, version, isReporting: options.report === true })
      }),
    )
  const talk = (name: 'status' | 'stop', description: string): void => {
    daemon
      .command(name)
      .description(description)
      .option('--json', 'print JSON')
      .action(
        run(async (config, options: { readonly json?: true }) => {
          const commands = await import('./daemon.ts')
          const command = name === 'status' ? commands.daemonStatus : commands.daemonStop
          return await command({ config, version, isJson: options.json === true })
        }),
      )
  }
  talk('status', 'say whether it runs, and for whom')
  talk('stop', 'let it finish, close the database and leave')
}

function addPlan(program: Command, run: Run, entry: string): void {
  program
    .command('plan')
    .description('say what the plan of the namespace allows and what it holds')
    .option('--set <name>', 'put the namespace on another plan')
    .option('--json', 'print JSON')
    .allowExcessArguments()
    .action(
      run(async (config, { set, json }: { readonly set?: string; readonly json?: true }) => {
        const { runPlan } = await import('./plan.ts')
        return await runPlan({ config, version, entry, plan: set, isJson: json === true })
      }),
    )
}

interface AuditCommandOptions {
  readonly action?: string
  readonly by?: string
  readonly limit: string
  readonly json?: true
}

function addAudit(program: Command, run: Run, entry: string): void {
  program
    .command('audit')
    .description('print who did what in the namespace, newest first')
    .option('--action <name>', 'only this action, such as store or forget')
    .option('--by <agent>', 'only what this agent did')
    .option('--limit <number>', 'at most so many events', '50')
    .option('--json', 'print JSON')
    .allowExcessArguments()
    .action(
      run(async (config, { action, by, limit, json }: AuditCommandOptions) => {
        const { runAudit } = await import('./audit.ts')
        const isJson = json === true
        return await runAudit({ config, version, entry, action, by, limit, isJson })
      }),
    )
}

function addUpkeep(program: Command, run: Run): void {
  program.commandsGroup('Look after it:')
  program
    .command('config')
    .description('print the effective settings, secrets masked')
    .option('--json', 'print JSON')
    .option('--reference', 'print what every setting does, as Markdown')
    .allowExcessArguments()
    .action(
      run(async (config, options: { readonly json?: true; readonly reference?: true }) => {
        const { runConfig } = await import('./config.ts')
        const isReference = options.reference === true
        return runConfig({ config, isJson: options.json === true, isReference })
      }),
    )
}

function addChecks(program: Command, run: Run): void {
  program
    .command('migrate')
    .description('bring a PostgreSQL database to the schema of this version')
    .option('--pending', 'say what would be applied, change nothing')
    .allowExcessArguments()
    .action(
      run(async (config, options: { readonly pending?: true }) => {
        const { runMigrate } = await import('./migrate.ts')
        return await runMigrate({ config, isPendingOnly: options.pending === true })
      }),
    )
  program
    .command('doctor')
    .description('find what makes this set-up unsafe, and say what mends it')
    .option('--json', 'print JSON')
    .allowExcessArguments()
    .action(
      run(async (config, options: { readonly json?: true }) => {
        const { runDoctor } = await import('./doctor.ts')
        return await runDoctor({ config, isJson: options.json === true })
      }),
    )
}

function examples(dim: (text: string) => string): string {
  return `
Examples:
  mindglue                                  ${dim('# what a client launches: MCP on stdio, local memory')}
  mindglue config                           ${dim('# where memories live and what else is set')}
  mindglue export memories.jsonl            ${dim('# everything, to keep or to import elsewhere')}
  mindglue daemon status                    ${dim('# who is connected')}
  DATABASE_URL=postgres://… mindglue serve  ${dim('# MCP over HTTP on PostgreSQL')}

Settings are environment variables: mindglue config --reference`
}
