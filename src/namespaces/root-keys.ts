/** Whether this process holds the root keys that the database was written with; asked before it writes. */
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Keyring } from '../crypto/keyring.ts'
import { openVault, rootKeyFile, type OpenedVault, type Vault } from '../crypto/vault.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { AppError } from '../errors.ts'
import { addRootKey, knownRootKeys, type KnownRootKey } from './namespace-keys.sql.ts'
import type { Profile } from './namespaces.ts'

export interface Encryption {
  /** Undefined where there is no root key: namespaces are then plain. */
  readonly vault: Vault | undefined
  /** What a namespace is made with on first use. */
  readonly profile: Profile
  /** True when the root key of this local installation was made just now. */
  readonly isNew: boolean
}

/**
 * Opens root keys and keystore as configured and checks them against the database; notes the key that this
 * process writes with. Only a local installation makes a root key by itself, and only while nothing was encrypted
 * with another one. Throws AppError `misconfigured` before anything is written.
 */
export async function openEncryption(config: Config, scope: NamespaceScope): Promise<Encryption> {
  const known = await scope.withDirectory(knownRootKeys)
  const { vault, isNew } = await openConfigured(config, known)
  const profile = config.profile ?? (vault === undefined ? 'off' : 'field')
  if (vault === undefined && profile !== 'off') {
    throw new AppError(
      'misconfigured',
      `MINDGLUE_PROFILE=${profile} needs a root key: set MINDGLUE_ROOT_KEY or MINDGLUE_ROOT_KEY_FILE.`,
    )
  }
  verifyRootKeys(vault?.keyring, known)
  if (vault) await noteRootKey(scope, vault.keyring, known)
  return { vault, profile, isNew }
}

/** Only checks, for a database whose schema may be an older one. Throws AppError `misconfigured`. */
export async function requireRootKeys(config: Config, scope: NamespaceScope): Promise<void> {
  const known = await scope.withDirectory(knownRootKeys)
  if (known.length === 0) return
  const { vault } = await openConfigured(config, known)
  verifyRootKeys(vault?.keyring, known)
}

function openConfigured(config: Config, known: readonly KnownRootKey[]): Promise<OpenedVault> {
  const isLocal = config.databaseUrl === undefined
  return openVault({
    rootKey: { value: config.rootKey, command: config.rootKeyCommand },
    keystoreDirectory: config.keystoreDirectory ?? join(config.keyDirectory, 'keystore'),
    fallbackFile: isLocal ? rootKeyFile(config.keyDirectory) : undefined,
    mayCreate: known.length === 0 && config.profile !== 'off',
  })
}

/** Throws AppError `misconfigured` when a key that is in use is missing or is another key. */
function verifyRootKeys(keyring: Keyring | undefined, known: readonly KnownRootKey[]): void {
  if (keyring === undefined) {
    if (known.length === 0) return
    throw new AppError(
      'misconfigured',
      'This database holds encrypted namespaces. Give this process its root key: MINDGLUE_ROOT_KEY or MINDGLUE_ROOT_KEY_FILE.',
    )
  }
  for (const { key_id: keyId, key_check: check } of known) {
    if (!keyring.keyIds.includes(keyId)) {
      throw new AppError(
        'misconfigured',
        `The root key ${keyId} that this database was encrypted with is not in the ring. Add it behind the first key, or retire it with \`mindglue keys retire\` where it still is.`,
        { details: { key_id: keyId, ring: keyring.keyIds } },
      )
    }
    keyring.verifyKeyCheck(check)
  }
}

async function noteRootKey(
  scope: NamespaceScope,
  keyring: Keyring,
  known: readonly KnownRootKey[],
): Promise<void> {
  const { writingKeyId } = keyring
  if (known.some((key) => key.key_id === writingKeyId)) return
  const check = keyring.createKeyCheck()
  await scope.withDirectory((sql) => addRootKey(sql, writingKeyId, check))
}
