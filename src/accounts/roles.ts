/** What the members of a namespace may do. */
import { allScopes, type Scope } from '../principal.ts'

export const roles = ['admin', 'member', 'reader'] as const
export type Role = (typeof roles)[number]

const scopesByRole: Readonly<Record<Role, readonly Scope[]>> = {
  admin: allScopes,
  member: allScopes.filter((scope) => scope !== 'admin'),
  reader: ['memory:read'],
}

/** None for a word that is no role. */
export function scopesOf(role: string): readonly Scope[] {
  const known = roles.find((name) => name === role)
  return known === undefined ? [] : scopesByRole[known]
}
