/** The command line of `mindglue keys`; what each of them does is in keys.ts. */
import type { Command } from 'commander'
import { version } from '../version.ts'
import type { Run } from './program.ts'

interface FileOptions {
  readonly passphraseFile: string
}

export function addKeys(program: Command, run: Run, entry: string): void {
  const keys = program
    .command('keys')
    .description('look at and look after the keys that encrypt memories')
    .helpCommand(false)
  keys
    .command('status', { isDefault: true })
    .description('print which root keys there are and what each of them wraps')
    .option('--json', 'print JSON')
    .allowExcessArguments()
    .action(
      run(async (config, { json }: { readonly json?: true }) => {
        const { keysStatus } = await import('./keys.ts')
        return await keysStatus({ config, version, entry, isJson: json === true })
      }),
    )
  keys
    .command('rotate')
    .description('make a new root key and wrap every key with it')
    .allowExcessArguments()
    .action(
      run(async (config) => {
        const { keysRotate } = await import('./keys.ts')
        return await keysRotate({ config, version, entry })
      }),
    )
  keys
    .command('rewrap')
    .description('wrap every key with the first root key of the ring; may be run again at any time')
    .allowExcessArguments()
    .action(
      run(async (config) => {
        const { keysRewrap } = await import('./keys.ts')
        return await keysRewrap({ config, version, entry })
      }),
    )
  keys
    .command('retire')
    .description('let a root key go that nothing is wrapped with any more')
    .argument('<id>', 'id as `mindglue keys status` prints it')
    .action(async (keyId: string, options: object, command: Command) => {
      const action = run(async (config) => {
        const { keysRetire } = await import('./keys.ts')
        return await keysRetire({ config, version, entry, keyId })
      })
      await action(options, command)
    })
  addNamespaceKeys(keys, run, entry)
  addCopies(keys, run, entry)
}

function addNamespaceKeys(keys: Command, run: Run, entry: string): void {
  keys
    .command('encrypt')
    .description(
      'encrypt a namespace that is plain, or the vectors of one that is not, while it serves',
    )
    .option('--profile <profile>', 'field: texts and names; sealed: vectors as well', 'field')
    .allowExcessArguments()
    .action(
      run(async (config, { profile }: { readonly profile: string }) => {
        const { keysEncrypt } = await import('./keys.ts')
        return await keysEncrypt({ config, version, entry, profile })
      }),
    )
  keys
    .command('shred')
    .description('destroy the secret that could still decrypt what the namespace has forgotten')
    .allowExcessArguments()
    .action(
      run(async (config) => {
        const { keysShred } = await import('./keys.ts')
        return await keysShred({ config, version, entry })
      }),
    )
}

function addCopies(keys: Command, run: Run, entry: string): void {
  keys
    .command('backup')
    .description('seal the epoch secrets into a file; the root key is not in it')
    .argument('<file>', 'new file')
    .requiredOption('--passphrase-file <file>', 'file that holds the passphrase')
    .option('--lifetime-days <number>', 'when the copy must be gone', '30')
    .action(
      async (
        file: string,
        options: FileOptions & { readonly lifetimeDays: string },
        command: Command,
      ) => {
        const action = run(async (config) => {
          const { keysBackup } = await import('./keys.ts')
          const { passphraseFile, lifetimeDays: days } = options
          return await keysBackup({ config, version, entry, file, passphraseFile, days })
        })
        await action(options, command)
      },
    )
  keys
    .command('pair')
    .description('make a key pair for sealed exports: prints the public key')
    .argument('<file>', 'new file for the secret key')
    .action(async (file: string) => {
      const { makeKeyPair } = await import('./open.ts')
      await makeKeyPair(file)
    })
  keys
    .command('restore')
    .description('put back epoch secrets that the keystore does not have')
    .argument('<file>', 'file of `mindglue keys backup`')
    .requiredOption('--passphrase-file <file>', 'file that holds the passphrase')
    .action(async (file: string, options: FileOptions, command: Command) => {
      const action = run(async (config) => {
        const { keysRestore } = await import('./keys.ts')
        return await keysRestore({ config, version, entry, file, ...options })
      })
      await action(options, command)
    })
}
