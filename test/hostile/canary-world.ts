/**
 * Who may see which canary: the model that random operations are held to. Every stored text carries a word
 * that tells whose it is, so any answer can be judged by the words and ids in it.
 */
import type { Principal } from '../../src/principal.ts'
import { pick } from './mutations.ts'

type Random = () => number

export const agents = ['ada', 'bob', 'eve'] as const
export type Agent = (typeof agents)[number]

export const types = ['fact', 'note', 'task'] as const

/** For whom something is stored, and as what; `held`: it is quarantined when it comes. */
export interface Audience {
  readonly type: (typeof types)[number]
  readonly access: 'private' | 'shared' | 'public'
  readonly owner: Agent
  readonly readers: readonly Agent[]
  readonly held: boolean
}

interface Owned extends Audience {
  readonly namespace: bigint
  readonly word: string
}

/** Who asks, and whether the request may show what is quarantined. */
export interface Asking {
  readonly principal: Pick<Principal, 'namespace' | 'agent' | 'scopes'>
  readonly showsQuarantined?: boolean
  /** Ids that the request itself names: an answer may repeat them. */
  readonly named?: readonly string[]
  /** When a request began that asks for what is granted; milliseconds since 1970. */
  readonly grantedSince?: number
}

/** What one namespace lets another read; `until` is when the last of it may have been shown. */
export interface Allowed {
  readonly home: bigint
  readonly grantee: bigint
  readonly includesShared: boolean
  /** Undefined: all of them. */
  readonly types: readonly string[] | undefined
  /** The word of the tag or name that it asks for; undefined: none. */
  readonly word: string | undefined
  readonly from: number
  until: number
}

const canaryPattern = /zq[0-9a-z]{12}qz/giu
const uuidPattern = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/gu

export class CanaryWorld {
  readonly #canaries = new Map<string, Owned>()
  /** Ids of memories by namespace, in the order of their storing; forgotten ones stay: they must stay unseen. */
  readonly #ids = new Map<bigint, string[]>()
  readonly #owners = new Map<string, Owned>()
  readonly #words = new Map<string, string>()
  readonly #wordsOf = new Map<bigint, string[]>()
  readonly grants: Allowed[] = []
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  get canaries(): number {
    return this.#canaries.size
  }

  allow(grant: Allowed): void {
    this.grants.push(grant)
  }

  /** The word of a namespace's audience; the same audience has the same word. */
  canaryOf(namespace: bigint, audience: Audience): string {
    const { access, owner, readers, held, type } = audience
    // What every agent sees has one word a level; what is private has one an owner and list of readers.
    const whose = access === 'private' ? [owner, ...readers] : ''
    const key = [namespace, access, whose, held, type].join('/')
    const known = this.#words.get(key)
    if (known !== undefined) return known
    const letters = Array.from({ length: 12 }, () => Math.floor(this.#random() * 36).toString(36))
    const word = `zq${letters.join('')}qz`
    this.#words.set(key, word)
    this.#canaries.set(word, { namespace, word, ...audience })
    this.#wordsOf.set(namespace, [...(this.#wordsOf.get(namespace) ?? []), word])
    return word
  }

  remember(namespace: bigint, audience: Audience, id: string): void {
    if (this.#owners.has(id)) return
    this.#owners.set(id, { namespace, word: this.canaryOf(namespace, audience), ...audience })
    this.#ids.set(namespace, [...(this.#ids.get(namespace) ?? []).slice(-500), id])
  }

  /** An id stored in the namespace at some time; undefined while there is none. */
  idOf(random: Random, namespace: bigint): string | undefined {
    const ids = this.#ids.get(namespace) ?? []
    return ids.length === 0 ? undefined : pick(random, ids)
  }

  wordOf(random: Random, namespace: bigint): string {
    const words = this.#wordsOf.get(namespace) ?? []
    return words.length === 0 ? 'nothing' : pick(random, words)
  }

  /** A word that a grant of a namespace may ask for: of what may cross at all. */
  grantableOf(random: Random, namespace: bigint): string | undefined {
    const words = (this.#wordsOf.get(namespace) ?? []).filter((word) => {
      const owned = this.#canaries.get(word)
      return owned?.access !== 'private' && owned?.held === false
    })
    return words.length === 0 ? undefined : pick(random, words)
  }

  isVisible(id: string, asking: Asking): boolean {
    const owned = this.#owners.get(id)
    return owned !== undefined && this.#maySee(owned, asking)
  }

  /** What in a text its reader should not have been told: words and ids of others. */
  leaksIn(text: string, asking: Asking): string[] {
    const leaks: string[] = []
    for (const [word] of text.matchAll(canaryPattern)) {
      const owned = this.#canaries.get(word.toLowerCase())
      if (owned === undefined || !this.#maySee(owned, asking))
        leaks.push(`${word} of ${describe(owned)}`)
    }
    for (const [id] of text.matchAll(uuidPattern)) {
      const owned = this.#owners.get(id)
      if (owned === undefined || asking.named?.includes(id) === true) continue
      // Whoever stored something knows its id, quarantined or not.
      if (!this.#maySee(owned, { ...asking, showsQuarantined: true })) {
        leaks.push(`${id} of ${describe(owned)}`)
      }
    }
    return leaks
  }

  #maySee(owned: Owned, asking: Asking): boolean {
    const { principal, showsQuarantined } = asking
    if (owned.namespace !== principal.namespace) return this.#isGranted(owned, asking)
    if (owned.held && showsQuarantined !== true) return false
    if (principal.scopes.has('admin') || owned.access !== 'private') return true
    return owned.owner === principal.agent || owned.readers.some((name) => name === principal.agent)
  }

  #isGranted(owned: Owned, { principal, grantedSince: since }: Asking): boolean {
    if (since === undefined || owned.held || owned.access === 'private') return false
    return this.grants.some(
      ({ home, grantee, includesShared, types: ofTypes, word, until }) =>
        home === owned.namespace &&
        grantee === principal.namespace &&
        until >= since &&
        (ofTypes === undefined || ofTypes.includes(owned.type)) &&
        (word === undefined || word === owned.word) &&
        (owned.access === 'public' || includesShared),
    )
  }

  /** Whether a row's text holds a word of this world at all. */
  carriesCanary(text: string): boolean {
    return [...text.matchAll(canaryPattern)].some(([word]) =>
      this.#canaries.has(word.toLowerCase()),
    )
  }
}

function describe(owned: Owned | undefined): string {
  if (owned === undefined) return 'nobody'
  return `${owned.namespace} (${owned.access}, ${owned.type}, ${owned.owner}${owned.held ? ', quarantined' : ''})`
}

/** Everything that can be said of an answer or an error, as one text. */
export function textOf(value: unknown): string {
  if (value instanceof Error) {
    const details: unknown = 'details' in value ? value.details : undefined
    return `${value.message} ${textOf(details)}`
  }
  return (
    JSON.stringify(value, (_key, item: unknown) =>
      typeof item === 'bigint' ? item.toString() : item,
    ) ?? ''
  )
}
