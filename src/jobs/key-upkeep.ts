/** Everything an operator does to the keys of a running installation, namespace by namespace. */
import { recordEvent } from '../audit/events.ts'
import type { Vault } from '../crypto/vault.ts'
import { AppError } from '../errors.ts'
import { memoryKeyOrigins } from '../memory/memory-keys.sql.ts'
import { knownRootKeys, namespacesAfter, removeRootKey } from '../namespaces/namespace-keys.sql.ts'
import { readNamespace } from '../namespaces/namespaces.sql.ts'
import type { Profile } from '../namespaces/namespaces.ts'
import type { Principal } from '../principal.ts'
import { encryptNamespace } from './encrypt.ts'
import { jobPrincipal, noNamespace } from './job-principal.ts'
import {
  changeSettings,
  rewrapNamespace,
  shredNamespace,
  type UpkeepDependencies,
  type UpkeepOptions,
} from './rewrap.ts'
import { sealVectors } from './seal-vectors.ts'

export interface NamespaceKeyStatus {
  readonly name: string
  readonly profile: Profile
  /** Keys of memories, names and index by what wraps them. */
  readonly origins: readonly {
    readonly key_id: number
    readonly epoch: number
    readonly keys: number
  }[]
}

export interface KeyStatus {
  /** Id of the root key that new keys are wrapped with; the ring holds it and those it still reads. */
  readonly writing: number
  readonly ring: readonly number[]
  /** Root keys that the database was written with and that are not retired. */
  readonly in_use: readonly number[]
  readonly namespaces: readonly NamespaceKeyStatus[]
}

export type EncryptingProfile = Exclude<Profile, 'off'>

/** What a run did. */
export interface Encrypted {
  /** Memory versions whose texts were encrypted. */
  readonly versions: number
  /** Vectors that were encrypted, in `sealed`. */
  readonly vectors: number
  readonly rewritten: boolean
}

export interface KeyUpkeep {
  status(): Promise<KeyStatus>
  /** Every namespace under the writing root key; returns the number of keys wrapped anew. */
  rewrap(options: UpkeepOptions): Promise<{ readonly keys: number }>
  /**
   * The principal's namespace to `profile`; one that is encrypted further stays as it is. `rewritten`:
   * the plain rows are gone from the tables' files as well; false where that takes an administrator's
   * login.
   */
  encrypt(
    principal: Principal,
    options: UpkeepOptions,
    profile?: EncryptingProfile,
  ): Promise<Encrypted>
  /** Destroys what the principal's namespace has forgotten until now. */
  shred(principal: Principal, options: UpkeepOptions): Promise<{ readonly keys: number }>
  /** Lets a root key go. Throws `conflict` while anything is wrapped with it. */
  retire(keyId: number): Promise<void>
}

const pageNamespaces = 500
/** Upkeep that belongs to no namespace: no policy shows it a row. */
const nowhere = jobPrincipal(noNamespace)

export interface KeyUpkeepDependencies extends Omit<UpkeepDependencies, 'vault'> {
  readonly vault: Vault | undefined
  /** Rewrites tables whose old rows were plain before `profile`; false when this process has no right to. */
  rewriteTables(profile: EncryptingProfile): Promise<boolean>
}

export function createKeyUpkeep(dependencies: KeyUpkeepDependencies): KeyUpkeep {
  const { scope } = dependencies
  const withVault = (): UpkeepDependencies => {
    if (dependencies.vault !== undefined) return { ...dependencies, vault: dependencies.vault }
    throw new AppError(
      'unsupported',
      'This installation has no root key: set MINDGLUE_ROOT_KEY or MINDGLUE_ROOT_KEY_FILE first.',
    )
  }
  async function* everyNamespace(): AsyncGenerator<Principal> {
    let after = -1n
    for (;;) {
      const page = await scope.withJob(nowhere, { readOnly: true }, (tx) =>
        namespacesAfter(tx, after, pageNamespaces),
      )
      for (const namespace of page) yield jobPrincipal(namespace)
      after = page.at(-1) ?? after
      if (page.length < pageNamespaces) return
    }
  }
  const statusOf = (principal: Principal): Promise<NamespaceKeyStatus> =>
    scope.withJob(principal, { readOnly: true }, async (tx) => {
      const row = await readNamespace(tx)
      const origins = await memoryKeyOrigins(tx)
      return { name: row?.name ?? '', profile: row?.profile ?? 'off', origins }
    })
  return {
    status: async () => {
      const { vault } = withVault()
      const known = await scope.withDirectory(knownRootKeys)
      const namespaces: NamespaceKeyStatus[] = []
      for await (const principal of everyNamespace()) namespaces.push(await statusOf(principal))
      return {
        writing: vault.keyring.writingKeyId,
        ring: vault.keyring.keyIds,
        in_use: known.map((key) => key.key_id),
        namespaces: namespaces.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      }
    },
    rewrap: async ({ signal, onProgress }) => {
      const upkeep = withVault()
      let keys = 0
      for await (const principal of everyNamespace()) {
        const before = keys
        keys += await rewrapNamespace(upkeep, principal, {
          signal,
          onProgress: (done, total) => onProgress(before + done, before + total),
        })
      }
      return { keys }
    },
    encrypt: async (operator, options, profile = 'field') => {
      const upkeep = withVault()
      // Whoever asks: what is out of sight would stay plain.
      const principal = { ...operator, scopes: new Set(['admin'] as const) }
      const versions = await encryptNamespace(upkeep, principal, options)
      const { signal, onProgress } = options
      const vectors =
        profile === 'sealed'
          ? await sealVectors(upkeep, principal, {
              signal,
              onProgress: (done, total) => onProgress(versions + done, versions + total),
            })
          : 0
      return { versions, vectors, rewritten: await dependencies.rewriteTables(profile) }
    },
    shred: async (principal, options) => ({
      keys: await shredNamespace(withVault(), principal, options),
    }),
    retire: async (keyId) => {
      const { vault } = withVault()
      if (keyId === vault.keyring.writingKeyId) {
        throw new AppError('conflict', `Root key ${keyId} is the one that writes; rotate first.`)
      }
      for await (const principal of everyNamespace()) {
        // A process on an older ring would go on writing under this key; it reads the settings anew and cannot.
        await scope.withNamespace(principal, {}, changeSettings)
        const { origins } = await statusOf(principal)
        if (origins.every((origin) => origin.key_id !== keyId)) continue
        throw new AppError(
          'conflict',
          `Root key ${keyId} still wraps keys. Run \`mindglue keys rewrap\`, then retire it.`,
        )
      }
      // Of the namespaces that it could have wrapped keys of, before it goes: no event, no removal.
      for await (const principal of everyNamespace()) {
        await scope.withJob(principal, {}, async (tx) => {
          if ((await readNamespace(tx))?.profile === 'off') return
          await recordEvent(tx, principal, 'keys.retire', 'ok', { counts: { root_key: keyId } })
        })
      }
      await scope.withJob(nowhere, {}, (tx) => removeRootKey(tx, keyId))
    },
  }
}
