/** The last of everything: a namespace that is described, scanned, indexed anew, and then deleted with its keys and rows. */
import type { NamespaceScope } from '../../src/database/scope.ts'
import type { Execute } from '../../src/execute.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import { reindexNamespace } from '../../src/jobs/reindex.ts'
import { removeNamespace } from '../../src/jobs/removal.ts'
import { scanNamespace } from '../../src/jobs/scan.ts'
import { describeNamespace } from '../../src/namespaces/namespaces.sql.ts'
import type { DoorAction } from '../../src/operation.ts'
import type { Namespaces } from '../../src/namespaces/namespaces.ts'
import { accountsAndMembers } from './everything-accounts.ts'
import { clientsOfPeople } from './everything-clients.ts'
import type { TestMemory } from './memory.ts'
import { withOlderIndex } from './older-index.ts'

/** People, then a namespace from its beginning to its end. */
export async function everythingElse(
  scope: NamespaceScope,
  namespaces: Namespaces,
  execute: Execute,
  memory: TestMemory,
): Promise<void> {
  await accountsAndMembers(scope, namespaces, memory)
  await clientsOfPeople(scope, namespaces, memory)
  await describeAndRemove(scope, namespaces, execute, memory)
}

async function describeAndRemove(
  scope: NamespaceScope,
  namespaces: Namespaces,
  execute: Execute,
  memory: TestMemory,
): Promise<void> {
  const namespaceName = 'everything removed'
  const namespace = await namespaces.create(namespaceName)
  await scope.withJob(jobPrincipal(namespace), { readOnly: true }, describeNamespace)
  const operator = await memory.principal({ namespaceName, agent: 'root', scopes: ['admin'] })
  const { namespaceList, namespaceRead, namespaceSet } = memory.operations
  await execute(namespaceList, operator, {})
  await execute(namespaceRead, operator, { name: namespaceName })
  const policy = (personal: DoorAction) =>
    execute(namespaceSet, operator, { name: namespaceName, policy: { personal } })
  await policy('allow')
  const writer = await memory.principal({ namespaceName })
  await execute(memory.operations.store, writer, { content: 'Write to ada@example.org.' })
  await policy('redact')
  const { signal } = new AbortController()
  const rewriteTables = () => Promise.resolve(false)
  const quiet = { signal, onProgress: () => undefined }
  await scanNamespace({ scope, namespaces, rewriteTables }, operator, false, quiet)
  await withOlderIndex(memory.test, namespace)
  await reindexNamespace({ scope, namespaces }, operator, quiet)
  const forget = namespaces.forget.bind(namespaces)
  await removeNamespace({ scope, vault: memory.vault, forget }, namespace, { signal })
}
