/** The operation `store`: one memory or a batch, in one transaction; acknowledged means durable. */
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { blindIndex } from '../crypto/term-hash.ts'
import { AppError } from '../errors.ts'
import type { CommitContext, Operation, PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { touchedBy } from './audience.ts'
import { batchProgress } from './batch-progress.ts'
import { deriveAll, type DerivedMemory, type MemoryInput } from './derive.ts'
import { admitAll, countFound, foundAtDoor } from './door.ts'
import { embedAll } from './embed-inputs.ts'
import {
  claimIdempotencyKey,
  keepIdempotentResult,
  type IdempotencyClaim,
} from './idempotency.sql.ts'
import {
  batchBytesMax,
  batchItemsMax,
  label,
  memoryFields,
  memoryTypes,
  namesReadersInVain,
  readersInVain,
} from './memory.ts'
import { findByDedupeKeys, type Holder } from './memories.sql.ts'
import { removeMemories } from './remove.ts'
import { dedupeKeyOf, insertPrepared, reserveFor, seenOf, type PreparedMemory } from './insert.ts'
import { quarantineOf, sourceOf } from './trust.ts'

const storeInput = z
  .strictObject({
    ...memoryFields,
    content: memoryFields.content
      .optional()
      .describe('What to remember (up to 64 KiB); use `memories` to store several at once'),
    memories: z
      .array(z.strictObject(memoryFields))
      .min(1)
      .max(batchItemsMax)
      .optional()
      .describe('Up to 500 memories, stored all together or not at all'),
    idempotency_key: label('idempotency_key')
      .optional()
      .describe('Repeat a request with the same key and nothing is stored twice'),
  })
  .superRefine((input, context) => {
    const issue = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message })
    if ((input.content === undefined) === (input.memories === undefined)) {
      issue('content', 'give either content or memories')
    }
    const single = Object.keys(memoryFields).filter((key) => key in input && key !== 'content')
    if (input.memories !== undefined && single.length > 0) {
      issue(single[0] ?? 'memories', 'with memories, put this field into each of them')
    }
    for (const [index, item] of (input.memories ?? [input]).entries()) {
      const at = input.memories ? `memories.${index}.` : ''
      if (namesReadersInVain(item)) issue(`${at}allowed_agents`, readersInVain)
      if (item.ttl_seconds !== undefined && item.expires_at !== undefined) {
        issue(`${at}expires_at`, 'give ttl_seconds or expires_at, not both')
      }
    }
  })

const storedItem = z.object({
  id: z.uuid(),
  version: z.int(),
  status: z.enum(['stored', 'duplicate']).describe('duplicate: the same memory was there already'),
  type: z.enum(memoryTypes),
  occurred_at: z.string(),
  event_date: z.string().optional().describe('The date its text speaks of'),
  event_grain: z.string().optional(),
  entities: z.array(z.string()),
  expires_at: z.string().optional(),
  embedded: z.boolean().describe('False while its vector is still to be made'),
  quarantined: z
    .literal(true)
    .optional()
    .describe('Stored, but not recalled until an administrator approves it'),
  found: z
    .array(foundAtDoor)
    .optional()
    .describe(
      'Credentials and personal data in what was given, by kind; absent when there were none',
    ),
})

const storeOutput = z.object({
  results: z.array(storedItem).describe('One entry for each memory, in the order given'),
  stored: z.int(),
  duplicates: z.int(),
  replayed: z.boolean().describe('True when this idempotency key had been used before'),
})

type StoreOutput = z.output<typeof storeOutput>
type StoredItem = z.output<typeof storedItem>

interface PreparedStore {
  readonly items: readonly PreparedMemory[]
  readonly claim: IdempotencyClaim | undefined
}

export interface StoreDependencies {
  readonly embedder: Embedder | undefined
}

