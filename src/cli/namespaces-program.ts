/** The command lines of `mindglue namespaces`; what they do is in namespaces.ts. */
import { Option, type Command } from 'commander'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface JsonOption {
  readonly json?: true
}
interface CreateOptions extends JsonOption {
  readonly encryption?: 'off' | 'field' | 'sealed'
  readonly plan?: string
}
interface SetOptions extends JsonOption {
  readonly plan?: string
  /** False takes them away. */
  readonly instructions?: string | false
  readonly instructionsFile?: string
}
interface DeleteOptions extends JsonOption {
  readonly yes?: true
}

/** Adds the group; `entry` is the script to run again as the daemon. */
export function addNamespaces(program: Command, run: Run, entry: string): void {
  const group = program
    .command('namespaces')
    .description('make, list, show, change and delete namespaces')
    .helpCommand(false)
  group
    .command('list', { isDefault: true })
    .description('print every namespace')
    .option('--json', 'print JSON')
    .allowExcessArguments()
    .action(
      run(async (config, { json }: JsonOption) => {
        const { runNamespaceList } = await import('./namespaces.ts')
        return await runNamespaceList({ config, version, entry, isJson: json === true })
      }),
    )
  addMaking(group, run, entry)
  group
    .command('show')
    .description('print what a namespace is and holds')
    .argument('<name>')
    .option('--json', 'print JSON')
    .action(async (name: string, options: JsonOption, command: Command) => {
      const action = run(async (config, { json }: JsonOption) => {
        const { runNamespaceShow } = await import('./namespaces.ts')
        return await runNamespaceShow({ config, version, entry, name, isJson: json === true })
      })
      await action(options, command)
    })
  group
    .command('delete')
    .description('delete a namespace for good: its keys, its memories, its audit log')
    .argument('<name>')
    .option('--yes', 'do not ask before it is done')
    .option('--json', 'print JSON')
    .action(async (name: string, options: DeleteOptions, command: Command) => {
      const action = run(async (config, { yes, json }: DeleteOptions) => {
        const { runNamespaceDelete } = await import('./namespaces.ts')
        const isConfirmed = yes === true
        const isJson = json === true
        return await runNamespaceDelete({ config, version, entry, name, isConfirmed, isJson })
      })
      await action(options, command)
    })
}

function addMaking(group: Command, run: Run, entry: string): void {
  group
    .command('create')
    .description('make a namespace; one that is used for the first time is made by itself')
    .argument('<name>')
    .addOption(
      new Option(
        '--encryption <profile>',
        'what is encrypted; MINDGLUE_PROFILE when left out',
      ).choices(['off', 'field', 'sealed']),
    )
    .option('--plan <name>', 'what it may hold and how much it may ask')
    .option('--json', 'print JSON')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const action = run(async (config, { json, ...terms }: CreateOptions) => {
        const { runNamespaceCreate } = await import('./namespaces.ts')
        const isJson = json === true
        return await runNamespaceCreate({ config, version, entry, name, terms, isJson })
      })
      await action(options, command)
    })
  group
    .command('set')
    .description(
      'change the plan of a namespace, or what its clients are told to keep; `mindglue keys encrypt` encrypts one',
    )
    .argument('<name>')
    .option('--plan <plan>', 'its plan from now on')
    .option('--instructions <text>', 'what to keep and what never, for the models of its clients')
    .option('--instructions-file <path>', 'the same from a file, `-` for standard input')
    .option('--no-instructions', 'take them away')
    .option('--json', 'print JSON')
    .action(async (name: string, options: SetOptions, command: Command) => {
      const action = run(async (config, { json, ...changes }: SetOptions) => {
        const { runNamespaceSet } = await import('./namespaces.ts')
        const isJson = json === true
        return await runNamespaceSet({ config, version, entry, name, changes, isJson })
      })
      await action(options, command)
    })
}
