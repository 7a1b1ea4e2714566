/** The operations `retire` (no longer true) and `restore` (an earlier version holds again). */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Committed, CommitContext, Operation, PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { countFound } from './door.ts'
import { admitChange, draftVersion, inputOf } from './drafts.ts'
import { changeFields } from './edit.ts'
import { retireReason, timestamp } from './memory.ts'
import { describeStored, storeOutput, type StoredItem, type StoreOutput } from './stored.ts'
import { lockExpected, noSuchMemory, writeVersion, type Draft } from './versions.ts'
import { readBase } from './versions.sql.ts'

interface Dependencies {
  readonly embedder: Embedder | undefined
}

export const retireFields = {
  retire: retireReason
    .min(1)
    .describe('With id: no longer true, for this reason; hidden but kept, unlike forget'),
  valid_to: timestamp.optional().describe('With retire: true until then (now when left out)'),
}

const retireInput = z.strictObject({ ...changeFields, ...retireFields })

/** Builds the operation. Throws as `edit` does, and `conflict` for a memory that is retired already. */
export function retireOperation({
  embedder,
}: Dependencies): Operation<typeof retireInput, typeof storeOutput, Draft | undefined> {
  return {
    name: 'retire',
    title: 'Retire a memory',
    description:
      'Say that a memory is no longer true, since when and why. It leaves what is recalled, stays in its history and in questions about the past, and can be restored.',
    scope: 'memory:write',
    tool: 'store',
    effect: 'write',
    input: retireInput,
    output: storeOutput,
    quarantine: () => 'reached',
    isIdempotent: () => false,
    prepare: async (context, input) => {
      const base = await context.read((tx) => readBase(tx, input.id))
      if (!base) return undefined
      if (base.valid_to) throw new AppError('conflict', 'This memory is retired already.')
      const until = input.valid_to ?? context.now
      if (until.getTime() > context.now.getTime()) {
        throw new AppError(
          'invalid_input',
          'valid_to lies ahead. For what ends later, change the memory’s expires_at instead.',
        )
      }
      const { given, found } = admitChange(context, { retire_reason: input.retire })
      return draftVersion(context, embedder, {
        base,
        like: base,
        input: { ...inputOf(context.settings, base), ...given },
        given,
        validTo: until,
        found,
      })
    },
    commit: (context, draft, input) => write(context, draft, input, 'retired'),
  }
}

export const restoreFields = {
  restore_version: z
    .int()
    .min(1)
    .describe('With id: what this earlier version said holds again, as a new version'),
}

const restoreInput = z.strictObject({ ...changeFields, ...restoreFields })

/** Builds the operation. Throws as `edit` does, and `not_found` for a version that is not there. */
export function restoreOperation({
  embedder,
}: Dependencies): Operation<typeof restoreInput, typeof storeOutput, Draft | undefined> {
  return {
    name: 'restore',
    title: 'Restore a version of a memory',
    description:
      'Make an earlier version of a memory hold again, also of a retired one, as its newest version.',
    scope: 'memory:write',
    tool: 'store',
    effect: 'write',
    input: restoreInput,
    output: storeOutput,
    quarantine: () => 'reached',
    isIdempotent: () => false,
    prepare: (context, input) => draftRestored(context, embedder, input),
    commit: (context, draft, input) => write(context, draft, input, 'restored'),
  }
}

async function draftRestored(
  context: PrepareContext,
  embedder: Embedder | undefined,
  { id, restore_version: version }: z.output<typeof restoreInput>,
): Promise<Draft | undefined> {
  const [base, like] = await context.read(async (tx) => [
    await readBase(tx, id),
    await readBase(tx, id, version),
  ])
  if (!base) return undefined
  if (!like) throw new AppError('not_found', `This memory has no version ${version} to restore.`)
  if (like.trust < base.trust) {
    throw new AppError(
      'insufficient_scope',
      `Version ${version} is trusted less than what would give way to it.`,
    )
  }
  // Readers and expiry are the memory's, not a version's.
  const { access, allowed_agents, expires_at } = inputOf(context.settings, base)
  return draftVersion(context, embedder, {
    base,
    like,
    input: {
      ...inputOf(context.settings, like),
      access,
      allowed_agents,
      expires_at,
      retire_reason: undefined,
    },
    given: {},
    validTo: null,
    found: [],
  })
}

async function write(
  context: CommitContext,
  draft: Draft | undefined,
  { id, expected_version: expected }: { id: string; expected_version?: number | undefined },
  status: StoredItem['status'],
): Promise<Committed<StoreOutput>> {
  if (!draft) {
    // Stored since it was looked for, or not there: either way nothing was made ready for it.
    await lockExpected(context, id, expected)
    throw noSuchMemory()
  }
  const touched = await writeVersion(context, draft, expected)
  const version = draft.item.origin?.version ?? 1
  return {
    output: {
      results: [describeStored(draft.item, { id, version, status })],
      stored: 0,
      duplicates: 0,
      replayed: false,
    },
    audit: { resourceIds: [id], counts: { version, ...countFound([draft.item]) } },
    touched,
  }
}
