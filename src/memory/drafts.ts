/** Makes a new version ready, outside the transaction: the fields that were given over those that were there. */
import { AppError } from '../errors.ts'
import type { NamespaceSettings, PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { deriveMemory, suspicionsOf, type DerivedMemory, type MemoryInput } from './derive.ts'
import { admit, admitStored, type FoundAtDoor } from './door.ts'
import { embedAll } from './embed-inputs.ts'
import { reserveFor, type PreparedMemory } from './insert.ts'
import { dedupeKey } from './keys.ts'
import { namesReadersInVain, readersInVain } from './memory.ts'
import { presentMemory } from './present.ts'
import { sourceOf } from './trust.ts'
import { changesAccess, requireStanding, versionsMax, type Draft } from './versions.ts'
import { versionPlaces, type BaseRow } from './versions.sql.ts'

/** What the next version is to be. */
export interface NextVersion {
  /** The newest version now. */
  readonly base: BaseRow
  /** The version whose dates and key it keeps where it says the same; `base` unless one is restored. */
  readonly like: BaseRow
  readonly input: MemoryInput
  /** What came with the request: it is judged, what was there was when it came. */
  readonly given: Partial<MemoryInput>
  /** Retired since then; null when it holds. */
  readonly validTo: Date | null
  /** What the door found in what was given; what it takes out of the rest is added. */
  readonly found: readonly FoundAtDoor[]
}

/** The fields of a stored version as a request would give them. */
export function inputOf(settings: NamespaceSettings, row: BaseRow): MemoryInput {
  const memory = presentMemory(settings, row)
  return {
    content: memory.content,
    raw_content: memory.raw_content,
    type: memory.type,
    tags: memory.tags,
    metadata: memory.metadata,
    session: memory.session,
    speaker: memory.speaker,
    occurred_at: row.occurred_at,
    access: memory.access,
    allowed_agents: row.readers ?? undefined,
    source_url: memory.source.url,
    retire_reason: memory.retire_reason,
    importance: memory.importance,
    ttl_seconds: undefined,
    expires_at: row.expires_at ?? undefined,
  }
}

/** What of a change the door lets in; without new words a memory has its own to stand for them. */
export function admitChange(
  { settings }: Pick<PrepareContext, 'settings'>,
  given: Partial<MemoryInput>,
): { readonly given: Partial<MemoryInput>; readonly found: readonly FoundAtDoor[] } {
  const { input, found } = admit(settings.door, { ...given, content: given.content ?? 'unchanged' })
  const { content, ...others } = input
  return { given: given.content === undefined ? others : { ...others, content }, found }
}

/** Throws AppError when the caller, its channel or the new words may not take the memory's place. */
export async function draftVersion(
  context: PrepareContext,
  embedder: Embedder | undefined,
  next: NextVersion,
): Promise<Draft> {
  const { base, like } = next
  const { settings, principal, now } = context
  requireStanding(context, base)
  refuseSuspicious(next)
  if (base.version >= versionsMax) {
    throw new AppError(
      'conflict',
      `This memory has ${versionsMax} versions already. Store a new one and forget this.`,
    )
  }
  // What was stored under another policy comes into no new version.
  const { input, found } = admitStored(settings.door, next.input)
  const before = inputOf(settings, like)
  const derived = await context.stage('derive', () => derive(context, next, input, before))
  const [document] = await reserveFor(context, [input])
  if (document === undefined) throw new TypeError('no document was reserved')
  const embeddings = await embedAll(context, [input], embedder)
  // By what was asked for: words that the door took out are not the caller's.
  const saysTheSame = hasSameWords(next.input, before)
  const keepsWords = hasSameWords(next.input, inputOf(settings, base))
  const item: PreparedMemory = {
    id: base.id,
    document,
    input,
    derived,
    found: [...next.found, ...found.filter(({ action }) => action === 'redacted')],
    embedding: embeddings?.[0] ?? null,
    embedded: embeddings !== undefined,
    quarantine: 0,
    origin: {
      version: base.version + 1,
      isCurrent: true,
      ownerAgent: base.owner_agent,
      // Strictly later than the one before: what was known at an instant is one version.
      recordedAt: new Date(Math.max(now.getTime(), base.recorded_at.getTime() + 1)),
      validFrom: next.given.occurred_at ?? like.valid_from,
      validTo: next.validTo,
      supersedes: base.supersedes,
      // Who changes a memory makes it no more believable, whatever the channel.
      source: {
        kind: saysTheSame ? like.source_kind : sourceOf(principal.channel).kind,
        trust: base.trust,
      },
      pinnedAt: base.pinned_at,
    },
  }
  return { base, item, keepsWords, moved: await movedNumbers(context, base, item) }
}

function hasSameWords(one: MemoryInput, other: MemoryInput): boolean {
  return one.content === other.content && one.raw_content === other.raw_content
}

/** A quarantined text is no answer to anything, so it takes no memory's place either. */
function refuseSuspicious({ given }: NextVersion): void {
  const found = suspicionsOf({ ...given, content: given.content ?? '' })
  if (found.size === 0) return
  throw new AppError(
    'invalid_input',
    `A memory is not replaced by text that hides something or gives orders (${[...found].join(', ')}). Say it plainly, or store it by itself: an administrator can then review it.`,
  )
}

function derive(
  { settings, now }: PrepareContext,
  { base, like, input: asked, given }: NextVersion,
  input: MemoryInput,
  before: MemoryInput,
) {
  const isSameMoment =
    asked.content === before.content &&
    asked.occurred_at?.getTime() === before.occurred_at?.getTime()
  const derived = isSameMoment
    ? deriveMemory(settings, base.owner_agent, input, now, eventOf(like))
    : deriveMemory(settings, base.owner_agent, input, now)
  // A memory whose time nobody gave is known by its words alone, also when it has changed since.
  const identity = (from: MemoryInput, owner: string, occurredAt: Date | undefined) =>
    dedupeKey(settings.indexKey, {
      content: from.content,
      ownerAgent: owner,
      access: from.access ?? 'shared',
      readers: from.allowed_agents ?? [],
      session: from.session,
      speaker: from.speaker,
      occurredAt,
    })
  const isTimeless = identity(before, like.owner_agent, undefined).equals(like.dedupe_key)
  const occurredAt = given.occurred_at ?? (isTimeless ? undefined : input.occurred_at)
  return { ...derived, dedupeKey: identity(input, base.owner_agent, occurredAt) }
}

function eventOf(row: BaseRow): DerivedMemory['event'] {
  if (!row.event_from || !row.event_to || row.event_grain === null) return null
  return { from: row.event_from, to: row.event_to, grain: row.event_grain }
}

/** Other readers are the owner's to name, or an administrator's; the database holds it as well. */
async function movedNumbers(
  context: PrepareContext,
  base: BaseRow,
  item: PreparedMemory,
): Promise<readonly number[] | undefined> {
  const { access = 'shared', allowed_agents } = item.input
  if (namesReadersInVain({ access, allowed_agents })) {
    throw new AppError('invalid_input', readersInVain)
  }
  if (!changesAccess(base, item)) return undefined
  const { agent, scopes } = context.principal
  if (agent !== base.owner_agent && !scopes.has('admin')) {
    throw new AppError(
      'insufficient_scope',
      'Who may read a memory is its owner’s to change, or an administrator’s.',
    )
  }
  if ((access === 'private') === (base.access === 'private')) return undefined
  const versions = await context.read((tx) => versionPlaces(tx, base.id))
  return reserveFor(
    context,
    versions.map(() => ({ access })),
  )
}
