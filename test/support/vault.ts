/** Root key and keystore of a test, in a directory of its own. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Keyring } from '../../src/crypto/keyring.ts'
import { Keystore } from '../../src/crypto/keystore.ts'
import { parseRootKeys } from '../../src/crypto/root-ring.ts'
import type { Vault } from '../../src/crypto/vault.ts'

export interface TestVault extends Vault {
  /** Text of the ring, to open another one with the same keys. */
  readonly rootKeys: string
  readonly keystoreDirectory: string
  remove(): void
}

/** A ring of its own with the same root keys, as another process has it: nothing is cached. */
export function keyringOf({ rootKeys }: TestVault): Keyring {
  return new Keyring(parseRootKeys(rootKeys))
}

/** `rootKeys`: text of a ring; a new random key when left out. */
export async function openTestVault(
  rootKeys = randomBytes(32).toString('base64'),
): Promise<TestVault> {
  const directory = mkdtempSync(join(tmpdir(), 'mindglue-keys-'))
  const keystoreDirectory = join(directory, 'keystore')
  return {
    keyring: new Keyring(parseRootKeys(rootKeys)),
    keystore: await Keystore.open(keystoreDirectory),
    rootKeys,
    keystoreDirectory,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
