/**
 * Applies the door to versions that are stored already: words, keys, names and vectors of before go, in the same
 * transaction, and a version that lost words gets a new content key and document number. What a version says of times, owners, trust
 * and dates stays.
 */
import type { NamespaceTransaction } from '../database/scope.ts'
import { deleteUnmentioned, insertMentions } from '../graph/graph.sql.ts'
import { documentIn } from '../namespaces/documents.ts'
import { addDue } from '../namespaces/due.sql.ts'
import { takeDocuments } from '../namespaces/namespaces.sql.ts'
import type { NamespaceSettings } from '../operation.ts'
import { deriveMemory, type DerivedMemory, type MemoryInput } from './derive.ts'
import { admitStored, type Admitted } from './door.ts'
import { readFields, writeFields, type FieldColumn } from './fields.ts'
import {
  dedupeKeyOf,
  distinctEntities,
  mentionsOf,
  packedWords,
  postingsOf,
  type PreparedMemory,
} from './insert.ts'
import { dedupeKey } from './keys.ts'
import { insertMemoryKeys, updateMemoryKeys } from './memory-keys.sql.ts'
import { findByDedupeKeys } from './memories.sql.ts'
import { packTerms } from './packed.ts'
import { insertPostings } from './postings.sql.ts'
import { presentMemory } from './present.ts'
import { deleteDerivedOf } from './remove.sql.ts'
import {
  rewriteVersions,
  type IndexedVersion,
  type RewritableRow,
  type RewrittenVersion,
} from './rewrite.sql.ts'

export interface RewriteContext {
  readonly tx: NamespaceTransaction
  readonly settings: NamespaceSettings
  readonly now: Date
}

/** A stored version and what the door makes of it. */
export interface Examined extends Admitted {
  readonly row: RewritableRow
  /** What it holds now. */
  readonly before: MemoryInput
  readonly isChanged: boolean
}

/** Reads a version and looks at it; writes nothing. Throws as `readFields` does. */
export function examine(settings: NamespaceSettings, row: RewritableRow): Examined {
  const before = readVersion(settings, row)
  const { input, found } = admitStored(settings.door, before)
  return { row, before, input, found, isChanged: JSON.stringify(input) !== JSON.stringify(before) }
}

/** What a version was made of, but for what it says of times, owners and trust. Throws as `readFields` does. */
function readVersion(settings: NamespaceSettings, row: RewritableRow): MemoryInput {
  const shown = presentMemory(settings, row)
  return {
    content: shown.content,
    raw_content: shown.raw_content,
    type: shown.type,
    tags: shown.tags,
    metadata: shown.metadata,
    session: shown.session,
    speaker: shown.speaker,
    source_url: shown.source.url,
    retire_reason: shown.retire_reason,
    occurred_at: row.occurred_at,
    access: row.access,
    allowed_agents: row.readers ?? [],
  }
}

/** A stored version as `insert.ts` would write it today, its words unchanged. Throws as `readFields` does. */
export function preparedAnew(
  settings: NamespaceSettings,
  row: RewritableRow,
  now: Date,
): PreparedMemory {
  return prepared(settings, { row, input: readVersion(settings, row), found: [] }, now)
}

/** Writes changed versions anew, with everything derived from them. The rows are locked. */
export async function rewrite(
  context: RewriteContext,
  changed: readonly Examined[],
): Promise<void> {
  if (changed.length === 0) return
  const { tx, settings, now } = context
  const mentioned = await deleteDerivedOf(
    tx,
    changed.map(({ row }) => row),
  )
  const documents = await newDocuments(tx, changed)
  const items = changed.map((one, index) => ({
    ...one,
    item: { ...prepared(settings, one, now), document: documents[index] ?? one.row.document },
  }))
  const taken = await takenKeys(tx, items)
  const written = items.map((one) => {
    const { writer, key } = writeFields(settings, one.row)
    const texts = textsOf(settings, one)
    const encode = (column: FieldColumn) => writer.encodeOptional(column, texts[column])
    return { ...one, key, version: rewritten(settings, one, encode, taken) }
  })
  await rewriteVersions(
    tx,
    written.map(({ version }) => version),
  )
  const keys = written.flatMap(({ row, key }) =>
    key ? [{ row, id: row.id, version: row.version, key }] : [],
  )
  const isWrapped = ({ row }: { row: RewritableRow }) => row.key_token !== null
  await updateMemoryKeys(tx, keys.filter(isWrapped))
  await insertMemoryKeys(
    tx,
    keys.filter((one) => !isWrapped(one)),
  )
  await insertIndex(
    context,
    items.map(({ item }) => item),
    mentioned,
  )
  if (written.some(({ version }) => version.needsEmbedding)) await addDue(tx, 'embed', [now])
}

