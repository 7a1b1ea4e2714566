/** The last of everything: a namespace that is described and then deleted with its keys and rows. */
import type { NamespaceScope } from '../../src/database/scope.ts'
import { jobPrincipal } from '../../src/jobs/job-principal.ts'
import { removeNamespace } from '../../src/jobs/removal.ts'
import { describeNamespace } from '../../src/namespaces/namespaces.sql.ts'
import type { Namespaces } from '../../src/namespaces/namespaces.ts'
import type { TestMemory } from './memory.ts'

export async function describeAndRemove(
  scope: NamespaceScope,
  namespaces: Namespaces,
  { vault }: TestMemory,
): Promise<void> {
  const namespace = await namespaces.create('everything removed')
  await scope.withJob(jobPrincipal(namespace), { readOnly: true }, describeNamespace)
  const { signal } = new AbortController()
  const forget = namespaces.forget.bind(namespaces)
  await removeNamespace({ scope, vault, forget }, namespace, { signal })
}