/** Builds the operation. Throws `conflict` when an idempotency key is reused for another request. */
export function storeOperation({
  embedder,
}: StoreDependencies): Operation<typeof storeInput, typeof storeOutput, PreparedStore> {
  return {
    name: 'store',
    title: 'Store memories',
    description:
      'Remember something for later: a fact, preference, decision, event, procedure or task. Store one idea per memory, in words that can be found again; give session, speaker and occurred_at when known. Credentials are replaced by markers, and what stands between #skip and #endskip is not kept.',
    scope: 'memory:write',
    effect: 'write',
    input: storeInput,
    output: storeOutput,
    quarantine: () => 'reached',
    isIdempotent: (input) => input.idempotency_key !== undefined,
    prepare: async (context, input) => {
      const items: readonly MemoryInput[] = input.memories ?? [
        { ...input, content: input.content ?? '' },
      ]
      const prepared = await prepareItems(context, items, embedder, input.memories !== undefined)
      return {
        items: prepared,
        // Of what was let in: not even a keyed hash is kept of what was not.
        claim: claimOf(
          context,
          input.idempotency_key,
          prepared.map((item) => item.input),
        ),
      }
    },
    commit,
  }
}

async function prepareItems(
  context: PrepareContext,
  given: readonly MemoryInput[],
  embedder: Embedder | undefined,
  isBatch: boolean,
): Promise<PreparedMemory[]> {
  const bytes = given.reduce((sum, input) => sum + Buffer.byteLength(input.content), 0)
  if (bytes > batchBytesMax) {
    throw new AppError(
      'payload_too_large',
      `A batch may hold ${batchBytesMax} bytes of content; this one holds ${bytes}. Send it in parts.`,
    )
  }
  const admitted = await context.stage('door', () =>
    admitAll(context, given, (index) => (isBatch ? `memories.${index}.` : '')),
  )
  const inputs = admitted.map((item) => item.input)
  const progress = batchProgress(context, inputs.length)
  const derived = await context.stage('derive', () => deriveAll(context, inputs, progress.derived))
  const embeddings = await embedAll(context, inputs, embedder, progress.embedded)
  const documents = await context.stage('reserve', () => reserveFor(context, inputs))
  const source = sourceOf(context.principal.channel)
  return inputs.map((input, index) => {
    const item = derived[index] ?? missing()
    return {
      id: uuidv7(),
      document: documents[index] ?? missing(),
      input,
      derived: item,
      found: admitted[index]?.found ?? missing(),
      embedding: embeddings?.[index] ?? null,
      embedded: embeddings !== undefined,
      quarantine: quarantineOf(source, item.suspicions),
    }
  })
}

function claimOf(
  context: PrepareContext,
  key: string | undefined,
  items: readonly MemoryInput[],
): IdempotencyClaim | undefined {
  if (key === undefined) return undefined
  const { indexKey } = context.settings
  return {
    operation: 'store',
    keyHash: blindIndex(indexKey, 'idempotency', key),
    requestHash: blindIndex(indexKey, 'request', JSON.stringify(items)),
  }
}

async function commit(context: CommitContext, prepared: PreparedStore) {
  const { tx, now } = context
  const progress = batchProgress(context, prepared.items.length)
  const first = prepared.claim && (await claimIdempotencyKey(tx, prepared.claim, now))
  if (first && prepared.claim) {
    if (!first.request_hash.equals(prepared.claim.requestHash)) {
      throw new AppError(
        'conflict',
        'This idempotency_key was used for another request. Use a new key for new content.',
      )
    }
    progress.written()
    return replay(prepared.items, readKept(first.result))
  }
  const outcomes = await storeAll(context, prepared.items)
  progress.written()
  const results = outcomes.map(({ kept, outcome }) => describe(kept, outcome))
  if (prepared.claim) await keepIdempotentResult(tx, prepared.claim, keep(results))
  const fresh = prepared.items.filter((_item, index) => results[index]?.status === 'stored')
  const { output, audit } = reply(results)
  const counts = { ...audit.counts, ...countFound(prepared.items) }
  return {
    output,
    audit: { ...audit, counts },
    touched: touchedBy(fresh.map((item) => seenOf(context, item))),
  }
}

/** What an idempotency row keeps: names are content, so they are worked out again from the request. */
const keptResults = z.array(storedItem.omit({ entities: true }))
type KeptResult = z.output<typeof keptResults>[number]

function keep(results: readonly StoredItem[]): Buffer {
  return Buffer.from(JSON.stringify(results.map(({ entities: _names, ...kept }) => kept)))
}

function readKept(bytes: Buffer): KeptResult[] {
  return keptResults.parse(JSON.parse(bytes.toString('utf8')))
}

interface Outcome {
  readonly id: string
  readonly version: number
  readonly status: 'stored' | 'duplicate'
}

