/** Makes and opens the keys of one namespace from its row, the root ring and the keystore. */
import { randomBytes } from 'node:crypto'
import {
  namespaceSaltBytes,
  type NamespaceKeys,
  type WrappedKey,
} from '../crypto/namespace-keys.ts'
import { indexKeyBytes } from '../crypto/term-hash.ts'
import type { Vault } from '../crypto/vault.ts'
import { AppError } from '../errors.ts'
import type { NamespaceSettings } from '../operation.ts'
import type { NamespaceRow } from './namespaces.sql.ts'

export interface MadeNamespaceKeys {
  /** As it is stored: wrapped, or plain in profile `off`. */
  readonly indexKey: Buffer
  /** What goes into namespace_keys; undefined in profile `off`. */
  readonly row:
    | { readonly salt: Buffer; readonly indexKey: WrappedKey; readonly plainBelow: number | null }
    | undefined
  /** Destroys the epoch secret again, when the namespace was not made after all. */
  discard(): Promise<void>
}

/** Fresh keys for a new namespace. The epoch secret is on disk when this resolves. */
export async function makeNamespaceKeys(
  vault: Vault | undefined,
  namespace: bigint,
  profile: NamespaceSettings['profile'],
): Promise<MadeNamespaceKeys> {
  if (profile === 'off') {
    return {
      indexKey: randomBytes(indexKeyBytes),
      row: undefined,
      discard: () => Promise.resolve(),
    }
  }
  const { keyring, keystore } = vault ?? withoutVault()
  const salt = randomBytes(namespaceSaltBytes)
  const keys = keyring.namespace({ namespace, salt, epochs: await keystore.create(namespace) })
  const indexKey = keys.wrapIndexKey({ profile, plain_below: null }, randomBytes(indexKeyBytes))
  return {
    indexKey: indexKey.token,
    row: { salt, indexKey, plainBelow: null },
    discard: async () => await keystore.destroy(namespace),
  }
}

/**
 * The index key in plain, and what makes and opens content keys. Throws AppError `misconfigured` when
 * this process lacks a half of the key, or when the row says `off` and the keystore knows better;
 * `internal` when the row does not say how the namespace is stored, but what somebody made of it.
 */
export async function openNamespaceKeys(
  vault: Vault | undefined,
  namespace: bigint,
  row: Pick<NamespaceRow, 'profile' | 'plain_below' | 'salt' | 'index_key'>,
): Promise<{ readonly indexKey: Uint8Array; readonly keys: NamespaceKeys | undefined }> {
  const { profile, salt, index_key: indexKey } = row
  if (profile === 'off') {
    if (salt === null && !(await vault?.keystore.get(namespace))) {
      return { indexKey, keys: undefined }
    }
    throw new AppError(
      'misconfigured',
      'The keystore knows this namespace, but the database says that it is plain. Either `mindglue keys encrypt` was interrupted, then run it again, or its row was changed: restore it from a backup.',
    )
  }
  const { keyring, keystore } = vault ?? withoutVault()
  const epochs = await keystore.get(namespace)
  if (salt === null || epochs === undefined) {
    throw new AppError(
      'misconfigured',
      'The keystore has no secret for this namespace. Mount the keystore that every process shares, or restore it: mindglue keys restore.',
    )
  }
  const keys = keyring.namespace({ namespace, salt, epochs })
  return { indexKey: keys.openIndexKey(row, indexKey), keys }
}

function withoutVault(): never {
  throw new AppError(
    'misconfigured',
    'This namespace is encrypted. Give this process the root key: MINDGLUE_ROOT_KEY or MINDGLUE_ROOT_KEY_FILE.',
  )
}
