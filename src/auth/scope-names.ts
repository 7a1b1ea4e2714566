/** How an issuer calls our scopes. */
import { allScopes, type Scope } from '../principal.ts'

export interface ScopeNames {
  /** Undefined for a word that is none of our scopes. */
  ours(theirs: string): Scope | undefined
  theirs(ours: Scope): string
}

/** `pairs` as configured: `theirs=ours`; a scope without one is called as we call it. */
export function createScopeNames(pairs: readonly string[]): ScopeNames {
  const named = new Map(
    pairs.map((pair) => pair.split('=')).map(([theirs, ours]) => [ours, theirs]),
  )
  const theirs = (scope: Scope): string => named.get(scope) ?? scope
  const byName = new Map(allScopes.map((scope) => [theirs(scope), scope]))
  return { theirs, ours: (word) => byName.get(word) }
}
