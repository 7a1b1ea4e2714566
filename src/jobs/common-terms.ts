/**
 * Keeps the most telling frequencies out of an encrypted namespace: terms are hashes there, but one that a
 * third of all memories holds is soon guessed. Such terms get on the namespace's list, are refused from
 * then on, and their postings are erased.
 */
import type { NamespaceScope, NamespaceTransaction } from '../database/scope.ts'
import {
  addCommonTerms,
  eraseTerms,
  lockTermLists,
  newestTerms,
  placesOf,
  termsOfMany,
  type TermList,
  type TermPlace,
} from '../memory/common-terms.sql.ts'
import { packTerms, unpackTerms } from '../memory/packed.ts'
import { historyTerm } from '../memory/postings.sql.ts'
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
/** Documents that a batch finds, postings among them at most as many. */
const batchDocuments = 500
/** Postings a batch erases, rather more than one document may have of them. */
const batchPostings = 10_000

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
  const terms =
    fresh.length === 0
      ? [...known]
      : await within(async (tx) => {
          // Waits for the stores under way; whoever comes later sees the new revision and leaves them out.
          await lockNamespace(tx)
          return await addCommonTerms(tx, fresh, commonTermsMax)
        })
  // What superseded versions hold lies apart, and tells as much.
  const common = terms.flatMap((term) => [term, historyTerm(term)])
  while (common.length > 0 && !signal.aborted) {
    if ((await within((tx) => eraseBatch(tx, common))) === 0) return
  }
}

/** The most frequent first, no more than the list has room for. */
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
    .toSorted(([, left], [, right]) => right - left)
    .slice(0, commonTermsMax - known.size)
    .map(([term]) => term)
  if (candidates.length === 0) return []
  return termsOfMany(tx, candidates, Math.floor(commonShare * memories) + 1)
}

/** Returns how many memories it changed; what others hold at the moment waits for the next run. */
async function eraseBatch(tx: NamespaceTransaction, common: readonly bigint[]): Promise<number> {
  const found = await placesOf(tx, common, batchDocuments)
  const documents = [...new Set(found.map((place) => place.document))]
  if (documents.length === 0) return 0
  const dropped = new Set(common)
  const lists: TermList[] = []
  const places: TermPlace[] = []
  for (const { document, terms } of await lockTermLists(tx, documents)) {
    if (places.length >= batchPostings) break
    const kept: bigint[] = []
    for (const term of unpackTerms(terms)) {
      if (dropped.has(term)) places.push({ term, document })
      else kept.push(term)
    }
    lists.push({ document, terms: packTerms(kept) })
  }
  // A posting that no list names, which only damage makes, would be found by every batch for ever.
  const changed = new Set(lists.map((list) => list.document))
  places.push(...found.filter((place) => changed.has(place.document)))
  await eraseTerms(tx, lists, places)
  return lists.length
}
