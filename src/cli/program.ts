/** Every command with its options and help; what a command needs is loaded when it is called. */
import { Command, CommanderError, Option } from 'commander'
import { nearest } from '../config/nearest.ts'
import { loadConfig, type Config, type Overrides, type SettingKey } from '../config.ts'
import { version } from '../version.ts'
import { styleFor } from './output.ts'

/** Options every command understands, and the setting each one overrides. */
interface GlobalOptions {
  readonly dataDir?: string
  readonly namespace?: string
  readonly agent?: string
  readonly logLevel?: string
}

function configFrom(
  options: GlobalOptions,
  more: Readonly<Partial<Record<SettingKey, string | undefined>>> = {},
): Config {
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
  const run =
    <Arguments extends readonly unknown[]>(command: (...given: Arguments) => Promise<number>) =>
    async (...given: Arguments): Promise<void> => {
      exitCode = await command(...given)
    }
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
  const context = { entry, program, run, globals: () => program.opts<GlobalOptions>() }
  addServing(context)
  addUpkeep(context)
  try {
    await program.parseAsync()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? 0 : 2
  }
  return exitCode
}

interface Context {
  /** Path of the script that runs, to start it again as the daemon. */
  readonly entry: string
  readonly program: Command
  readonly globals: () => GlobalOptions
  /** Makes an action of a command that resolves with an exit code. */
  readonly run: <Arguments extends readonly unknown[]>(
    command: (...given: Arguments) => Promise<number>,
  ) => (...given: Arguments) => Promise<void>
}

function addServing(context: Context): void {
  const { entry, program, globals, run } = context
  program.commandsGroup('Serve:')
  program
    .command('stdio', { isDefault: true })
    .description('serve one client on stdin and stdout; what runs when no command is named')
    .allowExcessArguments()
    .action(
      run(async (_options: object, command: Command) => {
        const [unknown] = command.args
        if (unknown === undefined)
          return await (
            await import('./stdio.ts')
          ).runStdio({ config: configFrom(globals()), version, entry })
        const names = program.commands.map((known) => known.name())
        return program.error(
          `error: there is no command '${unknown}'; did you mean '${nearest(unknown, names)}'?`,
        )
      }),
    )
  program
    .command('serve')
    .description('serve any number of clients over HTTP, with health and metrics beside it')
    .option('--host <address>', 'address to listen on')
    .option('--port <number>', 'port to listen on; 0 takes a free one')
    .action(
      run(async (options: { readonly host?: string; readonly port?: string }) => {
        const { runServe } = await import('./serve.ts')
        const more = { httpHost: options.host, httpPort: options.port }
        return await runServe({ config: configFrom(globals(), more), version })
      }),
    )
  addDaemon(context)
}

function addDaemon({ program, globals, run }: Context): void {
  const daemon = program
    .command('daemon')
    .description('own the local data directory; clients start it when they need it')
    .addOption(new Option('--report', 'say on file descriptor 3 how the start went').hideHelp())
    .action(
      run(async (options: { readonly report?: true }) => {
        const { runDaemon } = await import('./daemon.ts')
        const isReporting = options.report === true
        return await runDaemon({ config: configFrom(globals()), version, isReporting })
      }),
    )
  const talk = (name: 'status' | 'stop', description: string): void => {
    daemon
      .command(name)
      .description(description)
      .option('--json', 'print JSON')
      .action(
        run(async (options: { readonly json?: true }) => {
          const commands = await import('./daemon.ts')
          const command = name === 'status' ? commands.daemonStatus : commands.daemonStop
          const isJson = options.json === true
          return await command({ config: configFrom(globals()), version, isJson })
        }),
      )
  }
  talk('status', 'say whether it runs, and for whom')
  talk('stop', 'let it finish, close the database and leave')
}

function addUpkeep({ program, globals, run }: Context): void {
  program.commandsGroup('Look after it:')
  program
    .command('config')
    .description('print the effective settings, secrets masked')
    .option('--json', 'print JSON')
    .option('--reference', 'print what every setting does, as Markdown')
    .action(
      run(async (options: { readonly json?: true; readonly reference?: true }) => {
        const { runConfig } = await import('./config.ts')
        return runConfig({
          config: configFrom(globals()),
          isJson: options.json === true,
          isReference: options.reference === true,
        })
      }),
    )
}

function examples(dim: (text: string) => string): string {
  return `
Examples:
  mindglue                                  ${dim('# what a client launches: MCP on stdio, local memory')}
  mindglue config                           ${dim('# where memories live and what else is set')}
  mindglue daemon status                    ${dim('# who is connected')}
  DATABASE_URL=postgres://… mindglue serve  ${dim('# MCP over HTTP on PostgreSQL')}

Settings are environment variables: mindglue config --reference`
}
