/** Mutants that change nothing that anybody could see, each with the reason. As few as possible. */

export interface Equivalent {
  readonly kind: string
  /** How its name begins. */
  readonly name: string
  readonly why: string
}

export const equivalents: readonly Equivalent[] = [
  {
    kind: 'policy condition',
    name: 'ended on mindglue.grants: with check, 1. ( SELECT mindglue.context_sees_all()',
    why: 'the same policy asks the same of the same context in its using clause, which an update passes first',
  },
  {
    kind: 'scope in a function',
    name: 'mirror_embeddings, 1. v.namespace = own',
    why: 'spares a delete in partitions that finds no row: it names its namespace itself',
  },
  {
    kind: 'scope in a function',
    name: 'mirror_embeddings, 5. n.namespace = own',
    why: 'spares a delete that finds no row: what it deletes names its namespace itself',
  },
  {
    kind: 'scope in a function',
    name: 'member_leave, 1. m.namespace = home',
    why: 'locks administrators of other namespaces for a moment as well; who leaves is said by the statement after it',
  },
  {
    kind: 'authority in a function',
    name: `live_grant, 1. context[3] = 'g'`,
    why: 'a context of an agent has three parts: it names no grant, and no row compares equal with null',
  },
]

/** Whether a mutant is on the list. */
export function isEquivalent(kind: string, name: string): boolean {
  return equivalents.some((each) => each.kind === kind && name.startsWith(each.name))
}