/** Words, tags and names of versions whose rows are written; of the entities `mentioned` before, those left alone go. */
export async function insertIndex(
  { tx, settings }: RewriteContext,
  items: readonly PreparedMemory[],
  mentioned: readonly bigint[],
): Promise<void> {
  await insertPostings(tx, items.flatMap(postingsOf))
  const open = items.filter((item) => item.quarantine === 0)
  await insertMentions(tx, settings, distinctEntities(open), items.flatMap(mentionsOf))
  await deleteUnmentioned(tx, mentioned)
}

/** What a version's own row keeps of its index. */
export function indexOf(item: PreparedMemory): Omit<IndexedVersion, 'id' | 'version'> {
  const { derived } = item
  return {
    sessionKey: derived.sessionKey,
    speakerKey: derived.speakerKey,
    length: derived.length,
    terms: packedWords(item),
    tagTerms: packTerms(derived.tagTerms),
    entities: packTerms(derived.entities.map((entity) => entity.key)),
  }
}

/** A number stands for the same words for ever: what a process has opened by it is never of other words. */
async function newDocuments(
  tx: NamespaceTransaction,
  changed: readonly Examined[],
): Promise<number[]> {
  const spaces = changed.map(({ row }) => (row.access === 'private' ? 'private' : 'common'))
  const next = { common: 0, private: 0 }
  for (const space of ['common', 'private'] as const) {
    const count = spaces.filter((each) => each === space).length
    if (count > 0) next[space] = documentIn(space, await takeDocuments(tx, space, count))
  }
  return spaces.map((space) => next[space]++)
}

type Written = Examined & { readonly item: PreparedMemory }

function prepared(
  settings: NamespaceSettings,
  { row, input, found }: Pick<Examined, 'row' | 'input' | 'found'>,
  now: Date,
): PreparedMemory {
  const occurredAt = occurredAtGiven(settings, row)
  const event: DerivedMemory['event'] =
    row.event_from && row.event_grain !== null
      ? { from: row.event_from, to: row.event_to ?? row.event_from, grain: row.event_grain }
      : null
  const derived = deriveMemory(
    settings,
    row.owner_agent,
    { ...input, occurred_at: occurredAt },
    now,
    event,
  )
  return {
    id: row.id,
    document: row.document,
    input,
    derived,
    found,
    embedding: null,
    embedded: false,
    quarantine: row.quarantine,
    isHistory: !row.is_current || row.valid_to !== null,
  }
}

/** A time is part of what makes two memories the same only when it was given: the stored key tells. */
function occurredAtGiven(settings: NamespaceSettings, row: RewritableRow): Date | undefined {
  const { content, session, speaker } = presentMemory(settings, row)
  const given = dedupeKey(settings.indexKey, {
    content,
    ownerAgent: row.owner_agent,
    access: row.access,
    readers: row.readers ?? [],
    session,
    speaker,
    occurredAt: row.occurred_at,
  })
  return row.dedupe_key.subarray(0, given.length).equals(given) ? row.occurred_at : undefined
}

/** Two that differed by what went would now be one: the later keeps a key of its own, and both stay. */
async function takenKeys(
  tx: NamespaceTransaction,
  items: readonly Written[],
): Promise<Set<string>> {
  const own = new Set(items.map(({ row }) => `${row.id}/${row.version}`))
  const held = await findByDedupeKeys(
    tx,
    items.map(({ item }) => dedupeKeyOf(item)),
  )
  return new Set(
    held
      .filter(({ id, version }) => !own.has(`${id}/${version}`))
      .map(({ dedupe_key: key }) => key.toString('hex')),
  )
}

function rewritten(
  settings: NamespaceSettings,
  { row, item }: Written,
  encode: RewrittenVersion['encode'],
  taken: Set<string>,
): RewrittenVersion {
  const { derived, quarantine } = item
  const key = dedupeKeyOf(item)
  const isTaken = taken.has(key.toString('hex'))
  if (row.is_current) taken.add(key.toString('hex'))
  const own = { ...item, derived: { ...derived, dedupeKey: ownKey(derived.dedupeKey, row) } }
  return {
    id: row.id,
    version: row.version,
    document: item.document,
    encode,
    ...indexOf(item),
    dedupeKey: isTaken && row.is_current ? dedupeKeyOf(own) : key,
    needsEmbedding: settings.embedderDimension > 0 && quarantine === 0,
  }
}

function ownKey(key: Buffer, { id }: RewritableRow): Buffer {
  return Buffer.concat([key, Buffer.from(id.replaceAll('-', ''), 'hex')])
}

/** Every encoded column as text: what the door let in, and what it does not look at as it was. */
function textsOf(
  settings: NamespaceSettings,
  { row, input }: Examined,
): Record<FieldColumn, string | undefined> {
  const fields = readFields(settings, row)
  const tags = [...new Set(input.tags ?? [])]
  return {
    content: input.content,
    raw_content: input.raw_content,
    metadata: input.metadata && JSON.stringify(input.metadata),
    tags: tags.length === 0 ? undefined : JSON.stringify(tags),
    session_label: input.session,
    speaker: input.speaker,
    source_url: input.source_url,
    source_client: fields.decodeOptional('source_client', row.source_client),
    retire_reason: input.retire_reason,
  }
}
