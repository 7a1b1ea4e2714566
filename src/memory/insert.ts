/** Writes prepared memories and everything derived from them, in the open transaction. */
import type { CommitContext, PrepareContext } from '../operation.ts'
import type { ClientName } from '../principal.ts'
import { addDue } from '../namespaces/due.sql.ts'
import { insertMentions } from '../graph/graph.sql.ts'
import type { Seen } from './audience.ts'
import type { DerivedMemory, MemoryInput } from './derive.ts'
import type { FoundAtDoor } from './door.ts'
import { writeFields, type FieldWriter } from './fields.ts'
import { clientKey, normaliseLabel } from './keys.ts'
import { insertMemoryKeys } from './memory-keys.sql.ts'
import { insertMemories, versionKey, type NewMemoryRow } from './memories.sql.ts'
import type { AccessLevel } from './memory.ts'
import { packTerms } from './packed.ts'
import { historyTerm, insertPostings, quarantinedTerm } from './postings.sql.ts'
import type { RankingTexts } from './ranking-texts.ts'
import { sourceOf, type Source } from './trust.ts'
import { insertVectors } from './vectors.ts'

export interface PreparedMemory {
  readonly id: string
  readonly document: number
  readonly input: MemoryInput
  readonly derived: DerivedMemory
  /** What the door found in what was given; `input` is what it let in. */
  readonly found: readonly FoundAtDoor[]
  readonly embedding: Float32Array | null
  /** False when the embedder failed and the job has to make the vector. */
  readonly embedded: boolean
  /** Reasons as bits (trust.ts); 0 when it is not quarantined. */
  readonly quarantine: number
  /** Of a version that is written anew in its place: superseded or retired. */
  readonly isHistory?: boolean
  /** Set by an import: what a new memory takes from the request instead. */
  readonly origin?: MemoryOrigin
}

export interface MemoryOrigin {
  readonly version: number
  readonly isCurrent: boolean
  readonly ownerAgent: string
  readonly recordedAt: Date
  readonly validFrom: Date
  readonly validTo: Date | null
  readonly supersedes: string | null
  readonly source: Source
  readonly pinnedAt?: Date | null
}

/** False for what history alone shows: a superseded version, or one that is retired. */
function holdsNow({ origin, isHistory = false }: PreparedMemory): boolean {
  if (isHistory) return false
  return origin === undefined || (origin.isCurrent && origin.validTo === null)
}

/**
 * What two memories must not share. A quarantined one has keys of its own: it never stands for, nor in
 * the way of, one that is not.
 */
export function dedupeKeyOf({ derived, quarantine }: PreparedMemory): Buffer {
  return quarantine === 0 ? derived.dedupeKey : Buffer.concat([derived.dedupeKey, quarantineMark])
}

const quarantineMark = Buffer.of(1)

/** The key that a quarantined memory takes when it is let out. */
export function unmarkedDedupeKey(key: Buffer): Buffer {
  return key.subarray(0, key.length - quarantineMark.length)
}

function sizeOf(items: readonly PreparedMemory[]): { memories: number; bytes: number } {
  const bytes = items.reduce(
    (sum, { input }) =>
      sum + Buffer.byteLength(input.content) + Buffer.byteLength(input.raw_content ?? ''),
    0,
  )
  // Further versions are of a memory that is counted.
  const memories = items.filter(({ origin }) => (origin?.version ?? 1) === 1).length
  return { memories, bytes }
}

/**
 * Inserts memories, new ones as version 1; returns those that went in (the others were there already).
 * `rankingTexts`: remembers what was written, for the questions to come.
 */
export async function insertPrepared(
  context: CommitContext,
  items: readonly PreparedMemory[],
  rankingTexts?: RankingTexts,
): Promise<readonly PreparedMemory[]> {
  if (items.length === 0) return []
  const { tx, settings } = context
  await context.reserveRoom(sizeOf(items))
  const written = items.map((item) => {
    const place = { id: item.id, version: item.origin?.version ?? 1 }
    return { ...writeFields(settings, place), ...place, item }
  })
  const rows = written.map(({ item, writer }) => memoryRow(context, writer, item))
  const inserted = await insertMemories(tx, rows)
  for (const [index, row] of rows.entries()) {
    rankingTexts?.written(settings, row, items[index]?.input.content ?? '')
  }
  const kept = items.filter((item) => inserted.has(keyOf(item)))
  await insertMemoryKeys(
    tx,
    written.flatMap(({ id, version, key, item }) =>
      key && inserted.has(keyOf(item)) ? [{ id, version, key }] : [],
    ),
  )
  await insertPostings(tx, kept.flatMap(postingsOf))
  await insertVectors(
    tx,
    settings,
    // Quarantined ones get their vectors with the approval: until then no search meets them.
    written.flatMap(({ item, writer }) => {
      const { document, embedding, quarantine } = item
      if (!embedding || quarantine !== 0 || !inserted.has(keyOf(item))) return []
      return { document, embedding, writer: () => writer }
    }),
  )
  // A quarantined memory names nobody: its mentions stand, so that forgetting a name finds it, but the
  // name itself is written by a memory that may be seen.
  const open = kept.filter((item) => item.quarantine === 0)
  await insertMentions(tx, settings, distinctEntities(open), kept.flatMap(mentionsOf))
  const expiries = kept.flatMap(({ derived }) => (derived.expiresAt ? [derived.expiresAt] : []))
  await addDue(tx, 'expiry', expiries)
  if (open.some((item) => !item.embedded)) await addDue(tx, 'embed', [context.now])
  return kept
}

