/** What `forget` would take by a question: the memories it means, as `recall` ranks them, each shown in short. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { CommitContext, PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { firstTokens } from '../pipeline/tokens.ts'
import { mayUseTool } from '../principal.ts'
import { presenter, presentHits, resultsMax } from './hits.ts'
import { selectIds, type MarkedMemory } from './listing.sql.ts'
import type { MemoryFilter } from './memories.sql.ts'
import { presentedMemory } from './present.ts'
import {
  prepareQuestion,
  search,
  withHistory,
  type OpenedBefore,
  type PreparedQuestion,
} from './search.ts'
import { Unreadable } from './unreadable.ts'

/** Memories that one question takes at most: what a person still reads before agreeing. */
export const previewMax = 50
export const previewDefault = 10
/** What shares nothing with the question stays near 0.05; one word that most memories have gives little more. */
export const leastScore = 0.1
/** Of a memory's words, in a preview. */
const shownTokens = 60

export const previewedMemory = presentedMemory
  .pick({ id: true, version: true, type: true, content: true, occurred_at: true, event_date: true })
  .extend(presentedMemory.pick({ speaker: true, session: true, valid_to: true }).shape)
  .extend({
    score: z.number(),
    truncated: z.literal(true).optional().describe('Of longer words only the beginning'),
  })
export type PreviewedMemory = z.output<typeof previewedMemory>

export interface Preview {
  readonly matches: readonly PreviewedMemory[]
  /** The same memories as they were when they were shown. */
  readonly marked: readonly MarkedMemory[]
  /** More pass than the cap lets through. */
  readonly hasMore: boolean
}

/** Analyzes the question. Throws `insufficient_scope`: a preview shows what only a reader may see. */
export function preparePreview(
  context: PrepareContext,
  embedder: Embedder | undefined,
  query: string,
): Promise<PreparedQuestion> {
  const { principal } = context
  const mayRead = principal.scopes.has('memory:read') || principal.scopes.has('admin')
  if (!mayRead || !mayUseTool(principal, 'recall')) {
    throw new AppError(
      'insufficient_scope',
      'A query shows what it finds, so it needs the scope memory:read as well. Use ids or filters.',
      { details: { challenge: 'insufficient_scope', scope: 'memory:read' } },
    )
  }
  return prepareQuestion(context, embedder, query)
}

/** `filter`: its moment says whether older versions count; otherwise the newest do, retired or not. */
export async function preview(
  context: CommitContext,
  question: PreparedQuestion,
  filter: MemoryFilter,
  { most, least, openedBefore }: { most: number; least: number; openedBefore: OpenedBefore },
): Promise<Preview> {
  const unreadable = new Unreadable()
  const isHistory = filter.moment === 'ever'
  const everything = { ...filter, moment: 'ever' as const, isNewest: !isHistory || undefined }
  // Versions of one memory take places of each other.
  const limit = isHistory ? resultsMax : most + 1
  const hits = await search(context, [withHistory(question)], everything, {
    ...openedBefore,
    unreadable,
    results: limit,
    isEachApart: true,
  })
  const show = presenter(context, unreadable, 'ever')
  const good = hits.filter(({ score }) => score >= least)
  const shown = await presentHits({ ...context, show }, good, { limit, moment: 'ever' })
  await unreadable.requireCurrent(context)
  const best = new Map(shown.toReversed().map((hit) => [hit.id, hit]))
  const listed = shown.filter((hit) => best.get(hit.id) === hit)
  const marked = await selectIds(
    context.tx,
    { ids: listed.map(({ id }) => id), moment: 'ever' },
    limit,
  )
  // Changed since it was searched: what was shown is not what would go.
  const newest = new Map(marked.map((memory) => [memory.id, memory.newest]))
  const certain = listed.filter(({ id, version }) => {
    const now = newest.get(id)
    return now !== undefined && (isHistory ? now >= version : now === version)
  })
  const matches = certain.slice(0, most).map(shorten)
  const taken = new Set(matches.map(({ id }) => id))
  return {
    matches,
    marked: marked.filter(({ id }) => taken.has(id)),
    // Versions of few memories may fill the list, and what passes as well stands behind it.
    hasMore: certain.length > most || good.length - shown.length > unreadable.count,
  }
}

type Shown = Awaited<ReturnType<typeof presentHits>>[number]

function shorten({ score = 0, ...memory }: Shown): PreviewedMemory {
  const content = firstTokens(memory.content, shownTokens)
  const { id, version, type, occurred_at, event_date, speaker, session, valid_to } = memory
  return {
    id,
    version,
    score,
    type,
    content,
    ...(content.length < memory.content.length && { truncated: true as const }),
    occurred_at,
    ...(event_date !== undefined && { event_date }),
    ...(speaker !== undefined && { speaker }),
    ...(session !== undefined && { session }),
    ...(valid_to !== undefined && { valid_to }),
  }
}
