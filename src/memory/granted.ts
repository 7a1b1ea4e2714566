/** Recall beyond the caller's namespace: a search in each one that granted it something, and one list of both. */
import type { CommitContext, GrantedAnswer, PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { stillHeld } from '../namespaces/grants.sql.ts'
import { presenter, presentHits, type HitOptions, type RecallResult } from './hits.ts'
import { prepareQuestion, search, type OpenedBefore, type PreparedQuestion } from './search.ts'
import { toFilter, type FilterInput } from './filter.ts'
import { fairShares, foreignTrust } from './trust.ts'
import { Unreadable } from './unreadable.ts'

export interface GrantedSearch extends HitOptions {
  readonly texts: readonly string[]
  readonly filter: FilterInput
  readonly embedder: Embedder | undefined
  readonly openedBefore: OpenedBefore
}

export type GrantedResults = GrantedAnswer<readonly RecallResult[]>

/**
 * The best that each grant shows for the questions: hashed and embedded as the granting namespace is, and
 * filtered by its keys. Neighbours stay behind.
 */
export function searchGranted(
  context: PrepareContext,
  { texts, filter, embedder, openedBefore, limit, explain }: GrantedSearch,
): Promise<GrantedResults> {
  return context.granted({
    prepare: async (home) => {
      const questions: PreparedQuestion[] = []
      for (const text of texts) questions.push(await prepareQuestion(home, embedder, text))
      return { questions, filter: toFilter(home.settings, filter) }
    },
    read: async (home, prepared) => {
      // What is damaged there is nobody's here to mend: it is left out and not named.
      const unreadable = new Unreadable()
      const reading = { ...openedBefore, unreadable, results: limit }
      const hits = await search(home, prepared.questions, prepared.filter, reading)
      const show = presenter(home, unreadable)
      const results = await presentHits({ ...home, show }, hits, { limit, explain })
      await unreadable.requireCurrent(home)
      return results
    },
  })
}

/**
 * One list of the caller's own results and of those under grants that are in force at this statement, each
 * with the name of its namespace. The penalty is taken off; of equal scores the caller's own come first.
 * Nobody here answers for what another namespace says: each is believed as one from outside, and fills a
 * fair share of the `limit` results (trust.ts).
 */
export async function withGranted(
  { tx, settings }: CommitContext,
  own: readonly RecallResult[],
  { found }: GrantedResults,
  limit: number,
): Promise<readonly RecallResult[]> {
  const ids = found.filter(({ result }) => result.length > 0).map(({ grant }) => grant.id)
  const held = ids.length === 0 ? new Set() : await stillHeld(tx, ids)
  const best = new Map<string, ForeignResult>()
  for (const { grant, result } of found) {
    // The statement's clock judged the expiry; time went on since. Not for a millisecond.
    const isOver = grant.expiresAt !== null && grant.expiresAt.getTime() <= Date.now()
    if (isOver || !held.has(grant.id)) continue
    for (const entry of result) {
      const granted = asForeign(entry, grant)
      // Two grants may show the same memory: the more generous one counts.
      const key = `${grant.namespaceName}\0${entry.id}`
      if ((best.get(key)?.score ?? -1) < granted.score) best.set(key, granted)
    }
  }
  const mine = own.map((entry) => ({ ...entry, namespace: settings.name }))
  const mayTake = fairShares(limit)
  const theirs = [...best.values()]
    .toSorted(byScore)
    .filter(({ source, namespace }) => mayTake({ trust: source.trust, from: namespace }))
  return [...mine, ...theirs].toSorted(byScore)
}

type ForeignResult = RecallResult & { readonly namespace: string; readonly score: number }

/** With the penalty taken off. What its own namespace believes of it, the giver had the say in. */
function asForeign(
  entry: RecallResult,
  { namespaceName, penalty }: { readonly namespaceName: string; readonly penalty: number },
): ForeignResult {
  const score = Math.round(Math.max(0, (entry.score ?? 0) - penalty) * 10_000) / 10_000
  return {
    ...entry,
    namespace: namespaceName,
    source: { ...entry.source, trust: Math.min(entry.source.trust, foreignTrust) },
    score,
    ...(entry.parts && { parts: { ...entry.parts, penalty: -penalty } }),
  }
}

function byScore(a: RecallResult, b: RecallResult): number {
  return (b.score ?? 0) - (a.score ?? 0)
}
