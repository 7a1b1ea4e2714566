/** What is worked out from a memory's text before it is stored: type, terms, entities, dates, keys. */
import { setImmediate } from 'node:timers/promises'
import type { NamespaceSettings, PrepareContext } from '../operation.ts'
import { classify } from '../pipeline/classify.ts'
import { resolveDates } from '../pipeline/dates.ts'
import { extractEntities } from '../pipeline/extract.ts'
import { findSuspicions, type Suspicion } from '../pipeline/suspicion.ts'
import { analyze } from '../pipeline/terms.ts'
import { hashTerms } from '../crypto/term-hash.ts'
import { dedupeKey, entityKey, sessionKey, speakerKey, tagTerm } from './keys.ts'
import type { AccessLevel, MemoryType } from './memory.ts'

/** The fields of one memory after validation, with times as dates. */
export interface MemoryInput {
  readonly content: string
  readonly raw_content?: string | undefined
  readonly type?: MemoryType | undefined
  readonly tags?: readonly string[] | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  readonly session?: string | undefined
  readonly speaker?: string | undefined
  readonly occurred_at?: Date | undefined
  readonly access?: AccessLevel | undefined
  readonly allowed_agents?: readonly string[] | undefined
  readonly source_url?: string | undefined
  /** Why it is no longer true; a request says it by retiring. */
  readonly retire_reason?: string | undefined
  readonly importance?: number | undefined
  readonly ttl_seconds?: number | undefined
  readonly expires_at?: Date | undefined
}

export interface DerivedEntity {
  readonly key: bigint
  readonly name: string
  readonly kind: string
}

export interface DerivedMemory {
  readonly type: MemoryType
  readonly occurredAt: Date
  readonly expiresAt: Date | null
  readonly event: { from: Date; to: Date; grain: string } | null
  /** Keyed terms with their frequency; `length` counts repeats. */
  readonly terms: ReadonlyMap<bigint, number>
  readonly length: number
  readonly tags: readonly string[]
  readonly tagTerms: readonly bigint[]
  readonly entities: readonly DerivedEntity[]
  readonly sessionKey: Buffer | null
  readonly speakerKey: Buffer | null
  readonly dedupeKey: Buffer
  /** What in its texts speaks to a model; any of it quarantines the memory. */
  readonly suspicions: ReadonlySet<Suspicion>
}

/** Deriving keeps the process at most this long before its other requests get their turn. */
const turnMs = 20

/**
 * Derives a batch of the caller's memories in turns; `onProgress` is told how many so far.
 * Throws what the signal was aborted with.
 */
export async function deriveAll(
  { settings, principal, now, signal }: PrepareContext,
  inputs: readonly MemoryInput[],
  onProgress: (done: number) => void,
): Promise<DerivedMemory[]> {
  const derived: DerivedMemory[] = []
  let turnEndsAt = performance.now() + turnMs
  for (const input of inputs) {
    derived.push(deriveMemory(settings, principal.agent, input, now))
    if (performance.now() < turnEndsAt) continue
    onProgress(derived.length)
    await setImmediate()
    signal.throwIfAborted()
    turnEndsAt = performance.now() + turnMs
  }
  onProgress(derived.length)
  return derived
}

/**
 * Works everything out for one memory of `agent`; bounded by the limits of memory.ts. `event` is given
 * by an import, whose lines carry the date: reading it from the text is the dearest step.
 */
export function deriveMemory(
  settings: NamespaceSettings,
  agent: string,
  input: MemoryInput,
  now: Date,
  event?: DerivedMemory['event'],
): DerivedMemory {
  const type = input.type ?? classify(input.content)
  const { indexKey, commonTerms } = settings
  const occurredAt = input.occurred_at ?? now
  const tags = [...new Set(input.tags ?? [])]
  const { frequencies, length } = analyze([input.content, ...tags].join('\n'))
  const words = [...frequencies.keys()]
  const terms = new Map<bigint, number>()
  for (const [index, term] of hashTerms(indexKey, words).entries()) {
    if (!commonTerms.has(term)) terms.set(term, frequencies.get(words[index] ?? '') ?? 1)
  }
  return {
    type,
    occurredAt,
    expiresAt: expiryOf(input, now),
    event: event === undefined ? eventOf(input, type, now) : event,
    terms,
    length,
    tags,
    tagTerms: [...new Set(tags.map((tag) => tagTerm(indexKey, tag)))],
    entities: entitiesIn(settings, input.content),
    sessionKey: input.session === undefined ? null : sessionKey(indexKey, input.session),
    speakerKey: input.speaker === undefined ? null : speakerKey(indexKey, input.speaker),
    dedupeKey: dedupeKey(indexKey, {
      content: input.content,
      ownerAgent: agent,
      access: input.access ?? 'shared',
      readers: input.allowed_agents ?? [],
      session: input.session,
      speaker: input.speaker,
      occurredAt: input.occurred_at,
    }),
    suspicions: suspicionsOf(input),
  }
}

/** The names in a text, each once. */
export function entitiesIn({ indexKey }: NamespaceSettings, content: string): DerivedEntity[] {
  const entities = new Map<bigint, DerivedEntity>()
  for (const { name, kind } of extractEntities(content)) {
    const key = entityKey(indexKey, name)
    if (!entities.has(key)) entities.set(key, { key, name, kind })
  }
  return [...entities.values()]
}

/** What in the texts of a memory, or of a change to one, speaks to a model. */
export function suspicionsOf(input: MemoryInput): ReadonlySet<Suspicion> {
  return findSuspicions([...textsOf(input)])
}

/** Every text of a memory that an answer may show. */
function* textsOf(input: MemoryInput): Iterable<string> {
  yield input.content
  if (input.raw_content !== undefined) yield input.raw_content
  if (input.retire_reason !== undefined) yield input.retire_reason
  const labels = [...(input.tags ?? []), input.session, input.speaker, input.source_url]
  yield labels.filter((text) => text !== undefined).join('\n\n')
  if (input.metadata !== undefined) yield [...stringsOf(input.metadata)].join('\n\n')
}

/** Keys and strings of a JSON value; its depth is bounded (memory.ts). */
function* stringsOf(value: unknown): Iterable<string> {
  if (typeof value === 'string') yield value
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    if (!Array.isArray(value)) yield key
    yield* stringsOf(inner)
  }
}

function eventOf(input: MemoryInput, type: MemoryType, now: Date): DerivedMemory['event'] {
  const outlook = type === 'task' ? 'task' : 'memory'
  const found = resolveDates(input.content, input.occurred_at ?? now, outlook)
  return found && { from: found.from, to: found.to, grain: found.grain }
}

function expiryOf(input: MemoryInput, now: Date): Date | null {
  if (input.ttl_seconds !== undefined) return new Date(now.getTime() + input.ttl_seconds * 1000)
  return input.expires_at ?? null
}
