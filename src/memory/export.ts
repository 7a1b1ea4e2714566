/** The operation `export`: everything the caller may read, in pages of JSON Lines or Markdown. */
import { z } from 'zod'
import { isEnvelopeFailure } from '../crypto/envelope.ts'
import { AppError } from '../errors.ts'
import type { CommitContext, NamespaceSettings, Operation } from '../operation.ts'
import { clean, cleanLine } from '../pipeline/clean.ts'
import { countTokens } from '../pipeline/tokens.ts'
import { inBatches, pageBytesMax } from './batches.ts'
import { openPlaceCursor, sealCursor } from './cursor.ts'
import { listVoices, type Voice } from './feedback.sql.ts'
import type { FieldPlace } from './fields.ts'
import { pageMemories } from './listing.sql.ts'
import type { MemoryRow } from './memories.sql.ts'
import { presentMemory, type PresentedMemory } from './present.ts'
import { blockTokens, neutral, noticeTokens } from './text.ts'

const pageMax = 500
const defaultPage = 100
const firstKey = { id: '00000000-0000-0000-0000-000000000000', version: 0 }

const exportInput = z.strictObject({
  format: z
    .enum(['jsonl', 'markdown'])
    .optional()
    .describe('jsonl (default; can be imported again) or markdown (to read)'),
  limit: z.int().min(1).max(pageMax).optional().describe('Memories a page, at most 500 (100)'),
  max_tokens: z
    .int()
    .min(1_000)
    .max(200_000)
    .optional()
    .describe('Most tokens of the page (the tool: 20000)'),
  include_quarantined: z
    .boolean()
    .optional()
    .describe('Also what is quarantined, marked as such; for administrators'),
  cursor: z.string().max(1024).optional().describe('next_cursor of the page before'),
})

const exportOutput = z.object({
  format: z.enum(['jsonl', 'markdown']),
  content: z.string().describe('One JSON object a line, or Markdown'),
  count: z.int(),
  too_long: z
    .array(z.string())
    .optional()
    .describe('Memories that alone are longer than max_tokens and are not in the content'),
  next_cursor: z.string().optional().describe('Absent on the last page'),
})

/** One line of an export; docs/export-format.md. Version 1 of the format. */
export interface ExportLine extends PresentedMemory {
  readonly mindglue: 1
  readonly is_current: boolean
  readonly valid_from: string
  readonly pinned_at?: string
  readonly supersedes?: string
  readonly event_until?: string
  readonly allowed_agents?: readonly string[]
  /** Of the newest version: voices are on what it says. */
  readonly feedback?: readonly ExportedVoice[]
}

interface ExportedVoice {
  readonly agent: string
  readonly verdict: Voice['verdict']
  readonly given_at: string
}

export interface ExportDependencies {
  readonly cursorKey: Uint8Array
}

/** Builds the operation; pages are in key order, so a memory stored meanwhile appears at most once. */
export function exportOperation({
  cursorKey,
}: ExportDependencies): Operation<typeof exportInput, typeof exportOutput, undefined> {
  return {
    name: 'export',
    title: 'Export memories',
    description:
      'Give out everything you may read in this namespace, page by page: JSON Lines that can be imported again, or Markdown to read. Follow next_cursor until it is absent.',
    scope: 'memory:export',
    effect: 'read',
    input: exportInput,
    output: exportOutput,
    quarantine: (input) => (input.include_quarantined === true ? 'shown' : 'hidden'),
    isIdempotent: () => true,
    prepare: () => Promise.resolve(undefined),
    commit: async (context, _prepared, input) => {
      const format = input.format ?? 'jsonl'
      const filter = input.include_quarantined === true ? `${format}+quarantined` : format
      const binding = { principal: context.principal, operation: 'export', filter }
      const after =
        input.cursor === undefined ? firstKey : openPlaceCursor(cursorKey, binding, input.cursor)
      const page = boundPage(
        await readPage(context, after, input.limit ?? defaultPage),
        format === 'jsonl' ? toJsonLine : toMarkdown,
        (input.max_tokens ?? Infinity) - frameTokens,
      )
      return {
        output: {
          format,
          content: page.texts.join(''),
          count: page.ids.length,
          ...(page.tooLong.length > 0 && { too_long: page.tooLong }),
          ...(page.next && {
            next_cursor: sealCursor(cursorKey, binding, [page.next.id, `${page.next.version}`]),
          }),
        },
        audit: {
          resourceIds: page.ids,
          counts: { memories: page.ids.length },
        },
      }
    },
  }
}

