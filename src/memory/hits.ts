/** Hits of a search as whole memories: the best of them, a fair share from each source, with their neighbours. */
import { z } from 'zod'
import type { ReadContext } from '../operation.ts'
import { AnswerRoom, batchRows } from './batches.ts'
import { readDocuments, readNeighbours } from './candidates.sql.ts'
import type { MemoryFilter, MemoryRow, PlacedRow } from './memories.sql.ts'
import { presentedMemory, presentMemory, type PresentedMemory } from './present.ts'
import type { Hit } from './candidate-pool.ts'
import { fairShares, sourceName } from './trust.ts'
import type { Unreadable } from './unreadable.ts'

/** Most results that a recall gives. */
export const resultsMax = 100

export const recallResult = presentedMemory.extend({
  score: z.number().optional().describe('0 to 1; absent when nothing was asked'),
  parts: z.record(z.string(), z.number()).optional(),
  namespace: z
    .string()
    .optional()
    .describe('With include_granted: the namespace whose memory it is'),
  is_current: z.boolean().optional().describe('Of history: whether this is the newest version'),
  truncated: z.literal(true).optional().describe('Cut to fit into max_tokens'),
  neighbours: z
    .array(presentedMemory.extend({ place: z.int().describe('-1 is the memory right before') }))
    .optional(),
})

export type RecallResult = z.output<typeof recallResult>

export interface HitOptions {
  readonly limit: number
  readonly neighbours?: number | undefined
  readonly explain?: boolean | undefined
  /** The moment that the hits are of; now when left out. */
  readonly moment?: MemoryFilter['moment']
}

/** A row as callers see it; undefined when a value of it does not decrypt. */
export type Show = (row: MemoryRow & Partial<PlacedRow>) => ShownMemory | undefined
export type ShownMemory = PresentedMemory & { is_current?: boolean }
export type ShowContext = ReadContext & { readonly show: Show }

/** Shows rows; those of another moment than now say whether they are their memory's newest version. */
export function presenter(
  { settings }: Pick<ReadContext, 'settings'>,
  unreadable: Unreadable,
  moment?: MemoryFilter['moment'],
): Show {
  return (row) => {
    const memory = unreadable.skip(row.id, () => presentMemory(settings, row))
    if (!memory || moment === undefined || row.is_current === undefined) return memory
    return { ...memory, is_current: row.is_current }
  }
}

/**
 * Rows of the best hits, in no order; one that expired meanwhile is left out. Where a source below
 * normal trust has had its share (trust.ts), the next hits take its places.
 */
async function readBest(
  { tx }: ReadContext,
  hits: readonly Hit[],
  { limit, moment }: HitOptions,
  room: AnswerRoom,
): Promise<PlacedRow[]> {
  const mayTake = fairShares(limit)
  const best: PlacedRow[] = []
  let start = 0
  while (start < hits.length && best.length < limit) {
    // Mostly the first page is the answer; one source that filled it may have filled many more.
    const size = start === 0 ? Math.min(limit, batchRows.first) : batchRows.most
    const page = hits.slice(start, start + size).map(documentOf)
    start += page.length
    const rows = new Map((await readDocuments(tx, page, moment)).map((row) => [row.document, row]))
    const fair = page.flatMap((document) => {
      const row = rows.get(document)
      if (!row) return []
      const from = sourceName(row.source_kind, row.source_agent ?? row.owner_agent)
      return mayTake({ trust: row.trust, from }) ? [row] : []
    })
    for (const row of fair.slice(0, limit - best.length)) {
      room.take(row)
      best.push(row)
    }
  }
  return best
}

function documentOf(hit: Hit): number {
  return hit.document
}

/** Whole memories for the best of the hits, in their order. Throws `payload_too_large` beyond one answer. */
export async function presentHits(
  context: ShowContext,
  hits: readonly Hit[],
  input: HitOptions,
): Promise<RecallResult[]> {
  const room = new AnswerRoom()
  const rows = await readBest(context, hits, input, room)
  if (rows.length === 0) return []
  const byDocument = new Map(rows.map((row) => [row.document, row]))
  const around = await neighboursOf(context, [...byDocument.keys()], input, room)
  return hits.flatMap(({ document, score, parts }) => {
    const row = byDocument.get(document)
    const memory = row && context.show(row)
    if (!memory) return []
    return {
      ...memory,
      score: Math.round(score * 10_000) / 10_000,
      ...(input.explain === true && { parts: { ...parts } }),
      ...(around.size > 0 && { neighbours: around.get(document) ?? [] }),
    }
  })
}

async function neighboursOf(
  context: ShowContext,
  documents: readonly number[],
  { neighbours: reach = 0, moment }: HitOptions,
  room: AnswerRoom,
) {
  type Neighbour = NonNullable<RecallResult['neighbours']>[number]
  const around = new Map<number, Neighbour[]>()
  if (reach === 0) return around
  for (const document of documents) around.set(document, [])
  const size = Math.ceil(batchRows.most / (2 * reach))
  for (let start = 0; start < documents.length; start += size) {
    const hits = documents.slice(start, start + size)
    for (const row of await readNeighbours(context.tx, hits, reach, moment)) {
      room.take(row)
      const memory = context.show(row)
      if (memory) around.get(row.hit)?.push({ ...memory, place: row.place })
    }
  }
  return around
}
