/** The operation `store`: one memory or a batch, in one transaction; acknowledged means durable. */
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { CommitContext, Operation, PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { touchedBy } from './audience.ts'
import { batchProgress } from './batch-progress.ts'
import { deriveAll, type MemoryInput } from './derive.ts'
import { admitAll, countFound } from './door.ts'
import { embedAll } from './embed-inputs.ts'
import type { IdempotencyClaim } from './idempotency.sql.ts'
import {
  batchBytesMax,
  batchItemsMax,
  label,
  memoryFields,
  namesReadersInVain,
  readersInVain,
} from './memory.ts'
import { findByDedupeKeys, type Holder } from './memories.sql.ts'
import { answerOnce, claimOf } from './once.ts'
import { removeMemories } from './remove.ts'
import { dedupeKeyOf, insertPrepared, reserveFor, seenOf, type PreparedMemory } from './insert.ts'
import {
  describeStored,
  namesOf,
  storeOutput,
  type Outcome,
  type StoredItem,
  type StoreOutput,
} from './stored.ts'
import type { RankingTexts } from './ranking-texts.ts'
import { quarantineOf, sourceOf } from './trust.ts'

/** The arguments of `store`; the tool of this name has those of changes beside them. */
export const storeInput = z
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

interface PreparedStore {
  readonly items: readonly PreparedMemory[]
  readonly claim: IdempotencyClaim | undefined
}

export interface StoreDependencies {
  readonly embedder: Embedder | undefined
  readonly rankingTexts: RankingTexts
}

/** Builds the operation. Throws `conflict` when an idempotency key is reused for another request. */
export function storeOperation({
  embedder,
  rankingTexts,
}: StoreDependencies): Operation<typeof storeInput, typeof storeOutput, PreparedStore> {
  return {
    name: 'store',
    title: 'Store memories',
    description:
      'Remember something for later: a fact, preference, decision, event, procedure or task. Store one idea per memory, in words that can be found again; give session, speaker and occurred_at when known. With id, what is given replaces what that memory said, as a new version; or retire, pin or restore it. Credentials are replaced by markers, and what stands between #skip and #endskip is not kept.',
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
          'store',
          input.idempotency_key,
          prepared.map((item) => item.input),
        ),
      }
    },
    commit: (context, prepared) => commit(context, prepared, rankingTexts),
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

async function commit(context: CommitContext, prepared: PreparedStore, rankingTexts: RankingTexts) {
  const progress = batchProgress(context, prepared.items.length)
  const done = await answerOnce(
    context,
    prepared.claim,
    () => storeNew(context, prepared.items, rankingTexts),
    (kept) =>
      kept.map((result, index) => ({
        ...result,
        entities: namesOf(prepared.items[index] ?? missing()),
      })),
  )
  progress.written()
  return done
}

async function storeNew(
  context: CommitContext,
  items: readonly PreparedMemory[],
  rankingTexts: RankingTexts,
) {
  const outcomes = await storeAll(context, items, rankingTexts)
  const results = outcomes.map(({ kept, outcome }) => describeStored(kept, outcome))
  const fresh = items.filter((_item, index) => results[index]?.status === 'stored')
  const { output, audit } = reply(results)
  const counts = { ...audit.counts, ...countFound(items) }
  return {
    output,
    audit: { ...audit, counts },
    touched: touchedBy(fresh.map((item) => seenOf(context, item))),
  }
}

/**
 * Inserts what is new; a memory that is already there keeps its id and what it was stored with, in the
 * batch as in the table. `kept`: each item as it is there now.
 */
async function storeAll(
  context: CommitContext,
  items: readonly PreparedMemory[],
  rankingTexts: RankingTexts,
): Promise<{ readonly kept: PreparedMemory; readonly outcome: Outcome }[]> {
  const firstOf = new Map<string, PreparedMemory>()
  for (const item of items) {
    const key = dedupeText(item)
    if (!firstOf.has(key)) firstOf.set(key, item)
  }
  const held = await holders(context, [...firstOf.values()])
  const fresh = [...firstOf].filter(([key]) => !held.has(key)).map(([, item]) => item)
  const inserted = new Set(
    await context.stage('insert', () => insertPrepared(context, fresh, rankingTexts)),
  )
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

function missing(): never {
  throw new TypeError('an item of the batch has no counterpart')
}