/** What stands around the content: the fence or the fields, the cursor, one memory that is too long, the count. */
const frameTokens = noticeTokens + blockTokens + 200

/** As much of a page as its tokens hold; a line that alone is longer is named in its place. */
function boundPage(
  page: { readonly lines: readonly ExportLine[]; readonly next: FieldPlace | undefined },
  toText: (line: ExportLine) => string,
  tokens: number,
) {
  const texts: string[] = []
  const ids: string[] = []
  const tooLong: string[] = []
  let left = tokens
  let last: FieldPlace | undefined
  for (const line of page.lines) {
    const text = toText(line)
    const cost = Number.isFinite(tokens) ? textTokens(text) : 0
    if (cost > left && last !== undefined) return { texts, ids, tooLong, next: last }
    last = { id: line.id, version: line.version }
    if (cost > left) {
      tooLong.push(line.id)
      continue
    }
    left -= cost
    texts.push(text)
    ids.push(line.id)
  }
  return { texts, ids, tooLong, next: page.next }
}

/** In either form: in JSON a string, or between the marks. */
function textTokens(text: string): number {
  return Math.max(countTokens(JSON.stringify(text)), countTokens(neutral(text)))
}

async function readPage(context: CommitContext, after: FieldPlace, limit: number) {
  const lines: ExportLine[] = []
  let bytes = 0
  let next: FieldPlace | undefined
  const read = (last: FieldPlace | undefined, rows: number) =>
    pageMemories(context.tx, last ?? after, rows)
  for await (const row of inBatches(limit + 1, read)) {
    if (lines.length === limit || bytes > pageBytesMax) {
      next = lines.at(-1)
      break
    }
    const memory = presentOrName(context.settings, row)
    // Who stored it here, with which client, is this installation's record and no part of the memory.
    const { agent: _agent, client: _client, ...source } = memory.source
    const { pinned: _pinned, ...fields } = memory
    const line: ExportLine = {
      mindglue: 1,
      ...fields,
      source,
      is_current: row.is_current,
      valid_from: row.valid_from.toISOString(),
      ...(row.pinned_at && { pinned_at: row.pinned_at.toISOString() }),
      ...(row.event_to && { event_until: row.event_to.toISOString() }),
      ...(row.supersedes !== null && { supersedes: row.supersedes }),
      ...(row.readers && { allowed_agents: row.readers }),
    }
    bytes += Buffer.byteLength(toJsonLine(line))
    lines.push(line)
  }
  return { lines: await withVoices(context, lines), next }
}

async function withVoices({ tx }: CommitContext, lines: readonly ExportLine[]) {
  const voices = await listVoices(
    tx,
    lines.flatMap((line) => (line.is_current ? [line.id] : [])),
  )
  if (voices.length === 0) return lines
  return lines.map((line): ExportLine => {
    const own = voices.filter((voice) => line.is_current && voice.id === line.id)
    const feedback = own.map(({ agent, verdict, givenAt }) => ({
      agent,
      verdict,
      given_at: givenAt.toISOString(),
    }))
    return { ...line, ...(feedback.length > 0 && { feedback }) }
  })
}

/** An export leaves nothing out: what does not decrypt ends it, named, so that it can be forgotten. */
function presentOrName(settings: NamespaceSettings, row: MemoryRow): PresentedMemory {
  try {
    return presentMemory(settings, row)
  } catch (error) {
    if (!isEnvelopeFailure(error)) throw error
    throw new AppError(error.code, `${error.publicMessage} Damaged: memory ${row.id}.`, {
      cause: error.cause,
      details: { id: row.id, version: row.version },
    })
  }
}

function toJsonLine(line: ExportLine): string {
  return `${JSON.stringify(line)}\n`
}

function toMarkdown(line: ExportLine): string {
  const facts = [
    line.type,
    line.occurred_at.slice(0, 10),
    line.speaker && cleanLine(line.speaker),
    line.session && cleanLine(line.session),
    ...line.tags.map((tag) => `#${cleanLine(tag)}`),
    line.is_current ? undefined : `version ${line.version}, superseded`,
    line.quarantine && `quarantined: ${line.quarantine.join(', ')}`,
  ].filter((fact) => fact !== undefined)
  // Indented, so that a memory that is Markdown itself cannot end its own block.
  const body = clean(line.content)
    .split('\n')
    .map((row) => `    ${row}`)
  return `- **${facts.join(' · ')}** \`${line.id}\`\n\n${body.join('\n')}\n\n`
}
