/** The operation `import`: lines of an export come back as they were, ids, versions and times included. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Operation } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { deriveMemory, type DerivedMemory, type MemoryInput } from './derive.ts'
import { embedAll } from './embed-inputs.ts'
import { insertPrepared, type PreparedMemory } from './insert.ts'
import { existingVersions, versionKey } from './memories.sql.ts'
import { memoryFields, sourceKinds, timestamp } from './memory.ts'

const linesMax = 500

/** One line of docs/export-format.md, version 1. Unknown fields are refused: they would be lost. */
const importLine = z.strictObject({
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
  supersedes: z.uuid().optional(),
  event_date: timestamp.optional(),
  event_until: timestamp.optional(),
  event_grain: z.string().max(16).optional(),
  owner_agent: z.string().min(1).max(128),
  source: z.strictObject({
    kind: z.enum(sourceKinds),
    trust: z.int().min(0).max(3),
    url: z.url().max(2048).optional(),
  }),
})

const importInput = z.strictObject({ lines: z.array(importLine).min(1).max(linesMax) })
const importOutput = z.object({
  imported: z.int(),
  skipped: z.int().describe('Already there with the same id and version, or the same memory'),
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
    prepare: async (context, { lines }) => {
      const inputs = lines.map(toInput)
      const embeddings = await embedAll(context, inputs, embedder)
      const documents = await context.reserveDocuments(lines.length)
      return lines.map((line, index) => ({
        id: line.id,
        document: documents[index] ?? 0,
        input: inputs[index] ?? toInput(line),
        derived: deriveMemory(
          context.settings,
          line.owner_agent,
          toInput(line),
          context.now,
          eventOf(line),
        ),
        embedding: embeddings?.[index] ?? null,
        embedded: embeddings !== undefined,
        origin: {
          version: line.version,
          isCurrent: line.is_current,
          ownerAgent: line.owner_agent,
          recordedAt: line.recorded_at,
          validFrom: line.valid_from,
          validTo: line.valid_to ?? null,
          supersedes: line.supersedes ?? null,
          source: { kind: line.source.kind, trust: line.source.trust },
        },
      }))
    },
    commit: async (context, prepared) => {
      if (context.principal.channel !== 'cli') {
        throw new AppError('insufficient_scope', 'Import runs from the command line.')
      }
      const there = await existingVersions(
        context.tx,
        prepared.map((item) => item.id),
      )
      const fresh = prepared.filter(
        ({ id, origin }) => !there.has(versionKey({ id, version: origin?.version ?? 1 })),
      )
      const inserted = await insertPrepared(context, fresh)
      const counts = { imported: inserted.length, skipped: prepared.length - inserted.length }
      return {
        output: counts,
        audit: { resourceIds: inserted.map((item) => item.id), counts },
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
