/** `mindglue keys`: look at, rotate, rewrap and retire root keys; encrypt and shred a namespace; back up secrets. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileDurably } from '../crypto/durable-file.ts'
import { backupKeystore, restoreKeystore, type BackupLock } from '../crypto/keystore-backup.ts'
import { Keystore } from '../crypto/keystore.ts'
import { prependRootKey, removeRootKey } from '../crypto/root-key-file.ts'
import { rootKeyFile } from '../crypto/vault.ts'
import { AppError } from '../errors.ts'
import { daemonStop } from './daemon.ts'
import { withOperator, type OperatorOptions } from './operator.ts'
import { columns, print, printJson, styleFor } from './output.ts'
import { startProgress } from './progress.ts'
import { readSecretFile } from './secret-file.ts'

/** Exit code 0. Prints which root keys there are and what each of them wraps. */
export async function keysStatus(options: OperatorOptions & { isJson: boolean }): Promise<number> {
  const status = await withOperator(options, (operator) => operator.run('keys.status', {}))
  if (options.isJson) {
    printJson(status)
    return 0
  }
  const style = styleFor(process.stdout)
  const ids = new Set([...status.ring, ...status.in_use])
  const roots = [...ids].map((id) => [
    String(id),
    id === status.writing ? 'writes' : status.ring.includes(id) ? 'reads' : 'missing',
    status.in_use.includes(id) ? 'in use' : 'unused',
  ])
  print(style.bold('Root keys'))
  print(columns([['id', 'ring', 'database'], ...roots]))
  print()
  print(style.bold('Namespaces'))
  const rows = status.namespaces.flatMap(({ name, profile, origins }) =>
    origins.length === 0
      ? [[name, profile, '', '', '']]
      : origins.map(({ key_id: id, epoch, keys }) => [
          name,
          profile,
          String(id),
          String(epoch),
          keys.toLocaleString('en'),
        ]),
  )
  print(columns([['name', 'profile', 'root key', 'epoch', 'keys'], ...rows]))
  return 0
}

/** Exit code 0 when every key is under the writing root key; run again after an interruption. */
export async function keysRewrap(options: OperatorOptions): Promise<number> {
  const { keys } = await withProgress(options, 'Wrapping', 'keys', 'keys.rewrap', {})
  print(keys === 0 ? 'Every key is under the writing root key.' : `Wrapped ${many(keys, 'key')}.`)
  return 0
}

/**
 * Puts a new root key first in the local key file and wraps every key with it. Where the ring comes
 * from somewhere else, says what to do there: this program does not write other people's secrets.
 */
export async function keysRotate(options: OperatorOptions): Promise<number> {
  const { config, version } = options
  const isLocal = config.rootKey === undefined && config.rootKeyCommand === undefined
  if (!isLocal || config.databaseUrl !== undefined) {
    throw new AppError(
      'unsupported',
      [
        'The root keys come from the configuration, so they are rotated there:',
        '  1. openssl rand -base64 32',
        '  2. add it behind the first key of MINDGLUE_ROOT_KEY, in every process; restart them',
        '  3. make it the first key, in every process; restart them',
        '  4. mindglue keys rewrap',
        '  5. mindglue keys retire OLD-ID, then remove the old key',
      ].join('\n'),
    )
  }
  const file = rootKeyFile(config.keyDirectory)
  // A first start makes it.
  await withOperator(options, (operator) => operator.run('keys.status', {}))
  const { keyId } = await prependRootKey(file)
  print(`Root key ${keyId} now writes; it was put first in ${file}. Keep a copy elsewhere.`)
  // The next command starts a daemon that reads the file again.
  await daemonStop({ config, version, isJson: false })
  return await keysRewrap(options)
}

/** Exit code 0. Throws `conflict` while the key is in use. */
export async function keysRetire(options: OperatorOptions & { keyId: string }): Promise<number> {
  const keyId = Number(options.keyId)
  if (!Number.isSafeInteger(keyId) || keyId < 1) {
    throw new AppError(
      'invalid_input',
      'Name the id of a root key, as `mindglue keys status` does.',
    )
  }
  await withOperator(options, (operator) => operator.run('keys.retire', { key_id: keyId }))
  const { config } = options
  const isLocal = config.rootKey === undefined && config.rootKeyCommand === undefined
  const isRemoved =
    isLocal &&
    config.databaseUrl === undefined &&
    (await removeRootKey(rootKeyFile(config.keyDirectory), keyId))
  print(`Root key ${keyId} is retired${isRemoved ? ' and removed from the key file' : ''}.`)
  if (!isRemoved) print('It may now be removed from the ring.')
  return 0
}

