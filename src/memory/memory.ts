/** What a memory is and the limits it keeps. Schemas shared by the operations; no database here. */
import { z } from 'zod'
import { isStorableInstant } from '../database/codec.ts'

export const contentBytesMax = 64 * 1024
export const rawContentBytesMax = 256 * 1024
export const batchItemsMax = 500
/** Below the transport's body limit of 4 MiB, so that a too large batch gets our answer. */
export const batchBytesMax = 3 * 1024 * 1024
export const labelBytesMax = 256
export const tagsMax = 32
export const metadataBytesMax = 16 * 1024
export const metadataDepthMax = 8
export const readersMax = 64
export const retireReasonBytesMax = 2 * 1024
export const sourceUrlMax = 2048

export const memoryTypes = [
  'fact',
  'preference',
  'event',
  'procedure',
  'decision',
  'task',
  'reference',
  'note',
] as const
export type MemoryType = (typeof memoryTypes)[number]

export const accessLevels = ['private', 'shared', 'public'] as const
export type AccessLevel = (typeof accessLevels)[number]

export const sourceKinds = ['user', 'agent', 'tool', 'connector', 'web', 'import'] as const
export type SourceKind = (typeof sourceKinds)[number]

/** What an agent says of a memory that it recalled. */
export const verdicts = ['helpful', 'wrong', 'stale'] as const
/** Voices that a memory has at most; so many agents have long said what they think of it. */
export const voicesMax = 1_000
export type Verdict = (typeof verdicts)[number]

// With the u flag a surrogate pair is one code point, so this finds lone ones only.
const loneSurrogate = /\p{Surrogate}/u

/** Well-formed UTF-16 without NUL, bounded in UTF-8 bytes: what Postgres text and every client can hold. */
export function boundedText(bytesMax: number, what: string): z.ZodString {
  return z
    .string()
    .max(bytesMax, { error: `${what} is longer than ${bytesMax} bytes of UTF-8; split it` })
    .refine((text) => !loneSurrogate.test(text), {
      error: `${what} holds a lone surrogate; send well-formed Unicode`,
    })
    .refine((text) => !text.includes('\0'), { error: `${what} holds a NUL character; remove it` })
    .refine((text) => Buffer.byteLength(text) <= bytesMax, {
      error: `${what} is longer than ${bytesMax} bytes of UTF-8; split it`,
    })
}

export const memoryId = z.uuid().describe('Id of a memory, as returned by store, recall or export')
export const label = (what: string) =>
  boundedText(labelBytesMax, what).refine((text) => text.trim() !== '', {
    error: `${what} is empty`,
  })
export const agentName = label('an agent').max(128)
const isoInstant = z.union([z.iso.datetime({ offset: true }), z.iso.date()])
/** An instant with an offset (RFC 3339); a date alone means its midnight in UTC. */
export const timestamp = z
  .string()
  .max(40)
  .refine((text) => isoInstant.safeParse(text).success && isStorableInstant(new Date(text)), {
    error: 'not a date: write 2026-03-01 or 2026-03-01T09:30:00Z, in UTC of the years 1 to 9999',
  })
  .transform((text) => new Date(text))

/** Why something is no longer true, for people and models who read the history. */
export const retireReason = boundedText(retireReasonBytesMax, 'a reason')

/** Bounded JSON object; depth is counted without recursion, so deep input cannot exhaust the stack. */
export const metadata = z
  .record(z.string(), z.unknown())
  .refine((value) => jsonDepth(value) <= metadataDepthMax, {
    error: `metadata is nested deeper than ${metadataDepthMax}`,
  })
  .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= metadataBytesMax, {
    error: `metadata is larger than ${metadataBytesMax} bytes as JSON`,
  })

function jsonDepth(value: unknown): number {
  let level: unknown[] = [value]
  let depth = 0
  while (level.length > 0 && depth <= metadataDepthMax) {
    const children = level.flatMap((item) =>
      typeof item === 'object' && item !== null ? (Object.values(item) as unknown[]) : [],
    )
    if (children.length === 0 && depth > 0) break
    level = children
    depth += 1
  }
  return depth
}

/** A page of the web: what a client may open. Its characters are not held to anything; outputs clean it. */
const sourceUrl = z
  .url({ protocol: /^https?$/, error: 'not an address with http or https' })
  .max(sourceUrlMax)

/** The fields of one memory to store; all but content are optional. */
export const memoryFields = {
  content: boundedText(contentBytesMax, 'content')
    .refine((text) => text.trim() !== '', { error: 'content is empty' })
    .describe('What to remember, in the words that should be found again (up to 64 KiB)'),
  raw_content: boundedText(rawContentBytesMax, 'raw_content')
    .optional()
    .describe('The original text when content is a summary or an extract of it'),
  type: z
    .enum(memoryTypes)
    .optional()
    .describe('Kind of memory; worked out from the text when left out'),
  tags: z.array(label('a tag')).max(tagsMax).optional().describe('Labels to filter by later'),
  metadata: metadata.optional().describe('A small JSON object kept with the memory'),
  session: label('session').optional().describe('Conversation or task this belongs to'),
  speaker: label('speaker').optional().describe('Who said it'),
  occurred_at: timestamp
    .optional()
    .describe('When it happened or was said (ISO 8601); relative dates in the text count from it'),
  access: z
    .enum(accessLevels)
    .optional()
    .describe('private: only this agent; shared: every agent of the namespace (default); public'),
  allowed_agents: z
    .array(agentName)
    .max(readersMax)
    .optional()
    .describe('Further agents that may read a private memory'),
  source_url: sourceUrl.optional().describe('Where it comes from (http or https)'),
  importance: z.number().min(0).max(1).optional().describe('0 to 1; 0.5 when left out'),
  ttl_seconds: z
    .int()
    .min(1)
    .max(10 * 366 * 86_400)
    .optional()
    .describe('Forget it by itself after so many seconds'),
  expires_at: timestamp.optional().describe('Forget it by itself at this time (ISO 8601)'),
}

/** A list of readers beside any other access would promise a secrecy that is not there. */
export function namesReadersInVain(memory: {
  readonly access?: AccessLevel | undefined
  readonly allowed_agents?: readonly string[] | undefined
}): boolean {
  return (memory.allowed_agents ?? []).length > 0 && memory.access !== 'private'
}

export const readersInVain =
  'only a private memory has readers of its own; add access: private, or leave allowed_agents out'