/**
 * Inserts what is new; a memory that is already there keeps its id and what it was stored with, in the
 * batch as in the table. `kept`: each item as it is there now.
 */
async function storeAll(
  context: CommitContext,
  items: readonly PreparedMemory[],
): Promise<{ readonly kept: PreparedMemory; readonly outcome: Outcome }[]> {
  const firstOf = new Map<string, PreparedMemory>()
  for (const item of items) {
    const key = dedupeText(item)
    if (!firstOf.has(key)) firstOf.set(key, item)
  }
  const held = await holders(context, [...firstOf.values()])
  const fresh = [...firstOf].filter(([key]) => !held.has(key)).map(([, item]) => item)
  const inserted = new Set(await context.stage('insert', () => insertPrepared(context, fresh)))
  // What a concurrent store put in between is a duplicate as well.
  const raced = fresh.filter((item) => !inserted.has(item))
  for (const [key, holder] of await holders(context, raced)) held.set(key, holder)
  return items.map((item) => {
    const key = dedupeText(item)
    const holder = held.get(key)
    if (holder) {
      const { id, version } = holder
      return { kept: asHeld(item, holder), outcome: { id, version, status: 'duplicate' as const } }
    }
    const first = firstOf.get(key) ?? missing()
    const status = item === first ? ('stored' as const) : ('duplicate' as const)
    return { kept: { ...first, found: item.found }, outcome: { id: first.id, version: 1, status } }
  })
}

/** An item with the values of the memory that holds its words: those of the request were not stored. */
function asHeld(item: PreparedMemory, holder: Holder): PreparedMemory {
  const { event_from: from, event_to: to, event_grain: grain } = holder
  return {
    ...item,
    derived: {
      ...item.derived,
      type: holder.type,
      occurredAt: holder.occurred_at,
      expiresAt: holder.expires_at,
      event: from && to && grain !== null ? { from, to, grain } : null,
    },
    embedded: !holder.needs_embedding,
    quarantine: holder.quarantine,
  }
}

/** Live memories that hold the items' dedupe keys; expired ones are removed on the way. */
async function holders(context: CommitContext, items: readonly PreparedMemory[]) {
  const held = new Map<string, Holder>()
  if (items.length === 0) return held
  const rows = await findByDedupeKeys(
    context.tx,
    items.map((item) => dedupeKeyOf(item)),
  )
  const expired = rows.filter((row) => row.expired)
  if (expired.length > 0) {
    await removeMemories(
      context.tx,
      expired.map((row) => row.id),
    )
  }
  for (const row of rows) {
    if (!row.expired) held.set(row.dedupe_key.toString('hex'), row)
  }
  return held
}

function dedupeText(item: PreparedMemory): string {
  return dedupeKeyOf(item).toString('hex')
}

function reply(results: StoredItem[]) {
  const stored = results.filter((result) => result.status === 'stored')
  const counts = { stored: stored.length, duplicates: results.length - stored.length }
  const output: StoreOutput = { results, ...counts, replayed: false }
  return { output, audit: { resourceIds: stored.map((result) => result.id), counts } }
}

function replay(items: readonly PreparedMemory[], kept: readonly KeptResult[]) {
  const results = kept.map((result, index) => ({
    ...result,
    entities: namesOf(items[index] ?? missing()),
  }))
  const duplicates = results.filter((result) => result.status === 'duplicate').length
  const output: StoreOutput = { results, stored: 0, duplicates, replayed: true }
  return { output, audit: { counts: { stored: 0, replayed: results.length } } }
}

function namesOf({ derived }: PreparedMemory): string[] {
  return derived.entities.map((entity) => entity.name)
}

function describe(item: PreparedMemory, outcome: Outcome): StoredItem {
  const derived: DerivedMemory = item.derived
  return {
    ...outcome,
    type: derived.type,
    occurred_at: derived.occurredAt.toISOString(),
    ...(derived.event && {
      event_date: derived.event.from.toISOString().slice(0, 10),
      event_grain: derived.event.grain,
    }),
    entities: namesOf(item),
    ...(derived.expiresAt && { expires_at: derived.expiresAt.toISOString() }),
    embedded: item.embedded,
    ...(item.quarantine !== 0 && { quarantined: true as const }),
    ...(item.found.length > 0 && { found: [...item.found] }),
  }
}

function missing(): never {
  throw new TypeError('an item of the batch has no counterpart')
}
