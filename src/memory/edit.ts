/** The operation `edit`: new words, labels, dates, expiry or readers make a new version of a memory. */
import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Committed, CommitContext, Operation, PrepareContext } from '../operation.ts'
import type { Embedder } from '../pipeline/embed.ts'
import { countFound } from './door.ts'
import { admitChange, draftVersion, inputOf } from './drafts.ts'
import { entitiesIn, type MemoryInput } from './derive.ts'
import type { IdempotencyClaim } from './idempotency.sql.ts'
import { readerList } from './insert.ts'
import { label, memoryFields, memoryId } from './memory.ts'
import { answerOnce, claimOf } from './once.ts'
import { describeRow, describeStored, storeOutput, type StoreOutput } from './stored.ts'
import { changesAccess, lockExpected, writeVersion, type Draft } from './versions.ts'
import { readBase } from './versions.sql.ts'

/** What names the memory that a change is of. */
export const changeFields = {
  id: memoryId.describe('Change this memory instead of storing a new one'),
  expected_version: z
    .int()
    .min(1)
    .optional()
    .describe('With id: refuse the change if the memory is at another version by now'),
}

const editInput = z
  .strictObject({
    ...changeFields,
    ...memoryFields,
    content: memoryFields.content.optional(),
    idempotency_key: label('idempotency_key').optional(),
  })
  .superRefine((input, context) => {
    const issue = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message })
    if (!Object.keys(memoryFields).some((key) => key in input)) {
      issue('id', 'say what to change: content, tags, metadata, type, a date, expiry or access')
    }
    if (input.ttl_seconds !== undefined && input.expires_at !== undefined) {
      issue('expires_at', 'give ttl_seconds or expires_at, not both')
    }
  })

type EditInput = z.output<typeof editInput>

interface PreparedEdit {
  /** Undefined when the memory says all of it already, or is not there. */
  readonly draft: Draft | undefined
  readonly claim: IdempotencyClaim | undefined
  readonly content: string | undefined
}

/** Builds the operation. Throws `not_found`, `conflict` (with the version) and `insufficient_scope`. */
export function editOperation({
  embedder,
}: {
  readonly embedder: Embedder | undefined
}): Operation<typeof editInput, typeof storeOutput, PreparedEdit> {
  return {
    name: 'edit',
    title: 'Change a memory',
    description:
      'Make a new version of a memory: what is given replaces what was there, the rest stays, and the old version is kept as history. Only its owner or an administrator changes who may read it.',
    scope: 'memory:write',
    tool: 'store',
    effect: 'write',
    input: editInput,
    output: storeOutput,
    quarantine: () => 'reached',
    isIdempotent: (input) => input.idempotency_key !== undefined,
    prepare: async (context, input) => {
      const admitted = admitChange(context, givenOf(input))
      const { id, expected_version: expected } = input
      const request = { id, expected, ...admitted.given }
      return {
        draft: await draftEdit(context, embedder, id, admitted),
        // Of what was let in: not even a keyed hash is kept of what was not.
        claim: claimOf(context, 'edit', input.idempotency_key, request),
        content: admitted.given.content,
      }
    },
    commit: (context, { draft, claim, content }, input) =>
      answerOnce(
        context,
        claim,
        () => write(context, draft, input),
        (kept) => kept.map((result) => ({ ...result, entities: namesIn(context, content) })),
      ),
  }
}

async function write(
  context: CommitContext,
  draft: Draft | undefined,
  { id, expected_version: expected }: EditInput,
): Promise<Committed<StoreOutput>> {
  if (!draft) return unchanged(context, id, expected)
  const touched = await writeVersion(context, draft, expected)
  const { item, base } = draft
  const version = item.origin?.version ?? 1
  const results = [describeStored(item, { id: item.id, version, status: 'edited' })]
  return {
    output: { results, stored: 0, duplicates: 0, replayed: false },
    audit: {
      resourceIds: [item.id],
      counts: {
        version,
        ...(changesAccess(base, item) && { access_changed: 1 }),
        ...countFound([item]),
      },
    },
    touched,
  }
}

/** The memory says all of it already: no version, as storing a duplicate stores nothing. */
async function unchanged(context: CommitContext, id: string, expected: number | undefined) {
  const row = await lockExpected(context, id, expected)
  const results = [describeRow(context.settings, row, 'duplicate')]
  return {
    output: { results, stored: 0, duplicates: 1, replayed: false },
    audit: { counts: { duplicates: 1 } },
  }
}

async function draftEdit(
  context: PrepareContext,
  embedder: Embedder | undefined,
  id: string,
  { given, found }: ReturnType<typeof admitChange>,
): Promise<Draft | undefined> {
  const base = await context.read((tx) => readBase(tx, id))
  if (!base) return undefined
  const before = inputOf(context.settings, base)
  if (base.pinned_at && (given.ttl_seconds ?? given.expires_at) !== undefined) {
    throw new AppError(
      'invalid_input',
      'A pinned memory does not expire. Unpin it first, with pin: false.',
    )
  }
  const after = merge(before, given)
  if (isUnchanged(before, after)) return undefined
  return draftVersion(context, embedder, {
    base,
    like: base,
    input: after,
    given,
    validTo: base.valid_to,
    found,
  })
}

function givenOf(input: EditInput): Partial<MemoryInput> {
  const { id: _id, expected_version: _version, idempotency_key: _key, ...fields } = input
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function merge(before: MemoryInput, given: Partial<MemoryInput>): MemoryInput {
  const merged = { ...before, ...given }
  if (given.ttl_seconds !== undefined) return withoutReaders({ ...merged, expires_at: undefined })
  return withoutReaders(merged)

  /** Readers go with the privacy they were readers of, unless the request names some. */
  function withoutReaders(memory: MemoryInput): MemoryInput {
    const keeps = memory.access === 'private' || given.allowed_agents !== undefined
    return keeps ? memory : { ...memory, allowed_agents: undefined }
  }
}

function isUnchanged(before: MemoryInput, after: MemoryInput): boolean {
  const plain = (memory: MemoryInput) =>
    JSON.stringify({ ...memory, allowed_agents: readerList(memory.allowed_agents) })
  return after.ttl_seconds === undefined && plain(before) === plain(after)
}

/** A repeated change names what its own words name. */
function namesIn({ settings }: CommitContext, content: string | undefined): string[] {
  return content === undefined ? [] : entitiesIn(settings, content).map(({ name }) => name)
}
