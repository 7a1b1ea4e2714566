/**
 * The operation `import`: lines of an export come back as they were, ids, versions and times included;
 * memories of another program come in as new ones. What a file says of its own trust is a claim.
 */
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { CommitContext, Operation, PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { touchedBy } from './audience.ts'
import { deriveMemory, type DerivedMemory, type MemoryInput } from './derive.ts'
import { admitAll, countFound } from './door.ts'
import { embedAll } from './embed-inputs.ts'
import {
  insertPrepared,
  readerList,
  reserveFor,
  seenOf,
  type MemoryOrigin,
  type PreparedMemory,
} from './insert.ts'
import { countVoices, putVoices, type Voice } from './feedback.sql.ts'
import { existingVersions, readStandings, versionKey } from './memories.sql.ts'
import {
  agentName,
  memoryFields,
  namesReadersInVain,
  readersInVain,
  retireReason,
  sourceKinds,
  timestamp,
  verdicts,
  voicesMax,
} from './memory.ts'
import {
  importSource,
  importedSource,
  maySupersede,
  quarantineOf,
  quarantineReasons,
  reasonBits,
  type Standing,
} from './trust.ts'

const linesMax = 500

/** One line of docs/export-format.md, version 1. Unknown fields are refused: they would be lost. */
const importLine = z
  .strictObject({
    ...memoryFields,
    mindglue: z.literal(1),
    id: z.uuid(),
    version: z.int().min(1).max(1_000_000),
    is_current: z.boolean(),
    type: memoryFields.type.unwrap(),
    occurred_at: timestamp,
    recorded_at: timestamp,
    valid_from: timestamp,
    valid_to: timestamp.optional(),
    retire_reason: retireReason.optional(),
    pinned_at: timestamp.optional(),
    supersedes: z.uuid().optional(),
    event_date: timestamp.optional(),
    event_until: timestamp.optional(),
    event_grain: z.string().max(16).optional(),
    owner_agent: z.string().min(1).max(128),
    source: z.strictObject({
      kind: z.enum(sourceKinds),
      trust: z.int().min(0).max(3),
      url: memoryFields.source_url,
    }),
    quarantine: z.array(z.enum(quarantineReasons)).max(quarantineReasons.length).optional(),
    feedback: z
      .array(z.strictObject({ agent: agentName, verdict: z.enum(verdicts), given_at: timestamp }))
      .max(voicesMax)
      .optional(),
  })
  .refine((line) => !namesReadersInVain(line), { path: ['allowed_agents'], error: readersInVain })

const importInput = z
  .strictObject({
    lines: z.array(importLine).min(1).max(linesMax).optional().describe('Lines of an export'),
    memories: z
      .array(z.strictObject(memoryFields))
      .min(1)
      .max(linesMax)
      .optional()
      .describe('Memories from elsewhere: new ids, the importing agent as owner'),
    own: z
      .boolean()
      .optional()
      .describe(
        'The lines are an export of yours: believe their source and quarantine as they stand',
      ),
  })
  .refine((input) => (input.lines === undefined) !== (input.memories === undefined), {
    path: ['lines'],
    error: 'give either lines or memories',
  })
const importOutput = z.object({
  imported: z.int(),
  skipped: z.int().describe('Already there with the same id and version, or the same memory'),
  found: z
    .record(z.string(), z.int())
    .optional()
    .describe('Credentials and personal data in what went in, by what was done and kind'),
})

interface ImportDependencies {
  readonly embedder: Embedder | undefined
}

/** Builds the operation. Needs `admin`: owner, source and times are taken from the lines. */
export function importOperation({
  embedder,
}: ImportDependencies): Operation<
  typeof importInput,
  typeof importOutput,
  readonly PreparedMemory[]
> {
  return {
    name: 'import',
    title: 'Import memories',
    description: 'Bring lines of an export back, with their ids, versions, owners and times.',
    scope: 'admin',
    effect: 'write',
    input: importInput,
    output: importOutput,
    isIdempotent: () => true,
    quarantine: () => 'reached',
    prepare: async (context, input) => {
      const { lines = [], memories = [], own = false } = input
      const admitted = await context.stage('door', () =>
        admitAll(context, [...lines.map(toInput), ...memories], (index) =>
          input.lines === undefined ? `memories.${index}.` : `lines.${index}.`,
        ),
      )
      const items = admitted.map((item, index) => ({ ...item, line: lines[index] }))
      const embeddings = await embedAll(
        context,
        items.map((item) => item.input),
        embedder,
      )
      const documents = await reserveFor(
        context,
        items.map((item) => item.input),
      )
      return items.map(({ input: admittedInput, found, line }, index) => ({
        ...(line
          ? fromLine(context, line, admittedInput, own)
          : fromElsewhere(context, admittedInput)),
        document: documents[index] ?? 0,
        input: admittedInput,
        found,
        embedding: embeddings?.[index] ?? null,
        embedded: embeddings !== undefined,
      }))
    },
    commit: async (context, prepared, { lines = [], own = false }) => {
      if (context.principal.channel !== 'cli') {
        throw new AppError('insufficient_scope', 'Import runs from the command line.')
      }
      const there = await existingVersions(
        context.tx,
        prepared.map((item) => item.id),
      )
      const fresh = prepared.filter(
        (item) => !there.has(versionKey({ id: item.id, version: item.origin?.version ?? 1 })),
      )
      const { items, refused } = await withoutFalseSupersessions(context, fresh)
      const inserted = await insertPrepared(context, items)
      // What a file says that others said, nobody here has heard.
      if (own) await bringVoices(context, lines, inserted)
      const found = countFound(inserted)
      const counts = { imported: inserted.length, skipped: prepared.length - inserted.length }
      return {
        output: { ...counts, ...(Object.keys(found).length > 0 && { found }) },
        audit: {
          resourceIds: inserted.map((item) => item.id),
          counts: {
            ...counts,
            ...(refused > 0 && { supersessions_refused: refused }),
            ...found,
          },
        },
        touched: touchedBy(inserted.map((item) => seenOf(context, item))),
      }
    },
  }
}

type ImportLine = z.output<typeof importLine>

function toInput(line: ImportLine): MemoryInput {
  const { source, ...fields } = line
  return { ...fields, source_url: source.url }
}

/** The dates of the line win over a new analysis: a later version of us might read the text otherwise. */
function eventOf(line: ImportLine): DerivedMemory['event'] {
  const from = line.event_date
  if (!from || line.event_grain === undefined) return null
  return { from, to: line.event_until ?? from, grain: line.event_grain }
}

type Imported = Pick<PreparedMemory, 'id' | 'derived' | 'quarantine'> & {
  readonly origin: MemoryOrigin
}

function fromLine(
  { settings, now }: PrepareContext,
  line: ImportLine,
  input: MemoryInput,
  own: boolean,
): Imported {
  const derived = deriveMemory(settings, line.owner_agent, input, now, eventOf(line))
  const source = importedSource(line.source, own)
  const marked = reasonBits(line.quarantine ?? [])
  return {
    id: line.id,
    // What is pinned never expires, whatever else a line says.
    derived: line.pinned_at === undefined ? derived : { ...derived, expiresAt: null },
    quarantine: own ? marked : marked | quarantineOf(source, derived.suspicions),
    origin: {
      version: line.version,
      isCurrent: line.is_current,
      ownerAgent: line.owner_agent,
      recordedAt: line.recorded_at,
      validFrom: line.valid_from,
      validTo: line.valid_to ?? null,
      pinnedAt: line.pinned_at ?? null,
      supersedes: line.supersedes ?? null,
      source,
    },
  }
}

async function bringVoices(
  { tx }: CommitContext,
  lines: readonly ImportLine[],
  inserted: readonly PreparedMemory[],
): Promise<void> {
  const current = new Set(inserted.flatMap(({ id, origin }) => (origin?.isCurrent ? [id] : [])))
  const voices = lines.flatMap(({ id, is_current: isCurrent, feedback = [] }): Voice[] =>
    isCurrent && current.has(id)
      ? feedback.map(({ agent, verdict, given_at: givenAt }) => ({ id, agent, verdict, givenAt }))
      : [],
  )
  // A list that names an agent twice is not one of ours: the last word is what it said.
  const last = new Map(voices.map((voice) => [`${voice.id}/${voice.agent}`, voice]))
  await putVoices(tx, [...last.values()])
  await countVoices(tx, [...new Set(voices.map(({ id }) => id))])
}

/** Nothing is claimed but the words: it is new here, and came by import. */
function fromElsewhere({ settings, principal, now }: PrepareContext, input: MemoryInput): Imported {
  const derived = deriveMemory(settings, principal.agent, input, now)
  return {
    id: uuidv7(),
    derived,
    quarantine: quarantineOf(importSource, derived.suspicions),
    origin: {
      version: 1,
      isCurrent: true,
      ownerAgent: principal.agent,
      recordedAt: now,
      validFrom: derived.occurredAt,
      validTo: null,
      supersedes: null,
      source: importSource,
    },
  }
}

/**
 * Takes `supersedes` off where the rule of trust.ts forbids it; both memories then stay as they are. One
 * that names nothing that is here is taken off too: whatever came under that id later would be superseded
 * without having been looked at.
 */
async function withoutFalseSupersessions(context: CommitContext, items: readonly PreparedMemory[]) {
  const { namespace } = context.tx
  const named = items.flatMap(({ origin }) => (origin?.supersedes ? [origin.supersedes] : []))
  if (named.length === 0) return { items, refused: 0 }
  const older = new Map<string, Standing>()
  for (const item of items) {
    if (item.origin?.isCurrent === true) older.set(item.id, standingOf(namespace, item))
  }
  // What is here already comes last: a line of the file with the same id does not replace it.
  for (const standing of await readStandings(context.tx, named)) {
    older.set(standing.id, { namespace, ...standing })
  }
  let refused = 0
  const checked = items.map((item) => {
    const { origin } = item
    if (!origin?.supersedes) return item
    const replaced = older.get(origin.supersedes)
    if (replaced && maySupersede(standingOf(namespace, item), replaced)) return item
    refused += 1
    return { ...item, origin: { ...origin, supersedes: null } }
  })
  return { items: checked, refused }
}

function standingOf(
  namespace: bigint,
  { id, input, origin, quarantine }: PreparedMemory,
): Standing {
  return {
    namespace,
    id,
    recordedAt: origin?.recordedAt ?? new Date(0),
    ownerAgent: origin?.ownerAgent ?? '',
    access: input.access ?? 'shared',
    readers: readerList(input.allowed_agents),
    trust: origin?.source.trust ?? 0,
    quarantine,
  }
}
