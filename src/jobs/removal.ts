/** Deletes namespaces: keys first, so that what is left cannot be read, then every row in bounded batches. */
import type { Vault } from '../crypto/vault.ts'
import type { NamespaceScope } from '../database/scope.ts'
import { dropPartition } from '../memory/vector-partitions.sql.ts'
import {
  eraseEvents,
  eraseNamespace,
  eraseRows,
  forsakeNamespace,
} from '../namespaces/removal.sql.ts'
import { dueNamespaces } from './due.ts'
import { jobPrincipal } from './job-principal.ts'
import type { Job } from './runner.ts'

const batchRows = 5_000

export interface RemovalDependencies {
  readonly scope: NamespaceScope
  readonly vault: Vault | undefined
  /** What this process holds of the namespace in memory is to be dropped. */
  readonly forget: (namespace: bigint) => void
}

export interface RemovalOptions {
  readonly signal: AbortSignal
  /** Rows that are gone; how many there are nobody counts. */
  readonly onProgress?: (rows: number) => void
}

/**
 * From the first commit on nobody finds the namespace; then its keys are destroyed for good, then its rows.
 * Returns how many rows went. A killed run is finished by the job. Without a vault an encrypted namespace
 * keeps its epoch secret in the keystore, which nothing in the database can be opened with any more.
 */
export async function removeNamespace(
  { scope, vault, forget }: RemovalDependencies,
  namespace: bigint,
  { signal, onProgress = () => undefined }: RemovalOptions,
): Promise<number> {
  const principal = jobPrincipal(namespace)
  await scope.withJob(principal, {}, forsakeNamespace)
  if (vault && (await vault.keystore.read(namespace)) !== undefined) {
    await vault.keystore.destroy(namespace)
    vault.keyring.forgetNamespace(namespace)
  }
  forget(namespace)
  await scope.withJob(principal, {}, async (tx) => {
    if (tx.dialect.engine === 'postgres') await dropPartition(tx)
  })
  let rows = 0
  const batch = async (work: () => Promise<number | undefined>): Promise<void> => {
    for (;;) {
      signal.throwIfAborted()
      const gone = await work()
      if (gone === undefined || gone === 0) return
      rows += gone
      onProgress(rows)
    }
  }
  await batch(() => scope.withJob(principal, { retryable: true }, (tx) => eraseRows(tx, batchRows)))
  await batch(() =>
    scope.withJob(principal, { retryable: true }, (tx) => eraseEvents(tx, batchRows)),
  )
  await scope.withJob(principal, { retryable: true }, eraseNamespace)
  return rows
}

/** Finishes what a killed process began. */
export function removalJob(dependencies: RemovalDependencies): Job {
  return {
    name: 'removal',
    everySeconds: 60,
    run: async (signal) => {
      for (const namespace of await dueNamespaces(dependencies.scope, 'removal', new Date())) {
        if (signal.aborted) return
        await removeNamespace(dependencies, namespace, { signal })
      }
    },
  }
}