const keepsIndexKey = [
  'Its index key is the one that stood there while it was plain: with a backup, replica or log of',
  'before, words can be tried against the hashes of later memories as well. Where that matters,',
  'export the namespace, import it into a new one (--own), and delete this one.',
].join('\n')

/** Exit code 0 when the namespace holds nothing plain that `profile` encrypts; 1 when its files still do. */
export async function keysEncrypt(options: OperatorOptions & { profile: string }): Promise<number> {
  const { profile } = options
  if (profile !== 'field' && profile !== 'sealed') {
    throw new AppError('invalid_input', '--profile takes field or sealed.')
  }
  const { namespaceName } = options.config
  const done = await withProgress(options, 'Encrypting', 'memories', 'keys.encrypt', { profile })
  const vectors = profile === 'sealed' ? ` and ${many(done.vectors, 'vector')}` : ''
  print(`Encrypted ${many(done.versions, 'memory version')}${vectors} of ${namespaceName}.`)
  print(keepsIndexKey)
  if (done.rewritten) return 0
  const tables = ['memories', 'entities', 'namespaces', ...(vectors === '' ? [] : ['embeddings'])]
  print(
    'The files of PostgreSQL still hold the plain rows. As an administrator, once the transactions',
  )
  print('that are open now have ended, run:')
  print(`  vacuum (full, analyze) ${tables.map((table) => `mindglue.${table}`).join(', ')};`)
  print('or run this command again with MIGRATION_DATABASE_URL set.')
  return 1
}

/** Exit code 0 when nothing forgotten until now can be decrypted any more. */
export async function keysShred(options: OperatorOptions): Promise<number> {
  const { keys } = await withProgress(options, 'Wrapping', 'keys', 'keys.shred', {})
  print(`Wrapped ${many(keys, 'live key')} anew and destroyed the old epoch secret.`)
  print('What was forgotten can be decrypted no more, but with a backup of the keystore.')
  return 0
}

export interface KeysFileOptions extends OperatorOptions {
  readonly file: string
  /** File with the passphrase, on one line. */
  readonly passphraseFile: string
}

/** Exit code 0 when the sealed copy is on disk. Root keys are not in it. */
export async function keysBackup(options: KeysFileOptions & { days: string }): Promise<number> {
  const lifetimeDays = Number(options.days)
  if (!Number.isInteger(lifetimeDays) || lifetimeDays < 1 || lifetimeDays > 3650) {
    throw new AppError('invalid_input', '--lifetime-days takes a whole number from 1 to 3650.')
  }
  const lock: BackupLock = { passphrase: await readPassphrase(options.passphraseFile) }
  const sealed = await backupKeystore(await openKeystore(options), lock, lifetimeDays)
  await writeFileDurably(options.file, sealed)
  print(`Sealed the epoch secrets into ${options.file}.`)
  print(`Delete it within ${lifetimeDays} days: until then it opens what was forgotten meanwhile.`)
  print('The root key is not in it; keep a copy of that apart.')
  return 0
}

/** Exit code 0. Namespaces that the keystore knows stay as they are. */
export async function keysRestore(options: KeysFileOptions): Promise<number> {
  const sealed = await readFile(options.file).catch((cause: unknown) => {
    throw new AppError('invalid_input', `${options.file} cannot be read.`, { cause })
  })
  const result = await restoreKeystore(await openKeystore(options), sealed, {
    passphrase: await readPassphrase(options.passphraseFile),
  })
  print(
    `Restored ${many(result.restored, 'namespace')}; ${result.kept} had secrets of their own and were left.`,
  )
  const late = result.expiresAt.getTime() < Date.now()
  if (late) print('This backup is past its lifetime: delete it now.')
  return 0
}

function openKeystore({ config }: OperatorOptions): Promise<Keystore> {
  return Keystore.open(config.keystoreDirectory ?? join(config.keyDirectory, 'keystore'))
}

async function readPassphrase(file: string): Promise<string> {
  const text = await readSecretFile(file, 'passphrase file')
  return text.replace(/\r?\n$/u, '')
}

async function withProgress<Name extends 'keys.rewrap' | 'keys.encrypt' | 'keys.shred'>(
  options: OperatorOptions,
  title: string,
  unit: 'keys' | 'memories',
  name: Name,
  input: object,
) {
  const progress = startProgress(title, unit)
  try {
    return await withOperator(options, (operator) =>
      operator.run(name, input, (done, total) => progress.update(done, total ?? done)),
    )
  } finally {
    progress.stop()
  }
}

function many(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}
