/** The command line of what carries memories in and out; what each command does is in a file of its name. */
import { Option, type Command } from 'commander'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface ExportCommandOptions {
  readonly format: 'jsonl' | 'markdown'
  readonly to?: string
  readonly fernetKeyFile?: string
}

interface ImportCommandOptions {
  readonly own?: true
  readonly fernetKeyFile?: string
}

function fernetKeyOption(description: string): Option {
  return new Option('--fernet-key-file <file>', description)
}

/** Export, import and what goes with them. */
export function addMemories(program: Command, run: Run, entry: string): void {
  program.commandsGroup('Memories:')
  program
    .command('export')
    .description('write every memory of the namespace to a file; without one, or with -, to stdout')
    .argument('[file]', 'file to write, complete or not at all', '-')
    .addOption(
      new Option('--format <format>', 'jsonl can be imported again, markdown is to read')
        .choices(['jsonl', 'markdown'])
        .default('jsonl'),
    )
    .option('--to <public-key>', 'seal the file to this key; `mindglue open` opens it')
    .addOption(fernetKeyOption('make every line a Fernet token (AES-128), for other programs'))
    .action(async (file: string, options: ExportCommandOptions, command: Command) => {
      const action = run(async (config, given: ExportCommandOptions) => {
        const { runExport } = await import('./export.ts')
        return await runExport({ config, version, entry, file, ...given })
      })
      await action(options, command)
    })
  program
    .command('import')
    .description('read an export, or memory.json of the reference server, into the namespace')
    .argument('<file>', 'file to read; - is stdin')
    .addOption(fernetKeyOption('every line is a Fernet token under this key'))
    .option(
      '--own',
      'the file is your own export: believe its sources and quarantine as they stand',
    )
    .action(async (file: string, options: ImportCommandOptions, command: Command) => {
      const action = run(async (config, { fernetKeyFile, own }: ImportCommandOptions) => {
        const { runImport } = await import('./import.ts')
        const isOwn = own === true
        return await runImport({ config, version, entry, file, fernetKeyFile, isOwn })
      })
      await action(options, command)
    })
  addOpen(program)
  program
    .command('reembed')
    .description('make the vectors of the namespace anew, after another embedder was configured')
    .action(
      run(async (config) => {
        const { runReembed } = await import('./reembed.ts')
        return await runReembed({ config, version, entry })
      }),
    )
  program
    .command('reindex')
    .description('work the words that memories are found by out anew, after an update says so')
    .action(
      run(async (config) => {
        const { runReindex } = await import('./reindex.ts')
        return await runReindex({ config, version, entry })
      }),
    )
  program
    .command('backup')
    .description('copy the embedded database while it is in use')
    .argument('<directory>', 'new or empty directory')
    .action(async (directory: string, options: object, command: Command) => {
      const action = run(async (config) => {
        const { runBackup } = await import('./backup.ts')
        return await runBackup({ config, version, entry, directory })
      })
      await action(options, command)
    })
}

interface OpenCommandOptions {
  readonly keyFile: string
}

/** Needs no settings: a sealed file is opened wherever the secret key is. */
function addOpen(program: Command): void {
  program
    .command('open')
    .description('open a file that was exported to a public key; without a target, to stdout')
    .argument('<file>', 'sealed file')
    .argument('[target]', 'file to write, complete or not at all', '-')
    .requiredOption('--key-file <file>', 'file of the secret key; - is stdin')
    .action(async (file: string, target: string, { keyFile }: OpenCommandOptions) => {
      const { runOpen } = await import('./open.ts')
      await runOpen({ file, target, keyFile })
    })
}
