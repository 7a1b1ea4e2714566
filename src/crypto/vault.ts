/** The two halves of every key, opened together: root keys of the process, epoch secrets on disk. */
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { hasErrorCode } from './durable-file.ts'
import { Keyring } from './keyring.ts'
import { Keystore } from './keystore.ts'
import { createRootKeyFile, loadRootRing, type RootKeySource, type RootRing } from './root-ring.ts'

/** What encrypts the namespaces of an installation. */
export interface Vault {
  readonly keyring: Keyring
  readonly keystore: Keystore
}

export interface VaultSource {
  readonly rootKey: RootKeySource
  /** Directory of the epoch secrets; every process of an installation needs the same one. */
  readonly keystoreDirectory: string
  /** Read when no source is given: a local installation encrypts without being asked. */
  readonly fallbackFile?: string | undefined
  /** False where something was encrypted already: a new key could not open it. */
  readonly mayCreate: boolean
}

export interface OpenedVault {
  /** Undefined for an installation without a root key: its namespaces are not encrypted. */
  readonly vault: Vault | undefined
  /** True when the root key was made just now. */
  readonly isNew: boolean
}

/** Where a local installation keeps the root key that it makes by itself. */
export function rootKeyFile(keyDirectory: string): string {
  return join(keyDirectory, 'root-key')
}

/**
 * Opens both halves. Throws AppError `misconfigured` for a source that cannot be used; a root key that
 * was given and fails is never replaced by a new one.
 */
export async function openVault(source: VaultSource): Promise<OpenedVault> {
  const { ring, isNew } = await openRing(source)
  if (ring === undefined) return { vault: undefined, isNew }
  const keystore = await Keystore.open(source.keystoreDirectory)
  return { vault: { keyring: new Keyring(ring), keystore }, isNew }
}

async function openRing({
  rootKey,
  fallbackFile,
  mayCreate,
}: VaultSource): Promise<{ ring: RootRing | undefined; isNew: boolean }> {
  const given = await loadRootRing(rootKey)
  if (given !== undefined || fallbackFile === undefined) return { ring: given, isNew: false }
  const existing = await readFallback(fallbackFile)
  if (existing !== undefined || !mayCreate) return { ring: existing, isNew: false }
  try {
    return { ring: await createRootKeyFile(fallbackFile), isNew: true }
  } catch (error) {
    // Another process was first: its key is the key.
    const lost = error instanceof AppError && error.code === 'conflict'
    if (!lost) throw error
    return { ring: await loadRootRing({ file: fallbackFile }), isNew: false }
  }
}

async function readFallback(file: string): Promise<RootRing | undefined> {
  try {
    return await loadRootRing({ file })
  } catch (error) {
    const isAbsent =
      error instanceof AppError && error.cause !== undefined && hasErrorCode(error.cause, 'ENOENT')
    if (isAbsent) return undefined
    throw error
  }
}
