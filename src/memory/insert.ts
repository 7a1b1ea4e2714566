/** Writes prepared memories and everything derived from them, in the open transaction. */
import type { CommitContext } from '../operation.ts'
import { addDue } from '../namespaces/due.sql.ts'
import { insertMentions } from '../graph/graph.sql.ts'
import type { Channel } from '../principal.ts'
import { insertReaders } from './agents.sql.ts'
import type { DerivedMemory, MemoryInput } from './derive.ts'
import { insertEmbeddings } from './embeddings.sql.ts'
import { writeFields, type FieldWriter } from './fields.ts'
import { insertMemoryKeys } from './memory-keys.sql.ts'
import { insertMemories, versionKey, type NewMemoryRow } from './memories.sql.ts'
import type { SourceKind } from './memory.ts'
import { packTerms } from './packed.ts'
import { insertPostings } from './postings.sql.ts'

export interface PreparedMemory {
  readonly id: string
  readonly document: number
  readonly input: MemoryInput
  readonly derived: DerivedMemory
  readonly embedding: Float32Array | null
  /** False when the embedder failed and the job has to make the vector. */
  readonly embedded: boolean
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
  readonly source: { readonly kind: SourceKind; readonly trust: number }
}

/** Source and trust come from the channel, never from the content or an argument. */
const sourceByChannel: Readonly<Record<Channel, { kind: SourceKind; trust: number }>> = {
  stdio: { kind: 'agent', trust: 2 },
  'mcp-http': { kind: 'agent', trust: 2 },
  rest: { kind: 'agent', trust: 2 },
  cli: { kind: 'user', trust: 3 },
  job: { kind: 'connector', trust: 1 },
}

/** Inserts memories, new ones as version 1; returns those that went in (the others were there already). */
export async function insertPrepared(
  context: CommitContext,
  items: readonly PreparedMemory[],
): Promise<readonly PreparedMemory[]> {
  if (items.length === 0) return []
  const { tx, settings } = context
  const written = items.map((item) => {
    const place = { id: item.id, version: item.origin?.version ?? 1 }
    return { ...writeFields(settings, place), ...place, item }
  })
  const inserted = await insertMemories(
    tx,
    written.map(({ item, writer }) => memoryRow(context, writer, item)),
  )
  const kept = items.filter((item) => inserted.has(keyOf(item)))
  await insertMemoryKeys(
    tx,
    written.flatMap(({ id, version, key, item }) =>
      key && inserted.has(keyOf(item)) ? [{ id, version, key }] : [],
    ),
  )
  await insertPostings(tx, kept.flatMap(postingsOf))
  await insertEmbeddings(
    tx,
    kept.flatMap(({ document, embedding }) => (embedding ? [{ document, embedding }] : [])),
  )
  await insertReaders(
    tx,
    kept.flatMap(({ id, input }) => (input.allowed_agents ?? []).map((agent) => ({ id, agent }))),
  )
  await insertMentions(tx, settings, distinctEntities(kept), kept.flatMap(mentionsOf))
  const expiries = kept.flatMap(({ derived }) => (derived.expiresAt ? [derived.expiresAt] : []))
  await addDue(tx, 'expiry', expiries)
  if (kept.some((item) => !item.embedded)) await addDue(tx, 'embed', [context.now])
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
  const { id, document, input, derived, origin } = item
  const source = origin?.source ?? sourceByChannel[context.principal.channel]
  return {
    id,
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
    trust: source.trust,
    owner_agent: origin?.ownerAgent ?? context.principal.agent,
    access: input.access ?? 'shared',
    importance: input.importance ?? 0.5,
    occurred_at: derived.occurredAt,
    event_from: derived.event?.from ?? null,
    event_to: derived.event?.to ?? null,
    event_grain: derived.event?.grain ?? null,
    expires_at: derived.expiresAt,
    valid_from: origin?.validFrom ?? derived.occurredAt,
    valid_to: origin?.validTo ?? null,
    recorded_at: origin?.recordedAt ?? context.now,
    supersedes: origin?.supersedes ?? null,
    length: derived.length,
    dedupe_key: derived.dedupeKey,
    terms: packTerms(derived.terms.keys()),
    tag_terms: packTerms(derived.tagTerms),
    entities: packTerms(derived.entities.map((entity) => entity.key)),
    needs_embedding: !item.embedded,
  }
}

function postingsOf({ document, derived }: PreparedMemory) {
  const words = [...derived.terms].map(([term, frequency]) => ({
    term,
    document,
    frequency,
    length: derived.length,
  }))
  const tags = derived.tagTerms.map((term) => ({ term, document, frequency: 1, length: 0 }))
  return [...words, ...tags]
}

function mentionsOf({ document, derived }: PreparedMemory) {
  return derived.entities.map(({ key }) => ({ entity: key, document }))
}

function distinctEntities(items: readonly PreparedMemory[]) {
  return [
    ...new Map(
      items.flatMap((item) => item.derived.entities).map((entity) => [entity.key, entity]),
    ).values(),
  ]
}
