/**
 * Keeps the most telling frequencies out of an encrypted namespace: terms are hashes there, but one that a
 * third of all memories holds is soon guessed. Such terms get on the namespace's list, are refused from
 * then on, and their postings are erased.
 */
import type { NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import {
  addCommonTerms,
  documentsHolding,
  eraseTerms,
  lockTermLists,
  newestTerms,
  termsOfMany,
} from '../memory/common-terms.sql.ts'
import { packTerms, unpackTerms } from '../memory/packed.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import { lockNamespace, readRevision } from '../namespaces/namespaces.sql.ts'
import { jobPrincipal } from './job-principal.ts'

/** A term in more than this share of the memories is common. */
const commonShare = 0.2
/** In a smaller namespace nothing is frequent. */
const memoriesMin = 300
/** Newest memories that candidates are looked for in: a fixed cost, whatever the size. */
const sampleRows = 1_000
/** Share of the sample from which a term is counted exactly. */
const candidateShare = 0.18
/** A list that grows beyond this is no list of a few words of everyday; 8 KB. */
const commonTermsMax = 1_000
const batchDocuments = 500

interface Dependencies {
  readonly scope: NamespaceScope
  readonly namespaces: Namespaces
}

/** Looks at one namespace; may be interrupted anywhere and is finished by the next run. */
export async function dropCommonTerms(
  { scope, namespaces }: Dependencies,
  { namespace, memories }: { readonly namespace: bigint; readonly memories: number },
  signal: AbortSignal,
): Promise<void> {
  const principal = jobPrincipal(namespace)
  const within = <T>(work: (tx: NamespaceTransaction) => Promise<T>): Promise<T> =>
    scope.withJob(principal, {}, work)
  const revision = await within((tx) => readRevision(tx, false))
  const settings = await namespaces.settings(principal, revision)
  if (settings.profile === 'off') return
  const known = settings.commonTerms
  const fresh = await within((tx) => findCommonTerms(tx, memories, known))
  if (fresh.length > 0) {
    await within(async (tx) => {
      // Waits for the stores under way; whoever comes later sees the new revision and leaves them out.
      await lockNamespace(tx)
      await addCommonTerms(tx, fresh)
    })
  }
  const common = [...known, ...fresh]
  while (common.length > 0 && !signal.aborted) {
    if ((await within((tx) => eraseBatch(tx, common))) === 0) return
  }
}

async function findCommonTerms(
  tx: NamespaceTransaction,
  memories: number,
  known: ReadonlySet<bigint>,
): Promise<readonly bigint[]> {
  if (memories < memoriesMin || known.size >= commonTermsMax) return []
  const lists = await newestTerms(tx, sampleRows)
  const counts = new Map<bigint, number>()
  for (const list of lists) {
    for (const term of unpackTerms(list)) counts.set(term, (counts.get(term) ?? 0) + 1)
  }
  const candidates = [...counts]
    .filter(([term, count]) => count > candidateShare * lists.length && !known.has(term))
    .map(([term]) => term)
  if (candidates.length === 0) return []
  return termsOfMany(tx, candidates, Math.floor(commonShare * memories) + 1)
}

/** Returns how many memories it changed; what others hold at the moment waits for the next run. */
async function eraseBatch(tx: NamespaceTransaction, common: readonly bigint[]): Promise<number> {
  const documents = await documentsHolding(tx, common, batchDocuments)
  if (documents.length === 0) return 0
  const left = new Set(common)
  const lists = (await lockTermLists(tx, documents)).map(({ document, terms }) => ({
    document,
    terms: packTerms(unpackTerms(terms).filter((term) => !left.has(term))),
  }))
  await eraseTerms(tx, lists, common)
  return lists.length
}