function keyOf({ id, origin }: PreparedMemory): string {
  return versionKey({ id, version: origin?.version ?? 1 })
}

function memoryRow(
  context: CommitContext,
  fields: FieldWriter,
  item: PreparedMemory,
): NewMemoryRow {
  const { document, input, derived, origin, quarantine } = item
  const { principal, settings } = context
  const { client } = principal
  const source = origin?.source ?? sourceOf(principal.channel)
  return {
    ...seenOf(context, item),
    version: origin?.version ?? 1,
    is_current: origin?.isCurrent ?? true,
    document,
    content: fields.encode('content', input.content),
    raw_content: fields.encodeOptional('raw_content', input.raw_content),
    type: derived.type,
    metadata: fields.encodeOptional('metadata', input.metadata && JSON.stringify(input.metadata)),
    tags: derived.tags.length === 0 ? null : fields.encode('tags', JSON.stringify(derived.tags)),
    session_label: fields.encodeOptional('session_label', input.session),
    session_key: derived.sessionKey,
    speaker: fields.encodeOptional('speaker', input.speaker),
    speaker_key: derived.speakerKey,
    source_kind: source.kind,
    source_url: fields.encodeOptional('source_url', input.source_url),
    source_client: fields.encodeOptional('source_client', client && clientText(client)),
    source_client_key: client ? clientKey(settings.indexKey, client.name) : null,
    source_agent: principal.agent,
    source_request: principal.requestId,
    trust: source.trust,
    quarantine,
    importance: input.importance ?? 0.5,
    occurred_at: derived.occurredAt,
    event_from: derived.event?.from ?? null,
    event_to: derived.event?.to ?? null,
    event_grain: derived.event?.grain ?? null,
    expires_at: derived.expiresAt,
    pinned_at: origin?.pinnedAt ?? null,
    valid_from: origin?.validFrom ?? derived.occurredAt,
    valid_to: origin?.validTo ?? null,
    retire_reason: fields.encodeOptional('retire_reason', input.retire_reason),
    recorded_at: origin?.recordedAt ?? context.now,
    supersedes: origin?.supersedes ?? null,
    length: derived.length,
    dedupe_key: dedupeKeyOf(item),
    terms: packedWords(item),
    tag_terms: packTerms(derived.tagTerms),
    entities: packTerms(derived.entities.map((entity) => entity.key)),
    needs_embedding: !item.embedded,
  }
}

/** Document numbers for new memories, in their order. */
export async function reserveFor(
  context: PrepareContext,
  memories: readonly { readonly access?: AccessLevel | undefined }[],
): Promise<readonly number[]> {
  const hidden = memories.filter((memory) => memory.access === 'private').length
  const numbers = {
    common: await context.reserveDocuments('common', memories.length - hidden),
    private: await context.reserveDocuments('private', hidden),
  }
  return memories.map(({ access }) => {
    const document = numbers[access === 'private' ? 'private' : 'common'].shift()
    if (document === undefined) throw new TypeError('fewer documents than memories')
    return document
  })
}

/** Who sees a new memory, as its row will say. */
export function seenOf({ principal }: CommitContext, { id, input, origin }: PreparedMemory): Seen {
  return {
    id,
    access: input.access ?? 'shared',
    owner_agent: origin?.ownerAgent ?? principal.agent,
    readers: readerList(input.allowed_agents),
  }
}

/** Sorted and each once; null when nobody is named, as in a memory that is not private. */
export function readerList(agents: readonly string[] = []): readonly string[] | null {
  return agents.length === 0 ? null : [...new Set(agents)].toSorted()
}

/** The list of its own terms that a memory keeps, packed. */
export function packedWords(item: PreparedMemory): Buffer {
  return packTerms(wordsOf(item).keys())
}

/** Terms with their frequency. Those of a quarantined memory, and of history, lie apart from all others. */
function wordsOf(item: PreparedMemory): ReadonlyMap<bigint, number> {
  const { derived, quarantine } = item
  const isHistory = !holdsNow(item)
  if (quarantine === 0 && !isHistory) return derived.terms
  const place = (term: bigint) => {
    const turned = isHistory ? historyTerm(term) : term
    return quarantine === 0 ? turned : quarantinedTerm(turned)
  }
  return new Map([...derived.terms].map(([term, frequency]) => [place(term), frequency]))
}

function clientText({ name, version }: ClientName): string {
  return version === '' ? name : `${name} ${version}`
}

/** Rows of postings for a memory: its words and its tags. */
export function postingsOf(item: PreparedMemory) {
  const { document, derived } = item
  const words = [...wordsOf(item)].map(([term, frequency]) => ({
    term,
    document,
    frequency,
    length: derived.length,
  }))
  const tags = derived.tagTerms.map((term) => ({ term, document, frequency: 1, length: 0 }))
  return [...words, ...tags]
}

export function mentionsOf({ document, derived }: PreparedMemory) {
  return derived.entities.map(({ key }) => ({ entity: key, document }))
}

/**
 * The names that some memories mention, each once, in the form that all their spellings share: the row is
 * everybody's, the spelling is a memory's own.
 */
export function distinctEntities(items: readonly PreparedMemory[]) {
  return [
    ...new Map(
      items
        .flatMap((item) => item.derived.entities)
        .map(({ name, ...entity }) => [entity.key, { ...entity, name: normaliseLabel(name) }]),
    ).values(),
  ]
}
